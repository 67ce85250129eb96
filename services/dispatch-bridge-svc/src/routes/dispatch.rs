//! n8n has somebody called.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Map, Value};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, FromN8n};
use switchhook_chassis::idempotency::KeyHeader;
use utoipa::ToSchema;

use super::caller::OperatorPost;
use crate::app::AppState;
use crate::dial::{self, Asked};
use crate::domain::order::Order;
use crate::domain::shown::ShownDispatch;

/// A call to be made. The body may come in an array of one, or as the item of n8n's Webhook node. The keys of
/// `session_options` may also stand here; the nested ones win.
#[derive(ToSchema)]
#[schema(as = NewDispatch)]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct DispatchIn {
    /// Whom to call: 7 to 15 digits with an optional `+`; spaces, dots, dashes and brackets are tolerated.
    #[schema(examples("61402012298"))]
    destination: String,
    /// For which account.
    #[schema(min_length = 1, max_length = 128, examples("em-tech-01"))]
    account_code: String,
    /// Whom the agent hands over to.
    #[schema(examples("61731071901"))]
    transfer_target: Option<String>,
    /// Overrides the user of the SIP From.
    #[schema(max_length = 255, examples("LiveKitNehosHosted"))]
    caller_id: Option<String>,
    /// Overrides the number of the SIP From.
    #[schema(examples("+61123456789"))]
    caller_number: Option<String>,
    /// Overrides the name of the SIP From.
    #[schema(max_length = 255, examples("LiveKit Nehos Hosted"))]
    caller_name: Option<String>,
    /// How the agent talks: `llm`, `stt`, `tts` (a name, or provider, model and voice), `cartesia_voice`,
    /// `cartesia_model`, `preemptive_generation`; others are passed on as they are.
    #[schema(value_type = Option<Object>)]
    session_options: Option<Map<String, Value>>,
    /// Records the call. Also read in `session_options` and `metadata`.
    #[schema(default = false)]
    record_call: Option<bool>,
    /// Whatever the agent should know, at most 32 KiB; the fields above win.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// What the answer waits for: `dispatched`, `answered` or `ended`.
    #[schema(default = "dispatched", examples("ended"))]
    wait: Option<String>,
    /// How long at most; 25 for `answered` and 240 for `ended` unless given.
    #[schema(minimum = 0, maximum = 280)]
    wait_seconds: Option<u32>,
    /// In the place of the header `Idempotency-Key`.
    #[schema(max_length = 255)]
    idempotency_key: Option<String>,
    /// Dials though the number was dialled for the account a moment ago.
    #[schema(default = false)]
    allow_duplicate: Option<bool>,
}

/// Has somebody called
///
/// Makes a room, dispatches the agent into it and answers once a worker has the job, or later where `wait` says so. The
/// same key with the same body repeats the first answer and never dials again.
#[utoipa::path(
    post,
    path = "/dispatch",
    tag = "dispatches",
    operation_id = "dispatch",
    request_body = DispatchIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the first answer and never dials again")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "As the call stands; `no_worker` and `failed` are answers too", body = ShownDispatch),
        (status = 400, description = "A field is missing or wrong: all are named",
            body = ref("#/components/schemas/Problem")),
        (status = 409, description = "duplicate_dial or idempotency_conflict", body = ref("#/components/schemas/Problem")),
        (status = 502, description = "livekit_error, livekit_unreachable or outcome_unknown",
            body = ref("#/components/schemas/Problem")),
        (status = 504, description = "LiveKit did not answer in time", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn dispatch(
    state: Data<AppState>,
    _operator: OperatorPost,
    header: KeyHeader,
    body: FromN8n<Order>,
) -> Result<HttpResponse, Failure> {
    let asked = Asked::new(body.0, header.0);
    // A dial once begun is finished and recorded whatever becomes of its caller.
    let work = Box::pin(dial::dispatch(state.as_ref().clone(), asked));
    let done = state.kit.tasks.run(work).await;
    let answer = done.map_err(|lost| Failure::internal(&lost))??;
    Ok(HttpResponse::Ok().json(answer))
}
