//! What surrounds every request: its id, its trace, its span, one line in the log, two metrics, the headers that every
//! answer carries, and the common shape for errors that nobody else gave one.

use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};
use switchhook_core::problem::Problem;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::address::ClientAddress;
use super::trace::{self, REQUEST_ID, RequestId, RequestTrace};
use super::unread::Unread;
use super::{Failure, failure};
use crate::kit::Kit;
use crate::telemetry;

/// Routes that only machines of the house ask for, again and again.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/health"];
/// What a document that is no page may do: nothing.
const STRICT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The outermost layer of the stack.
pub(super) async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(kit) = request.app_data::<Data<Kit>>().cloned() else {
        return Err(Failure(Problem::internal()).into());
    };
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let client = ClientAddress::of(request.head(), &kit.settings.trusted_proxies);
    let method = request.method().clone();
    let (span, position) = span(&request, &id, client);
    {
        let mut known = request.extensions_mut();
        known.insert(id.clone());
        known.insert(client);
        known.insert(position);
    }
    let unread = Unread::of(&mut request);
    let outcome = next.call(request).instrument(span.clone()).await;
    let mut response = shape(outcome?);
    finish_headers(response.headers_mut(), &id);
    if kit.tasks.draining().is_cancelled() {
        // Kept connections move to another replica before the listener closes.
        response
            .response_mut()
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    let status = response.status();
    span.in_scope(|| tell(&span, &route, &method, status, started));
    if method == Method::HEAD {
        response = response.map_body(|_, body| without_content(body));
    }
    Ok(match unread {
        Some(unread) => {
            // Where there is no body, the head does it.
            response.response_mut().extensions_mut().insert(unread.clone());
            response.map_body(|_, body| unread.held_by(body))
        }
        None => response,
    })
}

fn span(request: &ServiceRequest, id: &RequestId, client: ClientAddress) -> (Span, RequestTrace) {
    let inbound = trace::inbound(request.headers());
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        request_id = %id.0,
        trace_id = Empty,
        method = %request.method(),
        route = Empty,
        status = Empty,
        client = %client.0,
        machine = Empty,
    );
    let position = telemetry::position(&span, inbound);
    span.record("trace_id", position.trace_id_hex());
    (span, RequestTrace(position))
}

/// One access line and the metrics. Nothing of the path or query goes into either: they may name people.
fn tell(span: &Span, route: &str, method: &Method, status: StatusCode, started: Instant) {
    let elapsed = started.elapsed();
    span.record("route", route);
    span.record("status", status.as_u16());
    telemetry::finish(span, format!("{method} {route}"), status.is_server_error());
    let latency_ms = elapsed.as_secs_f64() * 1000.0;
    if PROBES.contains(&route) {
        tracing::debug!(latency_ms, "request served");
    } else {
        tracing::info!(latency_ms, "request served");
    }
    let labels = [
        ("route", route.to_owned()),
        ("method", method_label(method).to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
}

/// Invented methods must not become time series.
fn method_label(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

/// Errors that actix or another crate made get the common shape.
fn shape(response: ServiceResponse<impl MessageBody + 'static>) -> ServiceResponse<BoxBody> {
    let failure = match response.response().error() {
        Some(error) if error.as_error::<Failure>().is_none() => Some(Failure::of_actix(error)),
        None if is_bare(&response) => Some(Failure(failure::of_status(response.status()))),
        _ => None,
    };
    match failure {
        Some(failure) => ServiceResponse::new(response.request().clone(), failure.error_response()),
        None => response.map_into_boxed_body(),
    }
}

/// An error without a word of explanation.
fn is_bare(response: &ServiceResponse<impl MessageBody>) -> bool {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    is_error
        && matches!(
            response.response().body().size(),
            BodySize::None | BodySize::Sized(0)
        )
}

fn finish_headers(headers: &mut HeaderMap, id: &RequestId) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, STRICT_POLICY);
    default(header::CACHE_CONTROL, "no-store");
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
}

/// HEAD has the headers of GET and no content; a stream is not even begun.
fn without_content(body: BoxBody) -> BoxBody {
    match body.size() {
        BodySize::Sized(_) | BodySize::None => body,
        BodySize::Stream => BoxBody::new(()),
    }
}
