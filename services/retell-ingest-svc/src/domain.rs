//! The rules, pure: no I/O, and the time is handed in.
//!
//! Reading order: [`event`] (what a webhook says), [`facts`] (what is known of a call, and from which event),
//! [`call`] (folding events), [`owner`] (whose an event is), [`agent`] (ids of agents), [`shown`] (a call as clients see it), [`day`] (days and their
//! figures), [`search`] (what a search means).

pub mod agent;
pub mod call;
pub mod day;
pub mod event;
pub mod facts;
pub mod owner;
pub mod search;
pub mod shown;
