//! SQL and rows, nothing else. Functions on a connection; what is absent is `None`; the caller owns the transaction.
//!
//! Lock order: idempotency key, then task, then what belongs to it (messages, answers, its outbox rows).

pub(crate) mod entries;
pub(crate) mod erasure;
pub(crate) mod messages;
pub(crate) mod responses;
pub(crate) mod rows;
pub(crate) mod tasks;
pub(crate) mod upkeep;
