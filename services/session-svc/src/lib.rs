//! `session-svc`: AI calling sessions. A user sets a daily limit and starts a session, n8n makes the calls, and the page
//! shows how it goes and how it ended.
//!
//! Reading order: [`domain`] (the rules, pure), [`routes`] (the whole API in one place), [`store`] (SQL), [`clients`]
//! (the start webhook to n8n and what becomes of it), [`commits`] (what shares a transaction), [`jobs`] (expiry, retention, gauges), [`app`] (how it fits
//! together), [`config`] (what can be set), [`error`] (what can go wrong for a caller).

pub mod app;
pub(crate) mod clients;
pub(crate) mod commits;
pub mod config;
pub mod domain;
pub(crate) mod error;
pub(crate) mod jobs;
mod page;
pub(crate) mod routes;
pub(crate) mod store;

use sqlx::migrate::Migrator;

/// The migrations of the schema `session`.
pub static MIGRATOR: Migrator = migrations();

const fn migrations() -> Migrator {
    sqlx::migrate!()
}
