//! `dispatch-bridge-svc` over HTTP: the real application, a real database, LiveKit's and n8n's stand-ins. Nothing here knows
//! its inside.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its failure")]

mod cancel;
mod crashes;
mod description;
mod dial;
mod failures;
mod follow;
mod keys;
mod lists;
mod malformed;
mod outages;
mod recording;
mod results;
mod summaries;
mod upkeep;
mod webhooks;
mod world;
