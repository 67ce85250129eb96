//! SQL, and nothing else. Every function takes the connection of its caller's transaction; whoever reads a client's data
//! names the client.

pub(crate) mod digests;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod lists;
pub(crate) mod tenures;
pub(crate) mod upkeep;
pub(crate) mod users;
pub(crate) mod written;
