//! The webhook by which n8n reports progress and the end.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;
use switchhook_chassis::http::{Failure, FromN8n, MachinePost};
use switchhook_core::ids::SessionId;
use utoipa::ToSchema;

use super::control::SessionOut;
use crate::app::AppState;
use crate::clients::n8n;
use crate::domain::report::{Report, SessionReport};
use crate::domain::session::{AlreadyCompleted, Session, Taken};
use crate::domain::snapshot::Snapshot;
use crate::error::Error;
use crate::store;
use crate::store::sessions::{Revision, Saving};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};

/// What n8n reports. Numbers may come as text; the body may come in an array of one, or as the item of a Webhook node.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; `SessionReport` reads it")]
pub(crate) struct ReportIn {
    /// The session.
    session_id: String,
    /// `finished`, `completed`, `failed`, `error`, `in_progress` or `running`, in any case.
    #[schema(examples("finished"))]
    status: String,
    /// Calls of the session so far; missing leaves the count.
    #[schema(minimum = 0, maximum = 1_000_000)]
    calls_made: Option<i32>,
    /// What the user is told.
    message: Option<String>,
}

/// The session was erased lately: there is nothing to report to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasedOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Always true.
    #[schema(default = true)]
    erased: bool,
}

impl ErasedOut {
    pub(crate) fn new() -> Self {
        Self {
            success: true,
            erased: true,
        }
    }
}

/// What came of a report.
#[derive(Debug)]
enum Reported {
    /// The session as it is now.
    Session(Box<Snapshot>),
    /// There is nothing left to report to.
    Erased,
}

/// Takes progress and completion
///
/// The same completion again is answered alike and changes nothing.
#[utoipa::path(
    post,
    path = "/api/ai-session/webhook",
    tag = "n8n",
    operation_id = "reportSession",
    request_body = ReportIn,
    security(("webhookSecret" = [])),
    responses(
        (status = 200, description = "The session, or that it was erased", body = SessionOut),
        (status = 400, description = "sessionId is missing, or status is none of those accepted",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Session not found, or its completion is recorded",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn report(
    state: Data<AppState>,
    _machine: MachinePost,
    body: FromN8n<SessionReport>,
) -> Result<HttpResponse, Failure> {
    let SessionReport {
        session_id,
        said,
        report,
    } = body.0;
    tracing::info!(
        sessionId = session_id,
        status = said,
        callsMade = report.calls_made,
        "Received webhook from N8N"
    );
    let id = session_id.trim().parse().map_err(|_| Error::UnknownSession)?;
    let work = Box::pin(take(state.as_ref().clone(), id, report));
    match state.kit.run(work).await? {
        Reported::Session(snapshot) => Ok(HttpResponse::Ok().json(SessionOut::of(&snapshot))),
        Reported::Erased => Ok(HttpResponse::Ok().json(ErasedOut::new())),
    }
}

/// What the webhook expects
#[utoipa::path(
    get,
    path = "/api/ai-session/webhook",
    tag = "n8n",
    operation_id = "webhookInfo",
    responses((status = 200, description = "An example", body = serde_json::Value), Always)
)]
pub(crate) async fn info() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "message": "AI Session Webhook Endpoint",
        "method": "POST",
        "expectedPayload": {
            "sessionId": "abc-123-def-456",
            "status": "finished",
            "callsMade": 100,
            "message": "Completed all calls",
        },
    }))
}

async fn take(state: AppState, id: SessionId, report: Report) -> Result<Reported, Error> {
    let (now, day) = state.moment();
    let mut tx = state.kit.pool.begin().await?;
    let Some(found) = store::sessions::lock(&mut tx, id, day).await? else {
        let erased = store::erasure::was_erased(&mut tx, id).await?;
        return if erased {
            Ok(Reported::Erased)
        } else {
            Err(Error::UnknownSession)
        };
    };
    let mut session = found.session.clone();
    let taken = session
        .take(&report, now)
        .map_err(|AlreadyCompleted| Error::UnknownSession)?;
    let increase = match taken {
        Taken::Moved { increase } if session != found.session => increase,
        Taken::Moved { .. } | Taken::Repeated => {
            // Read after the lock: what it waited for may have moved the day and the delivery.
            let now = store::sessions::find(&mut tx, id, day).await?;
            return Ok(Reported::Session(Box::new(now.unwrap_or(found))));
        }
    };
    n8n::withdraw_obsolete(&mut tx, &mut session).await?;
    let found_active = found.session.is_active();
    let mut moved = Snapshot { session, ..found };
    if found_active && !moved.session.is_active() {
        // The workflow was started by other means: the start would begin it again for a session that is over.
        n8n::withdraw(&state.outbox, &mut tx, &mut moved).await?;
    }
    let saving = Saving {
        increase,
        ..Saving::only(day, Revision::Raise)
    };
    let snapshot = store::sessions::save(&mut tx, moved.session, saving).await?;
    tx.commit().await?;
    state.announce(&snapshot.session.user_id);
    log(&snapshot.session);
    Ok(Reported::Session(Box::new(snapshot)))
}

fn log(session: &Session) {
    let status = if session.is_active() { "active" } else { "stopped" };
    tracing::info!(id = %session.id, status, callsMade = session.calls_made, "AI session updated");
}
