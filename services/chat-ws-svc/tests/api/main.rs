//! The service from outside: HTTP and WebSockets, a real database, n8n's stand-in.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its failure")]

mod bot;
mod channels;
mod description;
mod events;
mod lists;
mod malformed;
mod mishaps;
mod sending;
mod takeover;
mod upkeep;
mod wire;
mod world;
mod ws_client;
mod ws_handshake;
mod ws_limits;
mod ws_resume;
mod ws_visitor;
