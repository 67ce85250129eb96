//! What an agent says in an answer: its texts, whatever key and shape the author of its workflow chose.
//!
//! It looks at the bytes, not at the label: n8n calls text HTML, and streams JSON.

use serde_json::{Map, Value};

use super::envelope;

/// Where an answer's text may stand, the first that holds some.
const TEXT_KEYS: [&str; 6] = ["text", "output", "reply", "response", "answer", "message"];
/// What n8n says by itself.
const SENTENCES_OF_N8N: [&str; 2] = [
    "Workflow was started",
    "Workflow executed successfully but the last node did not return any data",
];
/// Kinds of lines of n8n's streams.
const LINE_KINDS: [&str; 5] = ["begin", "item", "end", "error", "keepalive"];

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing: the agent has the request, and no more.
    Nothing,
    /// These texts, in order.
    Texts(Vec<String>),
    /// The workflow broke while it streamed; what n8n says about it may be empty.
    Broken(String),
}

/// Reads the body of a 2xx. A workflow may send back what it was sent: `echoed` names the key of such an object that
/// holds our own text.
pub fn read(body: &[u8], echoed: impl Fn(&Map<String, Value>) -> Option<&'static str>) -> Said {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if let Some(said) = streamed(text) {
        return said;
    }
    let found = match serde_json::from_str(text) {
        Ok(value) => texts_of(value, &echoed),
        Err(_not_json) => worded(text).into_iter().collect(),
    };
    if found.is_empty() {
        Said::Nothing
    } else {
        Said::Texts(found)
    }
}

fn texts_of(value: Value, echoed: &impl Fn(&Map<String, Value>) -> Option<&'static str>) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .into_iter()
            .filter_map(|item| text_of(envelope::unwrap(item), echoed))
            .collect(),
        single => text_of(envelope::unwrap(single), echoed).into_iter().collect(),
    }
}

fn text_of(value: Value, echoed: &impl Fn(&Map<String, Value>) -> Option<&'static str>) -> Option<String> {
    match value {
        Value::String(text) => worded(&text),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(object) if is_our_own_answer(&object) => None,
        Value::Object(object) => {
            let own = echoed(&object);
            let mut keys = TEXT_KEYS.iter().filter(|key| Some(**key) != own);
            let said = |key: &str| object.get(key)?.as_str().filter(|text| !text.trim().is_empty());
            keys.find_map(|key| said(key)).and_then(worded)
        }
        _ => None,
    }
}

/// What a workflow sends back that ends with its request to us.
fn is_our_own_answer(object: &Map<String, Value>) -> bool {
    object.get("success").is_some_and(Value::is_boolean)
        && ["sessionId", "taskId", "error"]
            .iter()
            .any(|key| object.contains_key(*key))
}

/// The text, where it says something and n8n does not say it by itself. PostgreSQL cannot store U+0000.
fn worded(text: &str) -> Option<String> {
    let text = text.replace('\0', "");
    let says = !text.trim().is_empty() && !SENTENCES_OF_N8N.contains(&text.trim());
    says.then_some(text)
}

/// Reads n8n's streaming answer, once it is there as a whole: the pieces of a node make one text, several nodes' texts
/// stand below each other.
fn streamed(text: &str) -> Option<Said> {
    let lines: Option<Vec<Map<String, Value>>> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(line_of)
        .collect();
    let lines = lines.filter(|lines| !lines.is_empty())?;
    let (mut texts, mut piece) = (Vec::new(), String::new());
    for line in &lines {
        let content = line.get("content").and_then(Value::as_str).unwrap_or_default();
        match line.get("type").and_then(Value::as_str) {
            Some("error") => return Some(Said::Broken(content.replace('\0', ""))),
            Some("item") => piece.push_str(content),
            Some("begin" | "end") => texts.push(std::mem::take(&mut piece)),
            _ => {}
        }
    }
    texts.push(piece);
    let texts: Vec<String> = texts.into_iter().filter_map(|text| in_item(&text)).collect();
    Some(if texts.is_empty() {
        Said::Nothing
    } else {
        Said::Texts(vec![texts.join("\n")])
    })
}

pub(super) fn line_of(line: &str) -> Option<Map<String, Value>> {
    let Ok(Value::Object(line)) = serde_json::from_str(line) else {
        return None;
    };
    let kind = line.get("type")?.as_str()?;
    let complete = kind == "keepalive" || line.get("metadata").is_some_and(Value::is_object);
    (LINE_KINDS.contains(&kind) && complete).then_some(line)
}

/// An object that a node streams comes as JSON inside of the text.
pub(super) fn in_item(text: &str) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => text_of(Value::Object(object), &|_| None),
        _ => worded(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn said(body: &str) -> Said {
        read(body.as_bytes(), |_| None)
    }

    fn texts(of: &[&str]) -> Said {
        Said::Texts(of.iter().map(|text| (*text).to_owned()).collect())
    }

    /// The bodies are those of n8n 2.41.
    #[test]
    fn a_text_is_found_under_any_of_its_keys() {
        for (body, expected) in [
            (r#"{"text":"You said: hello"}"#, "You said: hello"),
            (
                r#"{"output":"You said: hello (session s1)"}"#,
                "You said: hello (session s1)",
            ),
            (r#"{"response":"hi"}"#, "hi"),
            (r#"{"answer":"hi","message":"other"}"#, "hi"),
            (r#"{"output":"","message":"hi"}"#, "hi"),
            (r#"{"output":{"a":1},"message":"hi"}"#, "hi"),
            (r#"[{"reply":"hi"}]"#, "hi"),
            (
                r#"{"headers":{},"params":{},"query":{},"body":{"text":"hi"}}"#,
                "hi",
            ),
            ("echo: hi", "echo: hi"),
            ("\"hi\"", "hi"),
            ("42", "42"),
            (r#"{"text":"a\u0000b"}"#, "ab"),
        ] {
            assert_eq!(said(body), texts(&[expected]), "{body}");
        }
        assert_eq!(
            said(r#"[{"text":"a"},{"x":1},{"output":"b"}]"#),
            texts(&["a", "b"])
        );
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        for body in [
            "",
            " \n",
            r#"{"message":"Workflow was started"}"#,
            r#"{"message":"Workflow executed successfully but the last node did not return any data"}"#,
            "Workflow was started",
            r#"{"accepted":true}"#,
            r#"{"success":true,"taskId":"task_1","responseId":"r"}"#,
            r#"{"success":false,"error":"Task not found","message":"no"}"#,
            r#"{"success":true,"sessionId":"cw-1","message":"Message sent to user successfully"}"#,
            r#"{"executionStarted":true,"executionId":"7"}"#,
            "[]",
            "null",
            "true",
            r#"{"text":"  "}"#,
            r#"{"text":"\u0000"}"#,
        ] {
            assert_eq!(said(body), Said::Nothing, "{body}");
        }
    }

    #[test]
    fn our_own_request_sent_back_is_no_answer() {
        let echoed = |object: &Map<String, Value>| object.contains_key("callbackUrl").then_some("message");
        let sent = json!({"taskId": "t", "message": "hello", "callbackUrl": "http://x"});
        let sent_back = |value: &Value| read(value.to_string().as_bytes(), echoed);
        assert_eq!(sent_back(&sent), Said::Nothing);
        let item =
            json!({"headers": {}, "params": {}, "query": {}, "body": sent, "webhookUrl": "http://n8n"});
        assert_eq!(sent_back(&item), Said::Nothing);
        let mut answered = sent.clone();
        answered["output"] = json!("hi");
        assert_eq!(sent_back(&answered), texts(&["hi"]));
        assert_eq!(sent_back(&json!({"message": "hello"})), texts(&["hello"]));
    }

    fn line(kind: &str, content: Option<&str>) -> String {
        let mut line =
            json!({"type": kind, "metadata": {"nodeId": "n", "nodeName": "Chunk", "itemIndex": 0}});
        if let Some(content) = content {
            line["content"] = json!(content);
        }
        format!("{line}\n")
    }

    #[test]
    fn a_stream_is_one_text() {
        let tokens = [
            line("begin", None),
            line("item", Some("Hello")),
            "{\"type\":\"keepalive\"}\n".to_owned(),
            line("item", Some(" there")),
            line("end", None),
        ];
        assert_eq!(said(&tokens.concat()), texts(&["Hello there"]));
        let second = [
            line("begin", None),
            line("item", Some(r#"{"output":"second part"}"#)),
            line("end", None),
        ];
        let both = tokens.concat() + &second.concat();
        assert_eq!(said(&both), texts(&["Hello there\nsecond part"]));
        assert_eq!(said(&line("begin", None)), Said::Nothing);
    }

    #[test]
    fn a_stream_that_breaks_says_so() {
        let broken = line("begin", None) + &line("item", Some("Hel")) + &line("error", Some("forced"));
        assert_eq!(said(&broken), Said::Broken("forced".to_owned()));
        assert_eq!(said(&line("error", None)), Said::Broken(String::new()));
    }

    #[test]
    fn an_object_with_a_type_is_not_a_stream_yet() {
        assert_eq!(said(r#"{"type":"item","text":"hi"}"#), texts(&["hi"]));
        assert_eq!(
            said("{\"type\":\"item\"}\nplain"),
            texts(&["{\"type\":\"item\"}\nplain"])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Said::Texts(texts) = read(&body, |_| None) {
                prop_assert!(texts.iter().all(|text| !text.trim().is_empty() && !text.contains('\0')));
            }
        }
    }
}
