//! Request bodies: bytes within a bound and a time, of a type that is JSON, read field by field.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::n8n::envelope;
use switchhook_core::problem::Problem;

use super::Failure;
use crate::kit::Kit;

/// Longest a body may take to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);

/// The bound of an address that takes more or less than `MAX_BODY_BYTES`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// A JSON body from a user or an operator's tool.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A JSON body that n8n sends: bare, in an array, or as the item of its Webhook node.
#[derive(Debug)]
pub struct FromN8n<T>(pub T);

impl<T: FromFields + 'static> FromRequest for Json<T> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let value = json(request, payload);
        Box::pin(async move { Ok(Self(T::from_fields(Fields::of(value.await?)?)?)) })
    }
}

impl<T: FromFields + 'static> FromRequest for FromN8n<T> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let value = json(request, payload);
        Box::pin(async move { Ok(Self(T::from_fields(Fields::of(envelope::unwrap(value.await?))?)?)) })
    }
}

/// A body that is not used: only its form is checked, as everywhere.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl FromRequest for NoBody {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let value = json(request, payload);
        Box::pin(async move { Ok(Fields::of(value.await?).map(|_| Self)?) })
    }
}

/// The body's value; an empty body is `{}`.
fn json(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Value, Failure>> + use<> {
    let bytes = json_bytes(request, payload);
    async move { Ok(parse(&bytes.await?)?) }
}

/// The bytes of a body that says it is JSON, as they came: for bodies that are verified, or kept, before they are read.
pub fn json_bytes(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Failure>> + use<> {
    let accepted = accept(request.headers());
    let bytes = bytes(request, payload);
    async move {
        accepted?;
        bytes.await
    }
}

/// The body's bytes, within the bound of the address.
fn bytes(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Failure>> + use<> {
    let limit = limit(request);
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let payload = payload.take();
    async move {
        if announced.is_some_and(|length: u64| usize::try_from(length).map_or(true, |length| length > limit))
        {
            return Err(Problem::payload_too_large(limit).into());
        }
        match tokio::time::timeout(ARRIVAL_LIMIT, collect(payload, limit)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let why = format!("The body did not arrive within {} s", ARRIVAL_LIMIT.as_secs());
                Err(Problem::new(408, "request_timeout", why).into())
            }
        }
    }
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "body broke off");
            Problem::new(400, "invalid_body", "The body is malformed or broke off")
        })?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::payload_too_large(limit).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn limit(request: &HttpRequest) -> usize {
    let own = request.app_data::<BodyLimit>().map(|limit| limit.0);
    let common = || {
        request
            .app_data::<Data<Kit>>()
            .map(|kit| kit.settings.max_body_bytes.get() as usize)
    };
    own.or_else(common).unwrap_or(0)
}

/// `application/json`, any `…+json` and no type at all are JSON, in UTF-8 and as it is.
fn accept(headers: &HeaderMap) -> Result<(), Problem> {
    for encoding in headers.get_all(header::CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            let message = "Content-Encoding is not accepted: send the body as it is";
            return Err(Problem::new(415, "unsupported_media_type", message));
        }
    }
    let mut types = headers.get_all(header::CONTENT_TYPE);
    let (given, another) = (types.next(), types.next());
    let Some(given) = given else { return Ok(()) };
    let text = given.to_str().unwrap_or("(not text)");
    if another.is_none() && is_json(text) {
        Ok(())
    } else {
        Err(Problem::unsupported_media_type(text))
    }
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let json = essence == "application/json"
        || essence
            .split_once('/')
            .is_some_and(|(kind, sub)| is_token(kind) && sub.strip_suffix("+json").is_some_and(is_token));
    let charset_fits = parts
        .filter_map(|part| part.trim().split_once('='))
        .all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    json && charset_fits
}

/// The value of a JSON body; an empty one is `{}`.
///
/// # Errors
/// It is malformed; the message says where.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    // serde_json's messages end in the line and column, and quote nothing of the body.
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid_json(format!("The body is not valid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_are_json() {
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/webhook+json",
            "application/vnd.api+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "text/plain",
            "application/jsonp",
            "application/xml",
            "application/+json",
            "+json",
            "application/json; charset=latin1",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn a_malformed_body_is_told_where() {
        let problem = parse(b"{\"a\": 1,\n \"b\": }").unwrap_err();
        assert_eq!(problem.code, "invalid_json");
        assert!(problem.message.contains("line 2 column 7"), "{}", problem.message);
        assert_eq!(parse(b" \r\n").unwrap(), Value::Object(Map::new()));
        assert!(parse(&[0xff, 0xfe]).is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
