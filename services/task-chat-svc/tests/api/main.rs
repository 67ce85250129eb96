//! `task-chat-svc` over HTTP: the real application, a real database, n8n's stand-in. Nothing here knows its inside.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its failure")]

mod agent;
mod chat;
mod description;
mod keys;
mod malformed;
mod order;
mod tenants;
mod upkeep;
mod waiting;
mod world;
