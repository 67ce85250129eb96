//! What lies outside: LiveKit, and n8n by way of the outbox.

pub(crate) mod livekit;
pub(crate) mod n8n;
