//! The rules of a calling session: pure, without I/O, without a clock of their own.
//!
//! Reading order: [`session`] (what a session is, and how its user or time ends it), [`report`] (what n8n says about
//! it), [`delivery`] (what became of the request that starts it), [`claim`] (may one more call be made?), [`day`]
//! (which day is it?), [`snapshot`] (what a person or a program is shown), [`history`] (where a list goes on).

pub mod claim;
pub mod day;
pub mod delivery;
pub mod history;
pub mod report;
pub mod session;
pub mod snapshot;
