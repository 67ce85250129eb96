//! The stand-ins over the wire: what a service and a test see of them.
//!
//! Requests are written by hand, so that what breaks on the way is seen as it is.

#![allow(clippy::unwrap_used)]

mod agent;
mod chat;
mod http;
mod livekit;
mod n8n;
mod retell;
mod service;
