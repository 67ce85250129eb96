//! `chat-ws-svc`: live chat. Visitors write through a widget, a bot in n8n answers, and a human operator can take over at
//! any time, on any number of replicas.
//!
//! Reading order: [`domain`] (the rules, pure), [`protocol`] (the frames), [`routes`] (the HTTP API in one place), [`store`]
//! (SQL), [`log`] (what shares commits), [`warm`] (a connection that is kept for a moment), [`ws`] (the sockets), [`hub`] and [`registry`] (who holds which chat), [`clients`] (what is sent to n8n and what
//! becomes of it), [`operators`] (the operators' streams), [`jobs`], [`app`] (how it fits together), [`config`], [`error`].

pub mod app;
pub(crate) mod clients;
pub mod config;
pub mod domain;
pub(crate) mod error;
pub(crate) mod hub;
pub(crate) mod jobs;
pub(crate) mod log;
pub(crate) mod operators;
mod page;
pub mod protocol;
pub(crate) mod registry;
pub(crate) mod routes;
pub(crate) mod store;
pub(crate) mod warm;
pub mod ws;

use sqlx::migrate::Migrator;

/// The migrations of the schema `chat`.
pub static MIGRATOR: Migrator = migrations();

const fn migrations() -> Migrator {
    sqlx::migrate!()
}
