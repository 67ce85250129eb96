//! The bot behind a chat: it says what it was told, at once or token by token.

use std::time::Duration;

use serde_json::{Value, json};

use super::answers;
use crate::server::Answer;

/// Characters of the question that the answer repeats.
const QUOTED_CHARS: usize = 200;

/// What a visitor wrote.
pub(super) struct Words {
    text: String,
    /// Whether the Chat Trigger was asked.
    trigger: bool,
}

impl Words {
    /// Reads the request of `chat-ws-svc`, in either format; none when it is not one.
    pub(super) fn from_body(body: &Value) -> Option<Self> {
        body.get("sessionId")?.as_str()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let (plain, trigger) = (text("text"), text("chatInput"));
        Some(Self {
            trigger: plain.is_none(),
            text: plain.or(trigger)?,
        })
    }

    fn answer(&self) -> String {
        let quoted: String = self.text.chars().take(QUOTED_CHARS).collect();
        format!("You said: {quoted}")
    }

    /// The answer as a whole.
    pub(super) fn answered(&self) -> Answer {
        if self.trigger {
            answers::said(&self.answer())
        } else {
            answers::texted(&self.answer())
        }
    }

    /// The answer as n8n streams it, a line each `pace`.
    pub(super) fn streamed(&self, pace: Duration) -> Answer {
        let answer = self.answer();
        let tokens = answer.split_inclusive(' ').map(|token| ("item", Some(token)));
        let lines = std::iter::once(("begin", None))
            .chain(tokens)
            .chain([("end", None)]);
        let body: String = lines.map(|(kind, content)| line(kind, content)).collect();
        Answer {
            pace: Some(pace),
            ..answers::of_stream(body)
        }
    }
}

fn line(kind: &str, content: Option<&str>) -> String {
    let metadata = json!({"nodeId": "00000000-0000-4000-8000-00000000007e", "nodeName": "AI Agent", "itemIndex": 0,
        "runIndex": 0, "timestamp": 1_795_168_886_424_i64});
    let content = content.map_or_else(String::new, |content| format!("\"content\":{},", json!(content)));
    format!("{{\"type\":\"{kind}\",{content}\"metadata\":{metadata}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let plain = Words::from_body(&json!({"sessionId": "s", "text": "hello"})).unwrap();
        assert_eq!(plain.answered().body, r#"{"text":"You said: hello"}"#);
        let trigger = json!({"action": "sendMessage", "sessionId": "s", "chatInput": "hello"});
        let trigger = Words::from_body(&trigger).unwrap();
        assert_eq!(trigger.answered().body, r#"{"output":"You said: hello"}"#);
        assert!(Words::from_body(&json!({"text": "hello"})).is_none());
    }

    #[test]
    fn a_stream_has_a_line_for_each_token() {
        let words = Words::from_body(&json!({"sessionId": "s", "text": "a b"})).unwrap();
        let answer = words.streamed(Duration::from_millis(1));
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let lines: Vec<Value> = body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let said: String = lines.iter().filter_map(|line| line["content"].as_str()).collect();
        assert_eq!((lines.len(), said.as_str()), (6, "You said: a b"));
    }
}
