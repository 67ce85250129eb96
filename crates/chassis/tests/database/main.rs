//! What the chassis promises on top of PostgreSQL besides the outbox: feeds, and requests that are repeated.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod feed;
mod idempotency;

use switchhook_chassis::service::Service;

/// The schema of the tests' migrations.
const SERVICE: Service = Service {
    name: "outbox-test",
    env_prefix: "OUTBOX_TEST",
    schema: "outbox_test",
    port: 1,
    path_prefix: "outbox-test",
    title: "Test",
    retention_days: 365,
    version: "0",
};
