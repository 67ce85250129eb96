//! Webhook credentials: the secret that machines present, the signature of Retell's requests, and the one that our own
//! requests carry.

pub mod retell;
pub mod secret;
pub mod standard;
