//! n8n's streaming answer while it comes: what there is to show of it, piece by piece, however its lines are cut.
//!
//! What it shows is a preview. The whole answer is read by [`said`](super::said) once it is there.

use serde_json::Value;

use super::said;

/// What is known of an answer that comes.
#[derive(Debug, Default)]
pub struct Pieces {
    line: Vec<u8>,
    kind: Kind,
    /// What a node has said so far, where it may turn out to be an object.
    object: Option<String>,
    shown: bool,
    /// Whether what the present node says stands below what others said.
    below: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No line is complete.
    #[default]
    Unknown,
    /// Lines of a stream.
    Stream,
    /// Another answer: it is read as a whole.
    Other,
}

impl Pieces {
    /// Takes the next bytes and gives what they add to the text; often nothing.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        let mut added = String::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.kind == Kind::Other {
                return added;
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take(&String::from_utf8_lossy(&line), &mut added);
            }
        }
        added
    }

    fn take(&mut self, line: &str, added: &mut String) {
        if line.trim().is_empty() {
            return;
        }
        let Some(line) = said::line_of(line) else {
            self.kind = Kind::Other;
            return;
        };
        self.kind = Kind::Stream;
        let content = line.get("content").and_then(Value::as_str).unwrap_or_default();
        match line.get("type").and_then(Value::as_str) {
            Some("item") => self.item(content, added),
            Some("begin" | "end") => {
                if let Some(object) = self.object.take()
                    && let Some(text) = said::in_item(&object)
                {
                    self.show(&text, added);
                }
                self.below = self.shown;
            }
            // What follows is nothing to show.
            Some("error") => self.kind = Kind::Other,
            _ => {}
        }
    }

    fn item(&mut self, content: &str, added: &mut String) {
        match &mut self.object {
            Some(object) => object.push_str(content),
            // Shown once it is known what it is.
            None if content.trim_start().starts_with('{') => self.object = Some(content.to_owned()),
            None => self.show(&content.replace('\0', ""), added),
        }
    }

    fn show(&mut self, text: &str, added: &mut String) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.below) {
            added.push('\n');
        }
        self.shown = true;
        added.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::n8n::said::{Said, read};

    fn line(kind: &str, content: Option<&str>) -> String {
        let mut line = json!({"type": kind, "metadata": {"nodeId": "n"}});
        if let Some(content) = content {
            line["content"] = json!(content);
        }
        format!("{line}\n")
    }

    fn shown(body: &str, cut: usize) -> String {
        let mut pieces = Pieces::default();
        body.as_bytes()
            .chunks(cut.max(1))
            .map(|chunk| pieces.feed(chunk))
            .collect()
    }

    #[test]
    fn tokens_are_shown_as_they_come() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.feed(line("begin", None).as_bytes()), "");
        assert_eq!(pieces.feed(line("item", Some("Hel")).as_bytes()), "Hel");
        assert_eq!(pieces.feed(b"{\"type\":\"keepalive\"}\n"), "");
        let rest = line("item", Some("lo"));
        let (a, b) = rest.as_bytes().split_at(9);
        assert_eq!((pieces.feed(a).as_str(), pieces.feed(b).as_str()), ("", "lo"));
    }

    #[test]
    fn what_is_no_stream_is_not_shown() {
        for body in ["Hello\nthere\n", "{\"text\":\"hi\"}\n", "[1,\n2]\n", "\n\nx\n"] {
            assert_eq!(shown(body, 3), "", "{body}");
        }
        let broken = line("item", Some("Hel")) + &line("error", Some("forced")) + &line("item", Some("x"));
        assert_eq!(shown(&broken, 7), "Hel");
    }

    proptest! {
        /// However it is cut, what was shown is in the end what is stored.
        #[test]
        fn the_preview_is_the_whole_in_the_end(
            nodes in proptest::collection::vec(proptest::collection::vec("[a-zé ]{1,5}", 1..4), 1..4),
            object in any::<bool>(),
            cut in 1_usize..40,
        ) {
            let mut body = String::new();
            for node in &nodes {
                body += &line("begin", None);
                if object {
                    body += &line("item", Some(&json!({"output": node.concat()}).to_string()));
                } else {
                    for token in node {
                        body += &line("item", Some(token));
                    }
                }
                body += &line("end", None);
            }
            let whole = match read(body.as_bytes(), |_| None) {
                Said::Texts(texts) => texts.concat(),
                _ => String::new(),
            };
            // A node that says nothing leaves a line break, or none: only words count.
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&shown(&body, cut)), words(&whole));
        }
    }
}
