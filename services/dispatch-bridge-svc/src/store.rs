//! SQL and row structs, nothing else. Free functions on a connection; the handler or job owns the transaction.
//!
//! Lock order: the call's row, then what belongs to it (guard, closing, events, outbox).

pub(crate) mod calls;
pub(crate) mod changes;
pub(crate) mod closings;
pub(crate) mod dial;
pub(crate) mod erasure;
pub(crate) mod events;
pub(crate) mod follow;
pub(crate) mod rows;
pub(crate) mod steps;
pub(crate) mod summaries;
pub(crate) mod upkeep;
