//! Why a frame is refused, or could not do what it was for, and how the visitor is told.

use std::borrow::Cow;

use super::Outgoing;

/// Why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// Of the message, where it has one.
    pub client_id: Option<String>,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not JSON.
    InvalidJson,
    /// It is none of the frames that a visitor may send.
    InvalidFrame,
    /// The text is none, or holds what cannot be stored.
    InvalidText,
    /// The text says nothing.
    EmptyMessage,
    /// The text has more code points than this.
    TooLong(usize),
    /// Too many messages; the next is taken after this many seconds.
    RateLimited(u32),
    /// It could not be stored.
    Unavailable,
    /// The bot did not answer it.
    BotUnavailable,
}

impl FaultKind {
    /// The word for a program.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidFrame => "invalid_frame",
            Self::InvalidText => "invalid_text",
            Self::EmptyMessage => "empty_message",
            Self::TooLong(_) => "message_too_long",
            Self::RateLimited(_) => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::BotUnavailable => "bot_unavailable",
        }
    }

    fn sentence(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::InvalidJson => "The frame is not valid JSON",
            Self::InvalidFrame => "The frame is none that can be sent here: send a message or typing",
            Self::InvalidText => "The text must be a string without U+0000",
            Self::EmptyMessage => "The message is empty",
            Self::TooLong(chars) => {
                return Cow::Owned(format!("The message is longer than {chars} characters"));
            }
            Self::RateLimited(_) => "Too many messages: wait a moment before the next one",
            Self::Unavailable => "The message could not be stored: send it again",
            Self::BotUnavailable => "The assistant cannot answer at the moment",
        })
    }

    /// The frame that says so.
    pub(crate) fn frame(self, client_id: Option<&str>) -> Outgoing<'_> {
        let retry_after = match self {
            Self::RateLimited(seconds) => Some(seconds),
            _ => None,
        };
        Outgoing::Error {
            code: self.code(),
            error: self.sentence(),
            client_id,
            retry_after,
        }
    }
}
