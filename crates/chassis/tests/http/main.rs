//! The HTTP half of the chassis, held against a service that does next to nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod addresses;
mod credentials;
mod cross_site;
mod keys;
mod lifecycle;
mod malformed;
mod mini;
mod streams;
mod surroundings;
