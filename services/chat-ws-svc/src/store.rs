//! SQL and rows, nothing else. Functions on a connection; what is absent is `None`; the caller owns the transaction.
//!
//! Lock order: idempotency key, then chat, then what belongs to it (entries, its outbox rows).

pub(crate) mod changes;
pub(crate) mod entries;
pub(crate) mod erasure;
pub(crate) mod listing;
pub(crate) mod registrations;
pub(crate) mod replies;
pub(crate) mod rows;
pub(crate) mod sending;
pub(crate) mod sessions;
pub(crate) mod upkeep;
pub(crate) mod visitor;
