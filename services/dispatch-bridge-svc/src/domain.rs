//! The rules of this service: what a request may be, how far a dial has come, what is shown of a call. Pure.

pub(crate) mod call;
pub(crate) mod call_look;
pub(crate) mod call_seen;
pub(crate) mod call_words;
pub mod dispatch;
pub mod history;
pub mod ids;
pub mod livekit;
pub mod number;
pub mod order;
pub mod recording;
pub mod shown;
pub(crate) mod summary;
pub mod trouble;
pub(crate) mod webhook;
pub mod words;
