//! The frames of the visitor's WebSocket: what he is sent, what is taken from him, and why a frame is refused. They are
//! described in `PROTOCOL.md`.
//!
//! What the frames look like and nothing else; what they lead to is [`domain::connection`](crate::domain::connection)'s.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use switchhook_core::models::time::WireTime;

use crate::domain::entry::{Mode, Sender};
use crate::domain::ids::{MessageId, SessionId};

/// Longest name that a client may give its message, in characters.
pub const CLIENT_ID_CHARS: usize = 128;
/// Most bytes that one code point takes in JSON, as an escaped surrogate pair.
const BYTES_PER_CHAR: usize = 12;
/// What a frame has around its text, generously.
const AROUND_BYTES: usize = 4 * 1024;

/// The largest frame that may hold a message of that many code points.
pub fn frame_bytes(message_chars: usize) -> usize {
    message_chars * BYTES_PER_CHAR + AROUND_BYTES
}

/// What the visitor is sent.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Outgoing<'a> {
    /// First of all: which chat it is, and what brings it back.
    Session {
        session_id: &'a SessionId,
        resume_token: &'a str,
        resumed: bool,
        mode: Mode,
    },
    /// Somebody wrote.
    Message {
        message_id: MessageId,
        from: Sender,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        text: &'a str,
        timestamp: WireTime,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
    },
    /// A piece of a streamed answer, or that its pieces are void.
    Delta {
        message_id: MessageId,
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
    },
    /// Somebody writes, or stopped.
    Typing { from: Sender, active: bool },
    /// The visitor's message is stored.
    Ack {
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
        message_id: MessageId,
    },
    /// Somebody else speaks from here on.
    Status { mode: Mode },
    /// Something went wrong; the connection stays open.
    Error {
        code: &'a str,
        error: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
}

impl Outgoing<'_> {
    /// The frame as text.
    pub(crate) fn to_text(&self) -> String {
        // Strings, numbers and fixed keys: there is nothing in it that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What the visitor sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// He wrote.
    Message {
        /// What.
        text: String,
        /// What his client calls it; a repeat under the same name is the same message.
        client_id: Option<String>,
    },
    /// He is writing, or stopped.
    Typing {
        /// Which of the two.
        active: bool,
    },
}

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

impl Incoming {
    /// Reads a text frame; `max_chars` is the longest message.
    pub fn read(frame: &str, max_chars: usize) -> Result<Self, Fault> {
        let fault = |kind| Fault {
            kind,
            client_id: None,
        };
        let value: Value = serde_json::from_str(frame).map_err(|_| fault(FaultKind::InvalidJson))?;
        let Value::Object(fields) = value else {
            return Err(fault(FaultKind::InvalidFrame));
        };
        match fields.get("type") {
            Some(Value::String(kind)) if kind == "message" => Self::message(fields, max_chars),
            Some(Value::String(kind)) if kind == "typing" => match fields.get("active") {
                Some(Value::Bool(active)) => Ok(Self::Typing { active: *active }),
                _ => Err(fault(FaultKind::InvalidFrame)),
            },
            None if fields.contains_key("text") => Self::message(fields, max_chars),
            _ => Err(fault(FaultKind::InvalidFrame)),
        }
    }

    fn message(mut fields: Map<String, Value>, max_chars: usize) -> Result<Self, Fault> {
        let client_id = match fields.remove("clientId") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if is_client_id(&id) => Some(id),
            Some(_) => {
                return Err(Fault {
                    kind: FaultKind::InvalidFrame,
                    client_id: None,
                });
            }
        };
        let kind = match fields.remove("text") {
            Some(Value::String(text)) => match judge(&text, max_chars) {
                None => return Ok(Self::Message { text, client_id }),
                Some(kind) => kind,
            },
            _ => FaultKind::InvalidText,
        };
        Err(Fault { kind, client_id })
    }
}

fn is_client_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= CLIENT_ID_CHARS && !id.contains('\0')
}

fn judge(text: &str, max_chars: usize) -> Option<FaultKind> {
    if text.trim().is_empty() {
        Some(FaultKind::EmptyMessage)
    } else if text.contains('\0') {
        Some(FaultKind::InvalidText)
    } else if text.len() > max_chars && text.chars().count() > max_chars {
        Some(FaultKind::TooLong(max_chars))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const MAX_CHARS: usize = 10;
    const MSG: &str = "msg-00000000000000000000000000000001";

    fn shown(frame: &Outgoing<'_>) -> Value {
        serde_json::from_str(&frame.to_text()).unwrap()
    }

    fn read(frame: &Value) -> Result<Incoming, Fault> {
        Incoming::read(&frame.to_string(), MAX_CHARS)
    }

    fn message(text: &str, client_id: Option<&str>) -> Incoming {
        Incoming::Message {
            text: text.to_owned(),
            client_id: client_id.map(str::to_owned),
        }
    }

    #[test]
    fn messages_and_typing_are_taken() {
        for (frame, expected) in [
            (
                json!({"type": "message", "text": " hi ", "clientId": "c1"}),
                message(" hi ", Some("c1")),
            ),
            (
                json!({"type": "message", "text": "hi", "clientId": null, "more": 1}),
                message("hi", None),
            ),
            (json!({"text": "hi"}), message("hi", None)),
            (
                json!({"text": "😀".repeat(MAX_CHARS)}),
                message(&"😀".repeat(MAX_CHARS), None),
            ),
            (
                json!({"type": "typing", "active": true}),
                Incoming::Typing { active: true },
            ),
            (
                json!({"type": "typing", "active": false}),
                Incoming::Typing { active: false },
            ),
        ] {
            assert_eq!(read(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_a_reason() {
        use FaultKind::{EmptyMessage, InvalidFrame, InvalidText, TooLong};
        for (frame, kind) in [
            (json!([]), InvalidFrame),
            (json!("hi"), InvalidFrame),
            (json!({}), InvalidFrame),
            (json!({"type": "session"}), InvalidFrame),
            (json!({"type": 1, "text": "hi"}), InvalidFrame),
            (json!({"type": null, "text": "hi"}), InvalidFrame),
            (json!({"type": "typing"}), InvalidFrame),
            (json!({"type": "typing", "active": "true"}), InvalidFrame),
            (json!({"text": "hi", "clientId": 1}), InvalidFrame),
            (json!({"text": "hi", "clientId": ""}), InvalidFrame),
            (json!({"text": "hi", "clientId": "a\0"}), InvalidFrame),
            (
                json!({"text": "hi", "clientId": "a".repeat(CLIENT_ID_CHARS + 1)}),
                InvalidFrame,
            ),
            (json!({"type": "message"}), InvalidText),
            (json!({"text": 1}), InvalidText),
            (json!({"text": null}), InvalidText),
            (json!({"text": "a\0b"}), InvalidText),
            (json!({"text": ""}), EmptyMessage),
            (json!({"text": " \n\t"}), EmptyMessage),
            (json!({"text": "é".repeat(MAX_CHARS + 1)}), TooLong(MAX_CHARS)),
        ] {
            assert_eq!(
                read(&frame),
                Err(Fault {
                    kind,
                    client_id: None
                }),
                "{frame}"
            );
        }
        for frame in ["", "{", "{\"text\":\"\\ud800\"}", "hi"] {
            assert_eq!(
                Incoming::read(frame, MAX_CHARS).unwrap_err().kind,
                FaultKind::InvalidJson,
                "{frame}"
            );
        }
        let named = read(&json!({"text": "", "clientId": "c1"})).unwrap_err();
        assert_eq!(named.client_id.as_deref(), Some("c1"));
    }

    #[test]
    fn the_frames_look_like_this() {
        let id = MessageId(Uuid::from_u128(1));
        let at = WireTime(DateTime::from_timestamp(1_759_838_400, 0).unwrap());
        let session = SessionId::parse("cw-1759838400000-k3v9").unwrap();
        for (frame, expected) in [
            (
                Outgoing::Session {
                    session_id: &session,
                    resume_token: "ab",
                    resumed: false,
                    mode: Mode::Bot,
                },
                json!({"type": "session", "sessionId": "cw-1759838400000-k3v9", "resumeToken": "ab", "resumed": false, "mode": "bot"}),
            ),
            (
                Outgoing::Message {
                    message_id: id,
                    from: Sender::Operator,
                    name: Some("Sarah"),
                    text: "hi",
                    timestamp: at,
                    client_id: None,
                },
                json!({"type": "message", "messageId": MSG, "from": "operator", "name": "Sarah", "text": "hi",
                    "timestamp": "2025-10-07T12:00:00.000Z"}),
            ),
            (
                Outgoing::Delta {
                    message_id: id,
                    index: Some(0),
                    text: Some("He"),
                    reset: false,
                },
                json!({"type": "delta", "messageId": MSG, "index": 0, "text": "He"}),
            ),
            (
                Outgoing::Delta {
                    message_id: id,
                    index: None,
                    text: None,
                    reset: true,
                },
                json!({"type": "delta", "messageId": MSG, "reset": true}),
            ),
        ] {
            assert_eq!(shown(&frame), expected);
        }
    }

    #[test]
    fn the_smaller_frames_look_like_this() {
        let id = MessageId(Uuid::from_u128(1));
        for (frame, expected) in [
            (
                Outgoing::Typing {
                    from: Sender::Bot,
                    active: true,
                },
                json!({"type": "typing", "from": "bot", "active": true}),
            ),
            (
                Outgoing::Ack {
                    client_id: Some("c1"),
                    message_id: id,
                },
                json!({"type": "ack", "clientId": "c1", "messageId": MSG}),
            ),
            (
                Outgoing::Status { mode: Mode::Operator },
                json!({"type": "status", "mode": "operator"}),
            ),
            (
                FaultKind::RateLimited(7).frame(Some("c1")),
                json!({"type": "error", "code": "rate_limited", "clientId": "c1", "retryAfter": 7,
                    "error": "Too many messages: wait a moment before the next one"}),
            ),
        ] {
            assert_eq!(shown(&frame), expected);
        }
    }

    #[test]
    fn the_longest_message_fits_a_frame_however_it_is_written() {
        let text = "\\ud83d\\ude00".repeat(MAX_CHARS);
        let frame = format!(
            "{{\"type\":\"message\",\"text\":\"{text}\",\"clientId\":\"{}\"}}",
            "\\u00e9".repeat(CLIENT_ID_CHARS)
        );
        assert!(frame.len() <= frame_bytes(MAX_CHARS));
        assert!(Incoming::read(&frame, MAX_CHARS).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(frame in ".{0,200}") {
            if let Ok(Incoming::Message { text, .. }) = Incoming::read(&frame, MAX_CHARS) {
                prop_assert!(!text.trim().is_empty() && text.chars().count() <= MAX_CHARS && !text.contains('\0'));
            }
        }
    }
}
