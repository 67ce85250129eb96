//! Both entries for Retell's events: what n8n forwards, and what Retell sends itself.

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value, json};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, MachinePost, body};
use switchhook_core::n8n::envelope;
use utoipa::ToSchema;

use super::signature::{Signed, signature};
use crate::app::AppState;
use crate::domain::event::{self, Event};
use crate::ledger::{Incoming, Novelty, Taken};

/// An event of Retell's. Everything else that Retell sends is kept too.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `Event::read` reads it")]
pub(crate) struct EventIn {
    /// Such as `call_analyzed`; `event_type` is taken as well.
    #[schema(examples("call_analyzed"))]
    event: String,
    /// The call, with `call_id` and `agent_id`; `chat` with `chat_id`, or `data`, may stand in its place.
    call: Value,
    /// Where the call does not name it.
    agent_id: Option<String>,
}

/// What came of an event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the answer; `answer` makes it")]
pub(crate) struct EventOut {
    /// Always true.
    success: bool,
    /// What happened.
    message: Option<String>,
    /// The call.
    data: Option<Value>,
    /// Nobody has the agent: the call waits for whoever connects it.
    held: Option<bool>,
    /// The event is kept already; it changed nothing.
    duplicate: Option<bool>,
    /// The call was erased; nothing is kept.
    erased: Option<bool>,
}

/// The bytes of a body, as they came.
pub(crate) struct Raw(Bytes);

impl FromRequest for Raw {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = body::json_bytes(request, payload);
        Box::pin(async move { Ok(Self(bytes.await?)) })
    }
}

/// Takes an event that n8n forwards
///
/// Bare, in an array of one, or as the item of a Webhook node.
#[utoipa::path(
    post,
    path = "/api/n8n/retell-webhook",
    tag = "webhooks",
    operation_id = "forwardedEvent",
    request_body = EventIn,
    security(("webhookSecret" = [])),
    responses(
        (status = 200, description = "The event is kept", body = EventOut),
        (status = 202, description = "The event is kept; nobody has connected the agent", body = EventOut),
        (status = 400, description = "event, call_id or agent_id is missing", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn from_n8n(
    state: Data<AppState>,
    _machine: MachinePost,
    raw: Raw,
) -> Result<HttpResponse, Failure> {
    let event = envelope::unwrap(event::parse(&raw.0)?);
    keep(&state, &event, raw.0).await
}

/// Takes an event that Retell sends
///
/// The signature is verified over the bytes of the body, with the API key of whoever has the agent, else with those of
/// the installation.
#[utoipa::path(
    post,
    path = "/api/retell/webhook",
    tag = "webhooks",
    operation_id = "signedEvent",
    request_body = EventIn,
    params(("x-retell-signature" = String, Header, description = "v=<milliseconds>,d=<HMAC-SHA256 in hex>")),
    responses(
        (status = 200, description = "The event is kept", body = EventOut),
        (status = 202, description = "The event is kept; nobody has connected the agent", body = EventOut),
        (status = 400, description = "event, call_id or agent_id is missing", body = ref("#/components/schemas/Problem")),
        (status = 401, description = "The signature is missing or wrong; nothing is kept",
            body = ref("#/components/schemas/Problem")),
        WithBody, Always
    )
)]
pub(crate) async fn from_retell(
    state: Data<AppState>,
    request: HttpRequest,
    raw: Raw,
) -> Result<HttpResponse, Failure> {
    let signature = signature(request.headers())?;
    let event = event::parse(&raw.0);
    let signed = Signed {
        signature: &signature,
        body: &raw.0,
        now: state.kit.clock.now(),
    };
    // The body only tells which key is asked for; nothing else of it is believed yet.
    let agent = event.as_ref().ok().and_then(event::agent_named_in);
    state.signing_keys.verify(agent.as_deref(), signed).await?;
    keep(&state, &event?, raw.0).await
}

async fn keep(state: &AppState, body: &Value, raw: Bytes) -> Result<HttpResponse, Failure> {
    let event = Event::read(body, state.kit.clock.now())?;
    let told = Told {
        event: event.name.clone(),
        call_id: event.call_id.clone(),
        agent_id: event.agent_id.clone(),
    };
    let taken = state.ledger.take(Incoming { event, raw }).await?;
    log(&told, &taken);
    Ok(answer(told, &taken))
}

/// What is told of an event, once it is kept.
struct Told {
    event: String,
    call_id: String,
    agent_id: String,
}

fn log(told: &Told, taken: &Taken) {
    let (what, user) = match taken {
        Taken::Saved { user, .. } => ("event saved", user.as_str()),
        Taken::Held { .. } => ("event held: nobody has connected the agent", "-"),
        Taken::Erased => ("event of an erased call", "-"),
    };
    metrics::counter!("retell_events_total", "result" => result(taken)).increment(1);
    tracing::info!(
        event = told.event,
        call_id = told.call_id,
        agent_id = told.agent_id,
        user,
        "[RETELL WEBHOOK] {what}"
    );
}

/// The word of an outcome in the metrics.
fn result(taken: &Taken) -> &'static str {
    match taken {
        Taken::Saved { novelty, .. } | Taken::Held { novelty } if *novelty == Novelty::Duplicate => {
            "duplicate"
        }
        Taken::Saved { .. } => "saved",
        Taken::Held { .. } => "held",
        Taken::Erased => "erased",
    }
}

fn answer(told: Told, taken: &Taken) -> HttpResponse {
    let mut body = Map::from_iter([("success".to_owned(), Value::Bool(true))]);
    let (mut response, novelty) = match taken {
        Taken::Saved {
            user,
            duration_minutes,
            novelty,
        } => {
            body.insert("message".into(), "Call saved".into());
            body.insert(
                "data".into(),
                json!({
                    "callId": told.call_id,
                    "userId": user.as_str(),
                    "event": told.event,
                    "durationMinutes": duration_minutes,
                }),
            );
            (HttpResponse::Ok(), *novelty)
        }
        Taken::Held { novelty } => {
            body.insert("held".into(), true.into());
            body.insert("message".into(), "No client found for this agent".into());
            body.insert("agentId".into(), told.agent_id.into());
            (HttpResponse::Accepted(), *novelty)
        }
        Taken::Erased => {
            body.insert("erased".into(), true.into());
            (HttpResponse::Ok(), Novelty::New)
        }
    };
    if novelty == Novelty::Duplicate {
        body.insert("duplicate".into(), true.into());
    }
    response.json(body)
}
