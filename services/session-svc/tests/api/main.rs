//! `session-svc` over HTTP: the real application, a real database, n8n's stand-in. Nothing here knows its inside.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its failure")]

mod answers;
mod claims;
mod control;
mod description;
mod events;
mod lists;
mod malformed;
mod replicas;
mod reports;
mod together;
mod upkeep;
mod world;
