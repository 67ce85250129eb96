//! `task-chat-svc`: chat through tasks. A user writes to an agent, the message is delivered to the agent's webhook, and
//! the page shows the answer as soon as it is there, whether it comes at once or hours later.
//!
//! Reading order: [`domain`] (the rules, pure), [`routes`] (the whole API in one place), [`store`] (SQL), [`clients`]
//! (what is sent to an agent and what becomes of it), [`jobs`] (expiry, retention, gauges), [`app`] (how it fits
//! together), [`config`] (what can be set), [`error`] (what can go wrong for a caller).

pub mod app;
pub(crate) mod clients;
pub mod config;
pub mod domain;
pub(crate) mod error;
pub(crate) mod jobs;
mod page;
pub(crate) mod routes;
pub(crate) mod store;

use sqlx::migrate::Migrator;

/// The migrations of the schema `task_chat`.
pub static MIGRATOR: Migrator = migrations();

const fn migrations() -> Migrator {
    sqlx::migrate!()
}
