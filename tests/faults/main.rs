//! What happens when things break: real processes, a real PostgreSQL, bounded traffic. `make test-faults` runs it.
//!
//! Each test prints what it counted. They run one after the other: a fault is judged by the clock, and two storms on one
//! machine would take each other's deadlines.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod bytes;
mod crashes;
mod database;
mod houses;
mod load;
mod logs;
mod network;
mod raw;
mod shutdown;
mod smuggling;
mod targets;
mod tenants;
mod vanished;

/// Held by every test.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[allow(clippy::print_stdout, reason = "the counts are what a test shows")]
fn say(what: &str) {
    println!("{what}");
}
