//! `dispatch-bridge-svc`: outbound calls from n8n through LiveKit. n8n sends one simple POST; the bridge makes a room and a
//! dispatch of the agent in it, exactly once, follows the call to its end, and tells n8n how it went.
//!
//! Reading order: [`domain`] (the rules, pure), [`routes`] (the whole API in one place), `dial` (one dial, step by step,
//! and what a crash left of it), [`store`] (SQL), [`clients`] (LiveKit, and what is owed to n8n), [`jobs`] (following, repair,
//! rooms to delete, retention, gauges), [`app`] (how it fits together), [`config`] (what can be set), [`error`] (what can
//! go wrong for a caller).

pub mod app;
pub(crate) mod clients;
pub mod config;
pub(crate) mod dial;
pub mod domain;
pub(crate) mod ending;
pub(crate) mod error;
pub(crate) mod jobs;
mod page;
pub(crate) mod routes;
pub(crate) mod store;

use sqlx::migrate::Migrator;

/// The migrations of the schema `dispatch`.
pub static MIGRATOR: Migrator = migrations();

const fn migrations() -> Migrator {
    sqlx::migrate!()
}
