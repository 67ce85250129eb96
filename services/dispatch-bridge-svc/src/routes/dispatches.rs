//! What is shown of dispatches: one, and all of them.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Failure, Paging, Query, next_url};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::models::time::WireTime;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::caller::Operator;
use super::dispatch_named;
use crate::app::AppState;
use crate::domain::dispatch::{Call, Status};
use crate::domain::history::Cursor;
use crate::domain::order::ACCOUNT_MAX_CHARS;
use crate::domain::shown::ShownDispatch;
use crate::error::Error;
use crate::store::calls::{self, Asked};
use crate::store::events::{self, Happening};
use crate::store::summaries;

/// Which dispatches are asked for.
pub(crate) struct Filter {
    account: Option<String>,
    status: Option<Status>,
}

impl FromFields for Filter {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let account = fields.optional("account_code", |value| lenient::text(value, 1, ACCOUNT_MAX_CHARS));
        let status = fields.optional("status", |value: &Value| {
            let words = || Status::ALL.iter().map(|status| status.word()).collect::<Vec<_>>();
            let known = value.as_str().and_then(Status::of);
            known.ok_or_else(|| format!("must be one of {}", words().join(", ")))
        });
        fields.finish()?;
        Ok(Self { account, status })
    }
}

/// A page of dispatches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DispatchesOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Newest first.
    items: Vec<ShownDispatch>,
    /// The absolute URL of the next page, or null.
    #[schema(required = true)]
    next: Option<String>,
}

impl DispatchesOut {
    /// From the calls of a page, and one more where there is a next page.
    fn of(mut calls: Vec<Call>, limit: i64, request: &HttpRequest) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = calls.len() > shown;
        calls.truncate(shown);
        let next = calls.last().filter(|_| more).map(|last| {
            let cursor = Cursor {
                created_at: last.created_at,
                id: last.id,
            };
            next_url(request, &cursor.to_string())
        });
        Self {
            success: true,
            items: calls.into_iter().map(ShownDispatch::of).collect(),
            next,
        }
    }
}

/// Dispatches, newest first
///
/// Also those that LiveKit refused, or about which nobody can tell; they have no `dispatch_id`.
#[utoipa::path(
    get,
    path = "/dispatches",
    tag = "dispatches",
    operation_id = "listDispatches",
    params(
        ("account_code" = Option<String>, Query, description = "Only those of this account"),
        ("status" = Option<Status>, Query, description = "Only those that stand so"),
        ("limit" = Option<i64>, Query, description = "Entries of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")
    ),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = DispatchesOut),
        (status = 400, description = "A parameter is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn list(
    state: Data<AppState>,
    request: HttpRequest,
    _operator: Operator,
    filter: Query<Filter>,
    paging: Paging,
) -> Result<HttpResponse, Failure> {
    let after = paging.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let asked = Asked {
        account: filter.0.account,
        status: filter.0.status,
        after: after.map_err(|_| bad_cursor())?,
    };
    let (pool, limit) = (state.kit.pool.clone(), paging.limit);
    // One more than asked for tells whether there is a next page.
    let look = async move {
        let mut conn = pool.acquire().await?;
        Ok::<_, Error>(calls::list(&mut conn, &asked, limit + 1).await?)
    };
    let found = state.kit.run(look).await?;
    Ok(HttpResponse::Ok().json(DispatchesOut::of(found, limit, &request)))
}

/// A dispatch, what happened in its call, and what its agent reported.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DispatchOut {
    #[serde(flatten)]
    dispatch: ShownDispatch,
    /// What LiveKit, the agent and this service said of it, oldest first.
    events: Vec<EventOut>,
    /// The agent's last report, as it came; null where there is none, or where it is larger than 1 MiB.
    #[schema(value_type = Option<Object>, required = true)]
    summary: Option<Value>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventOut {
    /// Such as `participant_left`.
    #[schema(examples("participant_left"))]
    kind: String,
    /// When.
    at: WireTime,
    /// What is known of it.
    #[schema(value_type = Object)]
    detail: Value,
}

impl DispatchOut {
    fn of(call: Call, happened: Vec<Happening>, summary: Option<Value>) -> Self {
        let event = |one: Happening| EventOut {
            kind: one.kind,
            at: WireTime(one.at),
            detail: one.detail,
        };
        Self {
            dispatch: ShownDispatch::of(call),
            events: happened.into_iter().map(event).collect(),
            summary,
        }
    }
}

/// A dispatch as it stands
#[utoipa::path(
    get,
    path = "/dispatch/{dispatch_id}",
    tag = "dispatches",
    operation_id = "getDispatch",
    params(("dispatch_id" = String, Path, description = "LiveKit's id")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "As the call stands", body = DispatchOut),
        (status = 404, description = "Dispatch not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn detail(
    state: Data<AppState>,
    _operator: Operator,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let id = dispatch_named(&id)?;
    let pool = state.kit.pool.clone();
    let look = async move {
        let mut conn = pool.acquire().await?;
        let found = calls::of_dispatch(&mut *conn, &id).await?;
        let call = found.ok_or(Error::UnknownDispatch)?;
        let events = events::of_call(&mut conn, call.id).await?;
        let summary = summaries::shown_of(&mut conn, call.id).await?;
        Ok::<_, Error>(DispatchOut::of(call, events, summary))
    };
    Ok(HttpResponse::Ok().json(state.kit.run(look).await?))
}
