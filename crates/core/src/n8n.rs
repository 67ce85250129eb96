//! What n8n puts around the things that it forwards, and what its answers mean.

pub mod envelope;
pub mod reply;
pub mod said;
pub mod stream;
