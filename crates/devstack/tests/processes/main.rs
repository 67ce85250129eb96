//! devstack with real processes: PostgreSQL, a service's stand-in, the `devstack` binary itself.
#![allow(clippy::unwrap_used)]

mod guard;
mod postgres;
mod stack;
mod support;
mod up;
