//! `retell-ingest-svc` over HTTP: the real application, a real database, Retell's stand-in. Nothing here knows its inside.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its failure")]

mod agents;
mod analytics;
mod csv;
mod description;
mod erasing;
mod held;
mod lists;
mod malformed;
mod orders;
mod ownership;
mod plans;
mod retention;
mod search;
mod signatures;
mod storms;
mod stream;
mod tenants;
mod webhooks;
mod world;
