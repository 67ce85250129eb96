//! What is taken from the visitor.

use serde_json::{Map, Value};

use super::{Fault, FaultKind};

/// Longest name that a client may give its message, in characters.
pub const CLIENT_ID_CHARS: usize = 128;
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
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::protocol::frame_bytes;

    const MAX_CHARS: usize = 10;

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
