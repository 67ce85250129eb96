//! SQL and rows, nothing else. Functions on a connection; what is absent is `None`; the caller owns the transaction.
//!
//! Lock order: session, then the user's day, then the outbox row, then the user's revision; of several, in the order of their
//! ids, or without waiting.

pub(crate) mod claims;
pub(crate) mod erasure;
pub(crate) mod rows;
pub(crate) mod sessions;
pub(crate) mod starts;
pub(crate) mod upkeep;
pub(crate) mod users;
