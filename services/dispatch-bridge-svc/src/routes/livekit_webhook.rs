//! LiveKit's webhooks: the signature is verified over the bytes that came, before anything else of them is believed; 200 is
//! said only once what they tell is committed.

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use livekit_api::access_token::{Claims, TokenVerifier};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchhook_chassis::http::failures::{Always, WithBody};
use switchhook_chassis::http::{Failure, body};
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::config::WebhookKeys;
use crate::domain::webhook;
use crate::jobs::follow;

/// An event of LiveKit's, in protobuf's JSON. What is unknown is ignored.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `webhook::read` reads it")]
pub(crate) struct LivekitEventIn {
    /// Such as `participant_left`.
    #[schema(examples("participant_left"))]
    event: String,
    /// LiveKit's id of the event: the same one twice counts once.
    #[schema(examples("EV_abc123"))]
    id: Option<String>,
    /// Seconds since 1970, as text.
    #[serde(rename = "createdAt")]
    created_at: Option<String>,
    /// The room.
    room: Option<Value>,
    /// Of `participant_*` and `track_*`.
    participant: Option<Value>,
    /// Of `egress_*`.
    #[serde(rename = "egressInfo")]
    egress_info: Option<Value>,
    /// Of `agent_job_*`.
    job: Option<Value>,
}

/// The event is taken.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the answer")]
pub(crate) struct TakenOut {
    /// Always true.
    success: bool,
}

/// The bytes of a body, as they came.
pub(crate) struct Raw(pub(super) Bytes);

impl FromRequest for Raw {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = body::json_bytes(request, payload);
        Box::pin(async move { Ok(Self(bytes.await?)) })
    }
}

/// Takes an event of LiveKit's
///
/// `Authorization` holds a token of LiveKit's, signed with one of `LIVEKIT_WEBHOOK_KEYS` over the SHA-256 of the body. Unknown
/// events, and those of rooms that are not of this service, are taken and ignored.
#[utoipa::path(
    post,
    path = "/livekit/webhook",
    tag = "livekit",
    operation_id = "livekitWebhook",
    request_body = LivekitEventIn,
    params(("Authorization" = String, Header, description = "The token, without or with `Bearer`")),
    responses(
        (status = 200, description = "What the event tells is kept", body = TakenOut),
        (status = 400, description = "The body is no JSON object", body = ref("#/components/schemas/Problem")),
        (status = 401, description = "The token is missing or wrong, or of another body", body = ref("#/components/schemas/Problem")),
        WithBody, Always
    )
)]
pub(crate) async fn livekit_webhook(
    state: Data<AppState>,
    request: HttpRequest,
    raw: Raw,
) -> Result<HttpResponse, Failure> {
    verify(&state.webhook_keys, request.headers(), &raw.0)?;
    let value = body::parse(&raw.0)?;
    let event = webhook::read(&value, &raw.0, state.now())
        .ok_or_else(|| Problem::invalid_json("The body must be a JSON object"))?;
    let (kit, state) = (state.kit.clone(), AppState::clone(&state));
    kit.run(Box::pin(async move { follow::take_event(&state, &event).await }))
        .await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

/// Whether the body is LiveKit's own.
fn verify(keys: &WebhookKeys, headers: &HeaderMap, raw: &[u8]) -> Result<(), Problem> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header.map(str::trim).filter(|header| !header.is_empty()) else {
        return Err(Problem::unauthorized(
            "The header Authorization with LiveKit's token is required",
        ));
    };
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => header,
    };
    let claims = claims(keys, token).ok_or_else(|| {
        Problem::unauthorized("The token is not LiveKit's, or expired: see LIVEKIT_WEBHOOK_KEYS")
    })?;
    let signed = STANDARD.decode(&claims.sha256).unwrap_or_default();
    if signed != Sha256::digest(raw)[..] {
        return Err(Problem::unauthorized("The token was signed for another body"));
    }
    Ok(())
}

/// The claims of a token that one of our keys signed. The key is chosen by what the token says before it is believed.
fn claims(keys: &WebhookKeys, token: &str) -> Option<Claims> {
    let key = Claims::from_unverified(token).ok()?.iss;
    let secret = keys.secret(&key)?;
    TokenVerifier::with_api_key(&key, secret.expose_secret())
        .verify(token)
        .ok()
}
