//! For tests: the real application on a free port, on the database of the test, with clients that have deadlines.

mod app;
pub mod description;
mod events;
mod eventually;
mod requests;
mod tokens;

pub use app::{TestApp, json_of};
pub use events::{EventReader, Seen};
pub use eventually::eventually;
pub use requests::failed;
pub use tokens::TokenSpec;

use std::sync::Once;

/// What `main` does once for a process: the TLS provider, and warnings in the output of a failed test.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let _ = tracing_subscriber::fmt()
            .with_env_filter("warn")
            .with_test_writer()
            .try_init();
    });
}
