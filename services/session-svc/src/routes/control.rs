//! What a user does with his sessions: start, stop, send the start again.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use serde::Serialize;
use serde_json::Value;
use switchhook_chassis::http::{Failure, Json, NoBody, RequestTrace, User};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::SessionId;
use switchhook_core::lenient;
use switchhook_core::models::session::{Session as WireSession, StopReason};
use switchhook_core::problem::Problem;
use switchhook_core::trace::TraceContext;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::clients::n8n;
use crate::commits::{Begun, NewStart};
use crate::domain::session::{DailyLimit, NoResend, Session};
use crate::domain::snapshot::Snapshot;
use crate::error::Error;
use crate::store;
use crate::store::sessions::{Revision, Saving};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};

/// Tries to begin, where the session that was in the way is gone by the time it is looked at.
const BEGIN_TRIES: u32 = 3;

/// How a session is started.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct StartSession {
    /// Calls in a day, from 1 to `MAX_DAILY_CALL_LIMIT` (10000 unless configured).
    #[schema(minimum = 1, maximum = 1_000_000)]
    daily_call_limit: i64,
}

impl FromFields for StartSession {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let whole = |value: &Value| {
            lenient::integer(value, i64::MIN, i64::MAX).map_err(|_| "must be a whole number".to_owned())
        };
        let daily_call_limit = fields.required("dailyCallLimit", whole);
        fields.finish()?;
        daily_call_limit
            .map(|daily_call_limit| Self { daily_call_limit })
            .ok_or_else(Problem::internal)
    }
}

/// One session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The session.
    session: WireSession,
}

impl SessionOut {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            success: true,
            session: snapshot.wire(),
        }
    }
}

/// Starts a session
///
/// Answers at once; n8n is owed the start webhook from that moment on.
#[utoipa::path(
    post,
    path = "/api/ai-session/start",
    tag = "sessions",
    operation_id = "startSession",
    request_body = StartSession,
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 201, description = "The session that began", body = SessionOut),
        (status = 400, description = "The limit is missing or out of range", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "session_already_active (with that session) or daily_limit_reached",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn start(
    state: Data<AppState>,
    user: User,
    trace: RequestTrace,
    body: Json<StartSession>,
) -> Result<HttpResponse, Failure> {
    let max = state.settings.max_daily_call_limit.get();
    let limit = DailyLimit::within(body.0.daily_call_limit, max).ok_or(Error::LimitOutOfRange { max })?;
    let work = Box::pin(begin(state.as_ref().clone(), user, limit, trace.0));
    let snapshot = state.kit.run(work).await?;
    tracing::info!(id = %snapshot.session.id, limit = limit.get(), "AI session started");
    let location = format!("/api/ai-session/{}", snapshot.session.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(SessionOut::of(&snapshot)))
}

/// Stops the active session
///
/// A start that was not sent yet is called off. A workflow that claims its calls stops at its next claim.
#[utoipa::path(
    post,
    path = "/api/ai-session/stop",
    tag = "sessions",
    operation_id = "stopSession",
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The session that was stopped", body = SessionOut),
        (status = 409, description = "no_active_session", body = ref("#/components/schemas/Problem")),
        (status = 400, description = "The body is no JSON object", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn stop(state: Data<AppState>, user: User, _body: NoBody) -> Result<HttpResponse, Failure> {
    let snapshot = state.kit.run(end(state.as_ref().clone(), user)).await?;
    tracing::info!(id = %snapshot.session.id, status = "stopped", "AI session updated");
    Ok(HttpResponse::Ok().json(SessionOut::of(&snapshot)))
}

/// Sends the start of a session again
///
/// Only while nobody knows whether n8n has it: the user looked, and n8n did not start.
#[utoipa::path(
    post,
    path = "/api/ai-session/{id}/resend",
    tag = "sessions",
    operation_id = "resendStart",
    params(("id" = String, Path, description = "The session", format = Uuid)),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The session; its start is owed again", body = SessionOut),
        (status = 404, description = "Session not found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "delivery_not_unknown or session_stopped (with the session)",
            body = ref("#/components/schemas/Problem")),
        (status = 400, description = "The body is no JSON object", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn resend(
    state: Data<AppState>,
    user: User,
    id: Path<String>,
    trace: RequestTrace,
    _body: NoBody,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Error::UnknownSession)?;
    let work = Box::pin(owe_again(state.as_ref().clone(), user, id, trace.0));
    let snapshot = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(SessionOut::of(&snapshot)))
}

async fn begin(
    state: AppState,
    user: User,
    limit: DailyLimit,
    trace: TraceContext,
) -> Result<Snapshot, Error> {
    for _ in 0..BEGIN_TRIES {
        let (now, day) = state.moment();
        let new = NewStart {
            session: Session::begin(user.id.clone(), user.email.clone(), limit, now),
            trace,
        };
        match state.commits.begin(new).await? {
            Begun::Session(snapshot) => return Ok(*snapshot),
            Begun::NothingLeft(calls_today) => {
                return Err(Error::DailyLimitReached {
                    calls_today,
                    limit: limit.get(),
                });
            }
            Begun::AlreadyActive => {}
        }
        let mut conn = state.kit.pool.acquire().await?;
        if let Some(active) = store::sessions::find_active(&mut conn, &user.id, day).await? {
            return Err(Error::AlreadyActive(Box::new(active.wire())));
        }
    }
    Err(Error::Busy)
}

async fn end(state: AppState, user: User) -> Result<Snapshot, Error> {
    let (now, day) = state.moment();
    let mut tx = state.kit.pool.begin().await?;
    let found = store::sessions::lock_active(&mut tx, &user.id, day).await?;
    let mut found = found.ok_or(Error::NoActiveSession)?;
    found.session.stop(StopReason::StoppedByUser, now);
    n8n::withdraw(&state.outbox, &mut tx, &mut found).await?;
    let snapshot = store::sessions::save(&mut tx, found.session, Saving::only(day, Revision::Raise)).await?;
    tx.commit().await?;
    state.announce(&user.id);
    Ok(snapshot)
}

async fn owe_again(
    state: AppState,
    user: User,
    id: SessionId,
    trace: TraceContext,
) -> Result<Snapshot, Error> {
    let (now, day) = state.moment();
    let mut tx = state.kit.pool.begin().await?;
    let found = store::sessions::lock_own(&mut tx, id, &user.id, day).await?;
    let mut found = found.ok_or(Error::UnknownSession)?;
    match found.session.resend() {
        Ok(()) => {}
        Err(NoResend::Stopped) => return Err(Error::Stopped(Box::new(found.wire()))),
        Err(NoResend::Known(_)) => return Err(Error::DeliveryKnown(Box::new(found.wire()))),
    }
    let owed = n8n::owe_again(&state.outbox, &mut tx, &found, trace, now).await?;
    let snapshot = store::sessions::save(&mut tx, found.session, Saving::only(day, Revision::Raise)).await?;
    tx.commit().await?;
    state.outbox.send_now(owed);
    state.announce(&user.id);
    Ok(snapshot)
}
