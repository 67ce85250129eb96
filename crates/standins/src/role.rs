//! What a stand-in plays, and how a request reaches it: written down, read, steered by the orders, answered.
//!
//! Everything that is the same for every system outside is here; a [`Role`] says only what is that system's own.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::{Map, Value};

use crate::control::{Break, Control, Orders, Refused};
use crate::log::{Arrival, Direction, Log};
use crate::server::{Answer, Reply};

/// Largest body of a request: n8n's own limit, and more than anybody else sends.
const MAX_BODY_BYTES: usize = 16 << 20;
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// A request whose body has been read.
pub(crate) struct Received {
    pub(crate) parts: Parts,
    /// The path as [`Role::path`] gives it.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// The body as JSON.
    pub(crate) parsed: Result<Value, serde_json::Error>,
}

/// A system outside.
pub(crate) trait Role: Send + Sync + 'static {
    /// What it was told to do.
    fn orders(&self) -> &Orders;

    /// What it got, and what it sent by itself.
    fn log(&self) -> &Log;

    /// Answers a request, before an order's status, headers and body are put in the place of its own.
    fn answer(
        self: &Arc<Self>,
        received: Received,
        order: Option<&Control>,
    ) -> impl Future<Output = Answer> + Send;

    /// A complete answer with the headers that this system sends.
    fn dressed(status: u16, content_type: &str, body: String) -> Answer;

    /// The answer to a body that is too large.
    fn too_large() -> Answer;

    /// The answer to a preflight; none when the system knows none.
    fn preflight() -> Option<Answer> {
        None
    }

    /// The path that orders, the log and the system itself go by.
    fn path(path: &str) -> &str {
        path
    }

    /// Whether the order makes sense for this system.
    fn admits(order: &Control) -> Result<(), Refused> {
        acts_by_itself(order)
    }

    /// A body that is not JSON, for orders and the log, where this system has such bodies.
    fn request_as_json(_parts: &Parts, _path: &str, _body: &[u8]) -> Option<Value> {
        None
    }

    /// An answer as the log shows it.
    fn answer_as_text(_path: &str, answer: &Answer) -> String {
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Removes the orders that the filter names.
    fn clear(&self, path: Option<&str>, values: &Map<String, Value>) {
        self.orders().clear(path, values);
    }

    /// A control endpoint that only this stand-in has; the request comes back when it is none.
    fn own_control(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Answer, Request<Incoming>>> + Send {
        async { Err(request) }
    }
}

/// Refuses an order that tells what is done and what is answered apart.
pub(crate) fn acts_by_itself(order: &Control) -> Result<(), Refused> {
    if order.acts {
        return Err(Refused {
            field: "acts".to_owned(),
            why: "is for LiveKit alone",
        });
    }
    Ok(())
}

/// Takes a request to the system itself.
pub(crate) async fn receive<R: Role>(role: &Arc<R>, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let path = R::path(parts.uri.path()).to_owned();
    if parts.method == Method::OPTIONS
        && let Some(answer) = R::preflight()
    {
        return Reply::Answer(answer);
    }
    if let Some(order) = role.orders().take_before_body(&path) {
        let seq = role.log().arrived(arrival(&parts, &path, String::new()));
        role.log().answered(seq, None, String::new(), order.drop);
        tokio::time::sleep(order.delay).await;
        return Reply::HangUp;
    }
    let read = read(body).await;
    if let Ok(body) = &read
        && !role.log().is_open()
        && role.orders().is_empty()
    {
        let received = Received {
            parsed: serde_json::from_slice(body),
            parts,
            path,
            body: body.clone(),
        };
        return Reply::Answer(role.answer(received, None).await);
    }
    let decoded = read
        .as_ref()
        .ok()
        .and_then(|body| R::request_as_json(&parts, &path, body));
    let text = match (&decoded, &read) {
        (Some(decoded), _) => decoded.to_string(),
        (None, Ok(body)) => String::from_utf8_lossy(body).into_owned(),
        (None, Err(_)) => String::new(),
    };
    let seq = role.log().arrived(arrival(&parts, &path, text));
    let body = match read {
        Ok(body) => body,
        Err(TooLarge::Yes) => return noted(role, seq, &path, Reply::Answer(R::too_large()), None),
        Err(TooLarge::No) => return Reply::HangUp,
    };
    let received = Received {
        parsed: decoded.map_or_else(|| serde_json::from_slice(&body), Ok),
        parts,
        path: path.clone(),
        body,
    };
    let (reply, dropped) = decide(role, received).await;
    noted(role, seq, &path, reply, dropped)
}

fn arrival(parts: &Parts, path: &str, text: String) -> Arrival {
    let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Arrival {
        direction: Direction::Received,
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, text)| (name.to_string(), value(text)))
            .collect(),
        text,
    }
}

fn noted<R: Role>(role: &Arc<R>, seq: u64, path: &str, reply: Reply, dropped: Option<Break>) -> Reply {
    let (status, text) = match &reply {
        Reply::Answer(answer) | Reply::Cut(answer) => (Some(answer.status), R::answer_as_text(path, answer)),
        Reply::HangUp => (None, String::new()),
    };
    role.log().answered(seq, status, text, dropped);
    reply
}

async fn decide<R: Role>(role: &Arc<R>, received: Received) -> (Reply, Option<Break>) {
    let Some(order) = role.orders().take(&received.path, received.parsed.as_ref().ok()) else {
        return (Reply::Answer(role.answer(received, None).await), None);
    };
    if order.drop == Some(Break::Before) {
        tokio::time::sleep(order.delay).await;
        return (Reply::HangUp, order.drop);
    }
    let natural = if order.act_after.is_zero() {
        role.answer(received, Some(&order)).await
    } else {
        match act_later(role, received, order.clone()).await {
            Ok(natural) => natural,
            Err(_) => return (Reply::HangUp, order.drop),
        }
    };
    tokio::time::sleep(order.delay).await;
    let answer = overridden(natural, &order, R::dressed);
    let reply = match order.drop {
        Some(Break::Middle) => Reply::Cut(answer),
        Some(_) => Reply::HangUp,
        None => Reply::Answer(answer),
    };
    (reply, order.drop)
}

/// Acts after a while, also when the caller has gone by then.
async fn act_later<R: Role>(
    role: &Arc<R>,
    received: Received,
    order: Control,
) -> Result<Answer, tokio::task::JoinError> {
    let role = Arc::clone(role);
    let acting = tokio::spawn(async move {
        tokio::time::sleep(order.act_after).await;
        role.answer(received, Some(&order)).await
    });
    acting.await
}

/// The system's own answer with whatever the order says in its place.
fn overridden(natural: Answer, order: &Control, dressed: fn(u16, &str, String) -> Answer) -> Answer {
    let status = order.status.unwrap_or(200);
    let mut answer = match &order.body {
        None => Answer {
            status: order.status.unwrap_or(natural.status),
            ..natural
        },
        Some(Value::String(text)) => dressed(status, HTML, text.clone()),
        Some(body) => dressed(status, JSON, body.to_string()),
    };
    if let Some(content_type) = &order.content_type {
        answer
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        answer
            .headers
            .push(("Content-Type".to_owned(), content_type.clone()));
    }
    answer.headers.extend(order.headers.iter().cloned());
    answer
}

/// Why a body was not read.
pub(crate) enum TooLarge {
    Yes,
    No,
}

pub(crate) async fn read(body: Incoming) -> Result<Bytes, TooLarge> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(TooLarge::Yes),
        Err(_) => Err(TooLarge::No),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dressed(status: u16, content_type: &str, body: String) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.into(),
            pace: None,
        }
    }

    #[test]
    fn an_order_replaces_only_what_it_names() {
        let natural = dressed(200, JSON, "{\"ok\":true}".to_owned());
        let order = Control {
            status: Some(503),
            ..Control::default()
        };
        let answer = overridden(natural.clone(), &order, dressed);
        assert_eq!((answer.status, &answer.body), (503, &natural.body));
        let order = Control {
            body: Some(json!("late")),
            content_type: Some("text/plain".into()),
            ..order
        };
        let answer = overridden(natural, &order, dressed);
        assert_eq!(
            answer.headers,
            [("Content-Type".to_owned(), "text/plain".to_owned())]
        );
        assert_eq!((answer.status, &answer.body[..]), (503, &b"late"[..]));
    }
}
