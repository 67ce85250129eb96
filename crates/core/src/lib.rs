//! The vocabulary of Switchhook: what things are called, what they mean, and how they look on the wire.
//!
//! Everything here is pure. What needs a socket, a database, a clock or a runtime lives in `switchhook-chassis`;
//! the rules of one service live in that service's `domain`.
//!
//! Reading order: [`ids`], [`problem`] (the one error body), [`fields`] (how a JSON object is read, fault by fault),
//! [`lenient`] (values as n8n sends them), [`n8n`] (what n8n wraps and answers), [`webhook`] (secrets and signatures),
//! [`models`] (what each service sends and takes).

pub mod fields;
pub mod ids;
pub mod lenient;
pub mod models;
pub mod n8n;
pub mod problem;
pub mod trace;
pub mod webhook;
