//! What an answer of n8n means. It is read by what it says, not by its status or label alone: a 200 may be empty, JSON
//! may be labelled `text/html`, and a 404 may come from an n8n that is still starting.

use serde_json::{Map, Value};

use super::envelope;

/// Why a delivery did not go as it should: a word for a program, a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable snake_case word.
    pub code: String,
    /// Sentence for the owner of what was to be delivered.
    pub message: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

/// The kinds of answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A 2xx: the workflow has the request.
    Answered,
    /// The workflow certainly did not run: try again.
    NotSent(Reason),
    /// The request will never be accepted as it is: give up.
    Refused(Reason),
    /// The workflow ran and broke: give up.
    Failed(Reason),
    /// Nobody can tell whether the workflow runs.
    Unknown(Reason),
}

// Longest piece of a foreign answer that is shown to a person, in characters.
const QUOTED_CHARS: usize = 300;

/// Reads a status and a body. `location` is the header of a redirect, which is named and never followed.
pub fn read(status: u16, location: Option<&str>, body: &[u8]) -> Reading {
    let said = words(body);
    match status {
        200..=299 => Reading::Answered,
        300..=399 => Reading::Refused(Reason::new(
            "redirected",
            format!(
                "n8n answered {status} and points to {}; redirects are never followed, so set the webhook URL to \
                that address",
                location.map_or_else(|| "no address".to_owned(), cut)
            ),
        )),
        404 if said.contains("Did you mean") => refused(status, &said),
        404 if said.contains("is not registered") => Reading::NotSent(Reason::new(
            "workflow_not_published",
            "n8n says that the webhook is not registered: the workflow is not published, or n8n is still starting",
        )),
        429 => Reading::NotSent(Reason::new("n8n_busy", "n8n answered 429: it has too much to do")),
        503 => Reading::NotSent(Reason::new("n8n_busy", "n8n answered 503: it is not ready")),
        400..=499 => refused(status, &said),
        500 if said.contains("Error in workflow")
            || said.contains("There was a problem executing the workflow") =>
        {
            Reading::Failed(Reason::new(
                "workflow_failed",
                format!("The workflow broke; n8n says: {}", cut(&said)),
            ))
        }
        504 | 524 => Reading::Unknown(Reason::new(
            "answer_timeout",
            format!("A proxy before n8n gave up waiting and answered {status}; the workflow may be running"),
        )),
        _ => Reading::Unknown(Reason::new(
            "n8n_error",
            format!(
                "n8n answered {status}{}; the workflow may be running",
                quoted(&said)
            ),
        )),
    }
}

fn refused(status: u16, said: &str) -> Reading {
    Reading::Refused(Reason::new(
        "n8n_refused",
        format!("n8n refused the request with {status}{}", quoted(said)),
    ))
}

/// The object that an answer holds: bare, in an array of one, or inside an n8n item, whatever its label.
pub fn object(body: &[u8]) -> Option<Map<String, Value>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    match envelope::unwrap(value) {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// What the body says to a person: its `message` or `error`, else its text.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let told = object(body).and_then(|object| {
        ["message", "error"]
            .iter()
            .find_map(|key| object.get(*key)?.as_str().map(str::to_owned))
    });
    told.unwrap_or_else(|| text.trim().to_owned())
}

fn quoted(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {}", cut(said))
    }
}

fn cut(text: &str) -> String {
    let printable = |c: &char| !c.is_control();
    let mut cut: String = text.chars().filter(printable).take(QUOTED_CHARS).collect();
    if text.chars().count() > QUOTED_CHARS {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(reading: &Reading) -> (&'static str, &str) {
        match reading {
            Reading::Answered => ("answered", ""),
            Reading::NotSent(r) => ("not_sent", &r.code),
            Reading::Refused(r) => ("refused", &r.code),
            Reading::Failed(r) => ("failed", &r.code),
            Reading::Unknown(r) => ("unknown", &r.code),
        }
    }

    /// The bodies are those of n8n 2.41.
    #[test]
    fn answers_of_n8n_are_told_apart() {
        let not_registered = br#"{"code":404,"message":"The requested webhook \"POST x\" is not registered.","hint":"activate it"}"#;
        let wrong_method =
            br#"{"code":404,"message":"This webhook is not registered for POST requests. Did you mean to make a GET request?"}"#;
        let cases: [(u16, &[u8], (&str, &str)); 15] = [
            (200, b"", ("answered", "")),
            (202, b"{\"ok\":true}", ("answered", "")),
            (404, not_registered, ("not_sent", "workflow_not_published")),
            (404, wrong_method, ("refused", "n8n_refused")),
            (404, b"Not Found", ("refused", "n8n_refused")),
            (403, b"Authorization data is wrong!", ("refused", "n8n_refused")),
            (410, b"", ("refused", "n8n_refused")),
            (429, b"", ("not_sent", "n8n_busy")),
            (503, b"", ("not_sent", "n8n_busy")),
            (302, b"", ("refused", "redirected")),
            (
                500,
                br#"{"message":"Error in workflow"}"#,
                ("failed", "workflow_failed"),
            ),
            (
                500,
                br#"{"code":0,"message":"There was a problem executing the workflow"}"#,
                ("failed", "workflow_failed"),
            ),
            (500, b"oops", ("unknown", "n8n_error")),
            (502, b"<html>", ("unknown", "n8n_error")),
            (524, b"", ("unknown", "answer_timeout")),
        ];
        for (status, body, expected) in cases {
            assert_eq!(
                kind(&read(status, Some("https://elsewhere.example/x"), body)),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn a_redirect_is_named() {
        let Reading::Refused(reason) = read(301, Some("https://n8n.example/webhook/x"), b"") else {
            panic!()
        };
        assert!(reason.message.contains("https://n8n.example/webhook/x"));
    }

    #[test]
    fn an_object_is_found_whatever_its_wrapping() {
        for body in [r#"{"status":"finished"}"#, r#"[{"status":"finished"}]"#] {
            assert_eq!(object(body.as_bytes()).unwrap()["status"], "finished");
        }
        for body in ["", "text", "[]", "3", "[{\"a\":1},{\"b\":2}]"] {
            assert!(object(body.as_bytes()).is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_reading(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(status, None, &body);
            let _ = object(&body);
        }
    }
}
