//! What lies outside of the service.

pub(crate) mod bot;
mod request;
mod streamed;
