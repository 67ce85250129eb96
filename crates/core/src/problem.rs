//! The one error body of all services.
//!
//! `{"success": false, "error": "<sentence for a person>", "code": "<snake_case word for a program>", …extras}`.
//! It owns the shape and the default codes. It does not know HTTP types: the chassis turns it into a response.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A failure as its reader sees it. Never holds internals: the cause is logged where it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// HTTP status, 400..=599.
    pub status: u16,
    /// Stable word for a program.
    pub code: Cow<'static, str>,
    /// Sentence for a person.
    pub message: String,
    /// Further keys of the body.
    pub extras: Map<String, Value>,
    /// Seconds for the `Retry-After` header.
    pub retry_after_secs: Option<u32>,
    /// Methods for the `Allow` header of a 405.
    pub allow: Option<String>,
}

impl Problem {
    /// A problem with a status, a code and a sentence.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            message: message.into(),
            extras: Map::new(),
            retry_after_secs: None,
            allow: None,
        }
    }

    /// Adds a key to the body.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(key.to_owned(), value.into());
        self
    }

    /// Tells the caller when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_secs = Some(seconds);
        self
    }

    /// 400 `invalid_json`: the body is not JSON; `why` says where.
    pub fn invalid_json(why: impl Into<String>) -> Self {
        Self::new(400, "invalid_json", why)
    }

    /// 400 `invalid_field` about one field.
    pub fn invalid_field(name: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::invalid_fields(BTreeMap::from([(name.to_owned(), why)]))
    }

    /// 400 `invalid_field` about several fields. With a single faulty field the sentence is about it; a missing one
    /// reads `<name> is required`.
    pub fn invalid_fields(faults: BTreeMap<String, String>) -> Self {
        let message = match faults.iter().next() {
            Some((name, why)) if faults.len() == 1 => format!("{name} {why}"),
            _ => {
                let each: Vec<String> = faults.iter().map(|(name, why)| format!("{name} {why}")).collect();
                each.join("; ")
            }
        };
        let fields: Map<String, Value> = faults
            .into_iter()
            .map(|(name, why)| (name.clone(), Value::from(format!("{name} {why}"))))
            .collect();
        Self::new(400, "invalid_field", message).with("fields", fields)
    }

    /// 401 `unauthorized`.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "unauthorized", message)
    }

    /// 403 `forbidden`.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "forbidden", message)
    }

    /// 404 `not_found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found", message)
    }

    /// 405 `method_not_allowed` with its `Allow` header.
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        let allow = allow.into();
        let mut problem = Self::new(
            405,
            "method_not_allowed",
            format!("This address takes {allow} only"),
        );
        problem.allow = Some(allow);
        problem
    }

    /// 413 `payload_too_large`.
    pub fn payload_too_large(limit_bytes: usize) -> Self {
        Self::new(
            413,
            "payload_too_large",
            format!("The body is larger than the limit of {limit_bytes} bytes"),
        )
        .with("limitBytes", limit_bytes)
    }

    /// 415 `unsupported_media_type`.
    pub fn unsupported_media_type(content_type: &str) -> Self {
        Self::new(
            415,
            "unsupported_media_type",
            format!("Content-Type {content_type:?} is not accepted: send application/json"),
        )
    }

    /// 429 `rate_limited`.
    pub fn rate_limited(retry_after_secs: u32) -> Self {
        Self::new(429, "rate_limited", "Too many requests: slow down").retry_after(retry_after_secs)
    }

    /// 503 `unavailable`: the database is away, or the service is draining.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "unavailable", message).retry_after(2)
    }

    /// 500 `internal`: a defect of ours. No input leads here.
    pub fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Something went wrong on our side; the log has it under this request's id",
        )
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("success".into(), Value::Bool(false));
        body.insert("error".into(), Value::from(self.message.clone()));
        body.insert("code".into(), Value::from(self.code.as_ref()));
        for (key, value) in &self.extras {
            body.insert(key.clone(), value.clone());
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_field_is_named_in_the_sentence() {
        let problem = Problem::invalid_field("taskId", "is required");
        assert_eq!(problem.message, "taskId is required");
        assert_eq!(problem.to_json()["fields"]["taskId"], "taskId is required");
        assert_eq!(problem.to_json()["code"], "invalid_field");
    }

    #[test]
    fn every_faulty_field_is_named() {
        let faults = BTreeMap::from([
            ("a".to_owned(), "is required".to_owned()),
            ("b".to_owned(), "must be a number".to_owned()),
        ]);
        let problem = Problem::invalid_fields(faults);
        assert_eq!(problem.message, "a is required; b must be a number");
        assert_eq!(problem.to_json()["fields"].as_object().map(Map::len), Some(2));
    }
}
