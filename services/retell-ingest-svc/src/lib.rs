//! `retell-ingest-svc`: the calls of many clients' Retell agents. A client connects an agent; every call event that
//! arrives is matched to the client who had that agent when the call started, kept once, and shown to nobody else.
//!
//! Reading order: [`domain`] (what an event says, how a call is folded from its events, whose it is; pure), [`routes`] (the
//! whole API in one place), [`ledger`] (events that share a commit), [`store`] (SQL), [`clients`] (Retell's API), [`jobs`]
//! (digests for search and figures, adoption, retention), [`app`] (how it fits together), [`config`], [`error`].

pub mod app;
pub(crate) mod clients;
pub mod config;
pub mod domain;
pub(crate) mod error;
pub(crate) mod jobs;
pub(crate) mod ledger;
mod page;
pub(crate) mod routes;
pub(crate) mod store;

use sqlx::migrate::Migrator;

/// The migrations of the schema `retell`.
pub static MIGRATOR: Migrator = migrations();

const fn migrations() -> Migrator {
    sqlx::migrate!()
}
