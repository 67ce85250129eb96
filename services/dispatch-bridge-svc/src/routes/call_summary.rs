//! What an agent reports at the end of a call: kept, and owed to n8n, in one transaction.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};
use sqlx::PgConnection;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, RequestTrace, body};
use switchhook_core::ids::uuid_v7;
use switchhook_core::n8n::envelope;
use switchhook_core::trace::TraceContext;
use utoipa::ToSchema;

use super::caller::OperatorPost;
use super::livekit_webhook::{Raw, TakenOut};
use crate::app::AppState;
use crate::clients::n8n;
use crate::domain::summary::{self, CallNames, Report};
use crate::error::Error;
use crate::store;
use crate::store::events::Happening;
use crate::store::summaries::NewSummary;

/// An agent's report: any object that names its call by `dispatch_id`, `room` or `job_id`. Everything else is kept and
/// passed on as it came.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `Report::read` reads it")]
pub(crate) struct CallSummaryIn {
    /// LiveKit's id of the dispatch.
    #[schema(examples("AD_abc123"))]
    dispatch_id: Option<String>,
    /// The room.
    #[schema(examples("outbound-9f1a2b3c4d"))]
    room: Option<String>,
    /// LiveKit's id of the job.
    #[schema(examples("AJ_def456"))]
    job_id: Option<String>,
    /// What was said, such as a list of turns.
    transcript: Option<Value>,
    /// What it cost: tokens, characters, seconds.
    usage: Option<Value>,
}

/// Takes an agent's report
///
/// The same report twice counts once. It is passed on to n8n even where it names no call that is known here.
#[utoipa::path(
    post,
    path = "/agent/call-summary",
    tag = "agent",
    operation_id = "callSummary",
    request_body = CallSummaryIn,
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The report is kept, and n8n will get it", body = TakenOut),
        (status = 400, description = "The report names no call", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn call_summary(
    state: Data<AppState>,
    _caller: OperatorPost,
    trace: RequestTrace,
    raw: Raw,
) -> Result<HttpResponse, Failure> {
    let report = Report::read(envelope::unwrap(body::parse(&raw.0)?))?;
    let (kit, state) = (state.kit.clone(), AppState::clone(&state));
    kit.run(async move { keep(&state, &report, trace.0).await })
        .await?;
    Ok(HttpResponse::Ok().json(json!({ "success": true })))
}

async fn keep(state: &AppState, report: &Report, trace: TraceContext) -> Result<(), Error> {
    let now = state.now();
    let bytes = report.bytes();
    let mut tx = state.kit.pool.begin().await?;
    let known = store::summaries::named(&mut tx, &report.names).await?;
    let (call, names) = known.unzip();
    if call.is_none() && was_erased(&mut tx, &report.names).await? {
        return Ok(());
    }
    let new = NewSummary {
        id: uuid_v7(now),
        call,
        names: &report.names,
        hash: &summary::hash(&bytes),
        report: &bytes,
        at: now,
    };
    if !store::summaries::insert(&mut tx, &new).await? {
        metrics::counter!("dispatch_summaries_total", "result" => "duplicate").increment(1);
        return Ok(());
    }
    if let Some(call) = call {
        let happening = Happening {
            kind: "call_summary".into(),
            at: now,
            detail: json!({ "bytes": bytes.len() }),
            source_id: None,
        };
        store::events::insert(&mut tx, call, &happening).await?;
        store::follow::touch(&mut *tx, call, now).await?;
    }
    let owed = match state.settings.result_url() {
        Some(_) => {
            let key = call.map_or(new.id, |call| call.0);
            let body = report.for_n8n(names.as_ref());
            Some(n8n::owe_summary(&state.outbox, &mut tx, key, body, trace).await?)
        }
        None => None,
    };
    tx.commit().await?;
    let result = if call.is_some() { "kept" } else { "unmatched" };
    metrics::counter!("dispatch_summaries_total", "result" => result).increment(1);
    if let Some(owed) = owed {
        state.outbox.send_now(owed);
    }
    if let Some(call) = call {
        state.announce(call);
    }
    Ok(())
}

async fn was_erased(conn: &mut PgConnection, names: &CallNames) -> Result<bool, sqlx::Error> {
    for name in names.all() {
        if store::erasure::was_erased(&mut *conn, name).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
