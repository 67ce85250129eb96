//! The frames of the visitor's WebSocket: what he is sent, what is taken from him, and why a frame is refused. They are
//! described in `PROTOCOL.md`.
//!
//! What the frames look like and nothing else; what they lead to is [`domain::connection`](crate::domain::connection)'s.

mod fault;
mod incoming;
mod outgoing;

pub use fault::{Fault, FaultKind};
pub use incoming::{CLIENT_ID_CHARS, Incoming};
pub(crate) use outgoing::Outgoing;

/// Most bytes that one code point takes in JSON, as an escaped surrogate pair.
const BYTES_PER_CHAR: usize = 12;
/// What a frame has around its text, generously.
const AROUND_BYTES: usize = 4 * 1024;

/// The largest frame that may hold a message of that many code points.
pub fn frame_bytes(message_chars: usize) -> usize {
    message_chars * BYTES_PER_CHAR + AROUND_BYTES
}
