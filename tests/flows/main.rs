//! Flows with real processes: the services' own binaries, a real PostgreSQL, the stand-ins.
//!
//! The binaries are built before (`make test` does); one file per flow.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod chat;
mod dispatch_kills;
mod retell_kills;
mod session;
mod session_outages;

/// Held by the tests that keep the machine busy for a minute: together they would take each other's deadlines.
static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
