//! Twirp: bodies in protobuf or JSON, and errors.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::server::Answer;

const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

impl Form {
    /// The form that a request announces; none when Twirp knows none of that name.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let announced = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match announced.split(';').next().unwrap_or_default().trim() {
            PROTOBUF => Some(Self::Protobuf),
            JSON => Some(Self::Json),
            _ => None,
        }
    }

    pub(super) fn decode<T: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<T, Fault> {
        let decoded = match self {
            Self::Protobuf => T::decode(body).ok(),
            Self::Json => serde_json::from_slice(body).ok(),
        };
        decoded.ok_or_else(|| match self {
            Self::Protobuf => Fault::new("malformed", "the protobuf request could not be decoded"),
            Self::Json => Fault::new("malformed", "the json request could not be decoded"),
        })
    }

    pub(super) fn encode<T: Message + Serialize>(self, message: &T) -> Answer {
        match self {
            Self::Protobuf => answer(200, PROTOBUF, message.encode_to_vec()),
            Self::Json => answer(200, JSON, serde_json::to_vec(message).unwrap_or_default()),
        }
    }
}

/// A protobuf message as JSON; none when it is no such message.
pub(super) fn shown<T: Message + Default + Serialize>(body: &[u8]) -> Option<Value> {
    serde_json::to_value(T::decode(body).ok()?).ok()
}

/// Whether an answer's body is protobuf.
pub(super) fn is_protobuf(answer: &Answer) -> bool {
    answer
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("content-type") && value == PROTOBUF)
}

/// An error as Twirp tells it.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    code: &'static str,
    msg: String,
    meta: Map<String, Value>,
    /// How long it takes to find out.
    pub(super) after: Duration,
}

impl Fault {
    pub(super) fn new(code: &'static str, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            meta: Map::new(),
            after: Duration::ZERO,
        }
    }

    /// What came of a call that was to be answered, as the carrier words it: `486 Busy Here`.
    pub(super) fn of_carrier(words: &str) -> Self {
        let (status, text) = words.split_once(' ').unwrap_or(("500", words));
        let code = match status {
            "486" | "480" | "600" => "resource_exhausted",
            "403" | "603" => "permission_denied",
            "404" => "not_found",
            _ => "failed_precondition",
        };
        let mut fault = Self::new(code, format!("sip status {status}: {text}"));
        fault.meta = Map::from_iter([
            ("sip_status_code".to_owned(), status.into()),
            ("sip_status".to_owned(), text.into()),
        ]);
        fault
    }

    /// Whoever should know does not answer.
    pub(super) fn unheard(after: Duration) -> Self {
        Self {
            after,
            ..Self::new("unavailable", "no response from servers")
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let status = match self.code {
            "deadline_exceeded" => 408,
            "invalid_argument" | "malformed" | "out_of_range" => 400,
            "not_found" | "bad_route" => 404,
            "unauthenticated" => 401,
            "permission_denied" => 403,
            "already_exists" | "aborted" => 409,
            "resource_exhausted" => 429,
            "failed_precondition" => 412,
            "unavailable" => 503,
            _ => 500,
        };
        let mut body = json!({"code": self.code, "msg": self.msg});
        if !self.meta.is_empty() {
            body["meta"] = Value::Object(self.meta.clone());
        }
        answer(status, JSON, body.to_string().into_bytes())
    }
}

/// A complete answer.
pub(super) fn answer(status: u16, content_type: &str, body: Vec<u8>) -> Answer {
    Answer {
        status,
        headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
        body: body.into(),
        pace: None,
    }
}
