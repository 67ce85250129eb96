//! What is shown of sessions: the status, one session, the history.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Caller, Failure, Paging, User, next_url};
use switchhook_core::ids::{SessionId, UserId};
use switchhook_core::models::session::Session as WireSession;
use utoipa::ToSchema;

use super::control::SessionOut;
use crate::app::AppState;
use crate::domain::history::Cursor;
use crate::domain::snapshot::Snapshot;
use crate::error::Error;
use crate::store;
use switchhook_chassis::http::failures::{Always, Guarded};

/// Whether a session is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AiStatus {
    /// A session is active.
    Active,
    /// None is.
    Idle,
}

/// How things stand for a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Whether a session is active.
    ai_status: AiStatus,
    /// Calls of all of his sessions today.
    calls_made_today: i64,
    /// His latest session.
    session: Option<WireSession>,
}

impl StatusOut {
    /// From the latest session. Without one no call can have been made.
    pub(crate) fn of(latest: Option<&Snapshot>) -> Self {
        let active = latest.is_some_and(|snapshot| snapshot.session.is_active());
        Self {
            success: true,
            ai_status: if active { AiStatus::Active } else { AiStatus::Idle },
            calls_made_today: latest.map_or(0, |snapshot| snapshot.calls_today),
            session: latest.map(Snapshot::wire),
        }
    }
}

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Newest first.
    items: Vec<WireSession>,
    /// The absolute URL of the next page, or null.
    next: Option<String>,
}

impl HistoryOut {
    /// From the sessions of a page, and one more where there is a next page.
    fn of(sessions: &[Snapshot], limit: i64, request: &HttpRequest) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX).min(sessions.len());
        let last = sessions[..shown].last().filter(|_| sessions.len() > shown);
        let next = last.map(|last| {
            let cursor = Cursor {
                started_at: last.session.started_at,
                id: last.session.id,
            };
            next_url(request, &cursor.to_string())
        });
        Self {
            success: true,
            items: sessions[..shown].iter().map(Snapshot::wire).collect(),
            next,
        }
    }
}

/// How things stand
#[utoipa::path(
    get,
    path = "/api/ai-session/status",
    tag = "sessions",
    operation_id = "sessionStatus",
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The latest session and the day", body = StatusOut),
        Guarded, Always
    )
)]
pub(crate) async fn status(state: Data<AppState>, user: User) -> Result<HttpResponse, Failure> {
    let latest = state.kit.run(latest(state.as_ref().clone(), user.id)).await?;
    Ok(HttpResponse::Ok().json(StatusOut::of(latest.as_ref())))
}

/// One session
#[utoipa::path(
    get,
    path = "/api/ai-session/{id}",
    tag = "sessions",
    operation_id = "getSession",
    params(("id" = String, Path, description = "The session", format = Uuid)),
    security(("userToken" = []), ("userCookie" = []), ("webhookSecret" = [])),
    responses(
        (status = 200, description = "A session of the caller, or any for a machine", body = SessionOut),
        (status = 404, description = "Session not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn detail(
    state: Data<AppState>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let id = id.parse().map_err(|_| Error::UnknownSession)?;
    let snapshot = state.kit.run(seen_by(state.as_ref().clone(), caller, id)).await?;
    Ok(HttpResponse::Ok().json(SessionOut::of(&snapshot)))
}

/// Sessions of the user, newest first
#[utoipa::path(
    get,
    path = "/api/ai-session",
    tag = "sessions",
    operation_id = "listSessions",
    params(
        ("limit" = Option<i64>, Query, description = "Entries of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = HistoryOut),
        (status = 400, description = "limit or cursor is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn history(
    state: Data<AppState>,
    request: HttpRequest,
    user: User,
    paging: Paging,
) -> Result<HttpResponse, Failure> {
    let after = position(&paging)?;
    let work = page(state.as_ref().clone(), user.id, after, paging.limit);
    let sessions = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(HistoryOut::of(&sessions, paging.limit, &request)))
}

/// Where the page before ended.
fn position(paging: &Paging) -> Result<Option<Cursor>, Failure> {
    let cursor = paging.cursor.as_deref().map(str::parse).transpose();
    cursor.map_err(|_| bad_cursor())
}

async fn latest(state: AppState, owner: UserId) -> Result<Option<Snapshot>, Error> {
    let (_, day) = state.moment();
    Ok(store::sessions::latest(&mut *state.kit.pool.acquire().await?, &owner, day).await?)
}

async fn seen_by(state: AppState, caller: Caller, id: SessionId) -> Result<Snapshot, Error> {
    let (_, day) = state.moment();
    let mut conn = state.kit.pool.acquire().await?;
    let found = match caller {
        Caller::User(user) => store::sessions::find_own(&mut conn, id, &user.id, day).await?,
        Caller::Machine(_) => store::sessions::find(&mut conn, id, day).await?,
    };
    found.ok_or(Error::UnknownSession)
}

/// One session more than asked for, which tells whether there is a next page.
async fn page(
    state: AppState,
    owner: UserId,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Snapshot>, Error> {
    let (_, day) = state.moment();
    let mut conn = state.kit.pool.acquire().await?;
    Ok(store::sessions::history(&mut conn, &owner, after, limit + 1, day).await?)
}
