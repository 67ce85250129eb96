//! What became of the delivery of a message, and what the agent says in its answer, if it does.
//!
//! It does not know how the request is made.

use serde_json::{Map, Value};
use switchhook_core::n8n::reply::Reason;
use switchhook_core::n8n::said::{self, Said};

use super::task::{Failure, MAX_TEXT_CHARS};

/// Most answers in one body.
const MAX_TEXTS: usize = 100;
/// Reasons that are not the agent's doing: they say themselves whose.
const NOT_THE_AGENTS: [&str; 2] = ["discarded", "poison"];

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The agent has the message. What it answers at once may be nothing: then it answers by webhook.
    Taken(Vec<String>),
    /// It has not, or nothing more is to be expected.
    Lost(Failure),
}

/// Reads the body of a 2xx.
pub fn read(body: &[u8]) -> Ended {
    match said::read(body, echoed) {
        Said::Nothing => Ended::Taken(Vec::new()),
        Said::Broken(words) => Ended::Lost(Failure::new("workflow_failed", broke(&words))),
        Said::Texts(texts) if texts.len() > MAX_TEXTS => Ended::Lost(Failure::new(
            "answer_too_long",
            format!(
                "The agent gave {} answers at once; {MAX_TEXTS} are taken at most",
                texts.len()
            ),
        )),
        Said::Texts(texts) => {
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
            if longest > MAX_TEXT_CHARS {
                let message = format!(
                    "The agent's answer has {longest} characters; {MAX_TEXT_CHARS} are taken at most"
                );
                Ended::Lost(Failure::new("answer_too_long", message))
            } else {
                Ended::Taken(texts)
            }
        }
    }
}

/// It could not be delivered in time.
pub fn given_up(reason: &Reason) -> Ended {
    Ended::Lost(if NOT_THE_AGENTS.contains(&reason.code.as_str()) {
        Failure::new(&reason.code, &reason.message)
    } else {
        Failure::unreachable(&reason.message)
    })
}

/// It was refused, broke, or nobody knows what became of it.
pub fn lost(reason: &Reason) -> Ended {
    Ended::Lost(Failure::new(&reason.code, &reason.message))
}

/// The key of our own text in an object that a workflow sends back as it came.
fn echoed(object: &Map<String, Value>) -> Option<&'static str> {
    let ours = ["messageId", "callbackUrl"]
        .iter()
        .all(|key| object.contains_key(*key));
    ours.then_some("message")
}

fn broke(words: &str) -> String {
    let words: String = words.chars().take(300).collect();
    if words.trim().is_empty() {
        "The workflow broke while it answered".to_owned()
    } else {
        format!("The workflow broke while it answered; n8n says: {}", words.trim())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(ended: Ended) -> String {
        match ended {
            Ended::Lost(failure) => failure.code,
            Ended::Taken(texts) => panic!("{texts:?}"),
        }
    }

    #[test]
    fn an_answer_is_taken_as_it_is() {
        assert_eq!(read(br#"{"response":"hi"}"#), Ended::Taken(vec!["hi".into()]));
        assert_eq!(read(b""), Ended::Taken(vec![]));
        assert_eq!(
            read(br#"{"message":"Workflow was started"}"#),
            Ended::Taken(vec![])
        );
        let long = "x".repeat(MAX_TEXT_CHARS);
        assert_eq!(read(long.as_bytes()), Ended::Taken(vec![long]));
    }

    #[test]
    fn our_own_request_is_no_answer() {
        let sent = json!({"taskId": "t", "message": "hello", "messageId": "m", "callbackUrl": "u"});
        assert_eq!(read(sent.to_string().as_bytes()), Ended::Taken(vec![]));
    }

    #[test]
    fn what_cannot_be_kept_fails() {
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        assert_eq!(code(read(long.as_bytes())), "answer_too_long");
        let many = json!(vec!["x"; MAX_TEXTS + 1]).to_string();
        assert_eq!(code(read(many.as_bytes())), "answer_too_long");
        let broken = b"{\"type\":\"error\",\"content\":\"forced\",\"metadata\":{}}";
        let Ended::Lost(failure) = read(broken) else {
            panic!()
        };
        assert!(failure.message.ends_with("n8n says: forced"), "{failure:?}");
    }

    #[test]
    fn who_gave_up_is_told_apart() {
        let reason = |code| Reason::new(code, "because");
        assert_eq!(code(given_up(&reason("n8n_busy"))), "agent_unreachable");
        assert_eq!(code(given_up(&reason("discarded"))), "discarded");
        assert_eq!(code(lost(&reason("n8n_refused"))), "n8n_refused");
    }
}
