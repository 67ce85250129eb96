//! What lies outside of the service.

pub(crate) mod agent;
