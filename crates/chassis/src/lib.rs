//! What every service of Switchhook needs to run: settings, lifecycle, telemetry, PostgreSQL, durable delivery, waking
//! across replicas, and HTTP in and out. A service adds its domain, its SQL and its routes.
//!
//! Reading order: [`service`] (what a service says about itself), [`config`], [`kit`] (what a service is given),
//! [`lifecycle`], [`db`], [`replicas`], [`outbox`], [`wake`],
//! [`feed`], [`idempotency`], [`jobs`], [`retention`], [`outbound`], [`http`], [`cli`] (the `main` of all five).

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod feed;
pub mod group_commit;
pub mod http;
pub mod idempotency;
pub mod jobs;
pub mod kit;
pub mod lifecycle;
pub mod outbound;
pub mod outbox;
pub mod replicas;
pub mod retention;
pub mod service;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wake;
