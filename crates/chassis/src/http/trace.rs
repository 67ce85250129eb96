//! A request's place in the things that span requests: its id, its position in a trace.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use switchhook_core::trace::TraceContext;
use uuid::Uuid;

use super::Failure;

/// Header of the request's id, taken and returned.
pub const REQUEST_ID: &str = "x-request-id";
const REQUEST_ID_MAX: usize = 128;

/// The id under which the log has a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The caller's id where it is sane (`[A-Za-z0-9._-]{1,128}`), else a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given {
            Some(id) if is_sane(id) => Self(id.to_owned()),
            _ => Self(random().simple().to_string()),
        }
    }
}

fn is_sane(id: &str) -> bool {
    (1..=REQUEST_ID_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The trace that the caller is in, if its `traceparent` is valid.
pub(crate) fn inbound(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all("traceparent");
    let only = given.next().filter(|_| given.next().is_none())?;
    TraceContext::parse(only.to_str().ok()?)
}

/// A seed without meaning: ids of traces and requests tell nothing of when they were made.
pub(crate) fn random() -> Uuid {
    Uuid::from_u128(rand::random())
}

/// The request's own position in its trace, for what it causes elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTrace(pub TraceContext);

impl FromRequest for RequestTrace {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().copied();
        ready(Ok(
            known.unwrap_or_else(|| Self(TraceContext::from_seed(random())))
        ))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_replaced() {
        let of = |id: &str| {
            let request = TestRequest::default()
                .insert_header((REQUEST_ID, id))
                .to_http_request();
            RequestId::of(request.headers()).0
        };
        assert_eq!(of("abc-1.2_X"), "abc-1.2_X");
        let longest = "a".repeat(128);
        assert_eq!(of(&longest), longest);
        for insane in ["", "a b", "a\"b", "é", "{}", &"a".repeat(129)] {
            let made = of(insane);
            assert_eq!(made.len(), 32, "{insane}");
            assert_ne!(made, of(insane), "{insane}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let one = TestRequest::default()
            .insert_header(("traceparent", header))
            .to_http_request();
        assert_eq!(
            inbound(one.headers()).map(|c| c.to_string()).as_deref(),
            Some(header)
        );
        let two = TestRequest::default()
            .append_header(("traceparent", header))
            .append_header(("traceparent", header))
            .to_http_request();
        assert_eq!(inbound(two.headers()), None);
    }
}
