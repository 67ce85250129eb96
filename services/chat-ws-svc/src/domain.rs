//! The rules of a chat: pure, without I/O, without a clock of their own.
//!
//! Reading order: [`ids`], [`channel`] (whose visitors they are), [`entry`] (the log of a chat), [`connection`] (a reader's
//! place in it), [`preview`] (what he is shown of an answer while it comes), [`session`] (who speaks to the visitor),
//! [`operator`] (what an operator may see), [`snapshot`] (where an operator's stream stands), [`shown`] (what a person or a
//! program is shown).

pub mod channel;
pub mod connection;
pub mod entry;
pub mod ids;
pub mod operator;
pub mod preview;
pub mod session;
mod shared;
pub mod shown;
pub mod snapshot;
