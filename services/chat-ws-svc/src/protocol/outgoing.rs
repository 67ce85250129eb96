//! What the visitor is sent.

use std::borrow::Cow;

use serde::Serialize;
use switchhook_core::models::time::WireTime;

use crate::domain::entry::{Mode, Sender};
use crate::domain::ids::{MessageId, SessionId};

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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::protocol::FaultKind;

    const MSG: &str = "msg-00000000000000000000000000000001";

    fn shown(frame: &Outgoing<'_>) -> Value {
        serde_json::from_str(&frame.to_text()).unwrap()
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
}
