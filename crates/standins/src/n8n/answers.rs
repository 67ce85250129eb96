//! n8n's own answers, byte for byte as n8n 2.41 gives them.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::server::Answer;

const JSON: &str = "application/json; charset=utf-8";
const NOT_ACTIVE: &str = "The workflow must be active for a production URL to run successfully. You can activate the \
    workflow using the toggle in the top-right of the editor. Note that unlike test URL calls, production URL calls \
    aren't shown on the canvas (only in the executions list)";

/// A workflow that answers immediately.
pub(super) fn started() -> Answer {
    of_json(200, &json!({"message": "Workflow was started"}))
}

/// A workflow that broke before it answered.
pub(super) fn workflow_error() -> Answer {
    of_json(500, &json!({"message": "Error in workflow"}))
}

/// A path without a published workflow. `path` is what follows `/webhook/`.
pub(super) fn not_registered(method: &str, path: &str) -> Answer {
    let message = format!("The requested webhook \"{method} {path}\" is not registered.");
    of_text(
        404,
        JSON,
        ordered(&[
            ("code", json!(404)),
            ("message", json!(message)),
            ("hint", json!(NOT_ACTIVE)),
        ]),
    )
}

/// A published workflow that was called with another method.
pub(super) fn wrong_method(method: &str) -> Answer {
    let message =
        format!("This webhook is not registered for {method} requests. Did you mean to make a POST request?");
    of_text(
        404,
        JSON,
        ordered(&[("code", json!(404)), ("message", json!(message))]),
    )
}

/// A body that is labelled JSON and is not.
pub(super) fn unreadable(error: &serde_json::Error) -> Answer {
    let fields = [
        ("code", json!(422)),
        ("message", json!("Failed to parse request body")),
        ("hint", json!(error.to_string())),
    ];
    of_text(422, JSON, ordered(&fields))
}

/// A body above n8n's limit of 16 MiB.
pub(super) fn too_large() -> Answer {
    let message = json!("There was a problem executing the workflow");
    of_text(500, JSON, ordered(&[("code", json!(0)), ("message", message)]))
}

/// A wrong or missing header-auth secret: text without a content type.
pub(super) fn forbidden() -> Answer {
    let body = Bytes::from_static(b"Authorization data is wrong!");
    let challenge = (
        "WWW-Authenticate".to_owned(),
        "Basic realm=\"Webhook\"".to_owned(),
    );
    Answer {
        status: 403,
        headers: vec![challenge],
        body,
        pace: None,
    }
}

/// What a Respond to Webhook node sends when the calls are made.
pub(super) fn finished(session_id: &str, calls_made: u32) -> Answer {
    of_text(200, JSON, completion(session_id, calls_made, None))
}

/// The completion as a workflow writes it, keys in the usual order.
pub(super) fn completion(session_id: &str, calls_made: u32, message: Option<&str>) -> String {
    let mut fields = vec![
        ("sessionId", json!(session_id)),
        ("status", json!("finished")),
        ("callsMade", json!(calls_made)),
    ];
    fields.extend(message.map(|message| ("message", json!(message))));
    ordered(&fields)
}

/// What an agent's last node sends when it is asked to wait.
pub(super) fn said(text: &str) -> Answer {
    of_json(200, &json!({ "output": text }))
}

/// What a bot's last node sends when it calls its words a text.
pub(super) fn texted(text: &str) -> Answer {
    of_json(200, &json!({ "text": text }))
}

/// A streamed answer: labelled JSON, without a length.
pub(super) fn of_stream(body: String) -> Answer {
    Answer {
        status: 200,
        headers: vec![
            ("Content-Type".to_owned(), JSON.to_owned()),
            ("Cache-Control".to_owned(), "no-cache".to_owned()),
            ("Connection".to_owned(), "keep-alive".to_owned()),
        ],
        body: body.into(),
        pace: None,
    }
}

/// The answer to a preflight, for any path.
pub(super) fn preflight() -> Answer {
    Answer {
        status: 204,
        headers: Vec::new(),
        body: Bytes::new(),
        pace: None,
    }
}

fn of_json(status: u16, body: &Value) -> Answer {
    of_text(status, JSON, body.to_string())
}

/// Text under n8n's own headers.
pub(super) fn of_text(status: u16, content_type: &str, body: String) -> Answer {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let headers = vec![
        ("Content-Type".to_owned(), content_type.to_owned()),
        (
            "ETag".to_owned(),
            format!("W/\"{:x}-{:016x}\"", body.len(), hasher.finish()),
        ),
        ("Vary".to_owned(), "Accept-Encoding".to_owned()),
        ("Connection".to_owned(), "keep-alive".to_owned()),
        ("Keep-Alive".to_owned(), "timeout=5".to_owned()),
    ];
    Answer {
        status,
        headers,
        body: body.into(),
        pace: None,
    }
}

/// An object whose keys keep this order: JSON values alone would be sorted.
fn ordered(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}:{value}", json!(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.body).unwrap()
    }

    #[test]
    fn bodies_are_n8n_s_byte_for_byte() {
        assert_eq!(text(&started()), r#"{"message":"Workflow was started"}"#);
        assert_eq!(text(&workflow_error()), r#"{"message":"Error in workflow"}"#);
        assert_eq!(
            text(&not_registered("POST", "lab/nope")),
            r#"{"code":404,"message":"The requested webhook \"POST lab/nope\" is not registered.","hint":"The workflow must be active for a production URL to run successfully. You can activate the workflow using the toggle in the top-right of the editor. Note that unlike test URL calls, production URL calls aren't shown on the canvas (only in the executions list)"}"#
        );
        assert_eq!(
            text(&wrong_method("GET")),
            r#"{"code":404,"message":"This webhook is not registered for GET requests. Did you mean to make a POST request?"}"#
        );
        assert_eq!(
            text(&too_large()),
            r#"{"code":0,"message":"There was a problem executing the workflow"}"#
        );
        assert_eq!(
            text(&finished("s1", 3)),
            r#"{"sessionId":"s1","status":"finished","callsMade":3}"#
        );
        assert_eq!(
            completion("s1", 3, Some("Completed all calls")),
            r#"{"sessionId":"s1","status":"finished","callsMade":3,"message":"Completed all calls"}"#
        );
    }

    #[test]
    fn a_wrong_secret_is_answered_without_a_content_type() {
        let answer = forbidden();
        assert_eq!(
            (answer.status, text(&answer)),
            (403, "Authorization data is wrong!")
        );
        assert!(
            !answer
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        );
    }
}
