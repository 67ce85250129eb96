//! What lies outside: Retell's API, and the sealing of its keys.

pub(crate) mod retell;
pub(crate) mod vault;
