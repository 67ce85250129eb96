//! The wire models, one file per service.

pub mod session;
pub mod time;
