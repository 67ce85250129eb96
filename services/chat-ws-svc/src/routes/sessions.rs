//! The list of chats.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Failure, Paging, Query, next_url};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::caller::Desk;
use super::session_named;
use crate::app::AppState;
use crate::domain::ids::SessionId;
use crate::domain::shown::ShownSession;
use crate::error::Error;
use crate::store::listing::{self, Asked, Which};

/// Longest text that is searched for.
const WORDS_MAX_CHARS: usize = 200;

/// Which chats a list has.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the parameter")]
pub(crate) enum Filter {
    /// All, also those that are not connected.
    All,
    /// Those that wait for an operator.
    Waiting,
    /// Those that an operator has.
    Operator,
    /// Those whose bot could not be reached, or broke.
    Flagged,
}

/// What is looked for.
pub(crate) struct Wanted {
    which: Which,
    words: Option<String>,
}

impl FromFields for Wanted {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let which = fields.optional("state", |value| match value.as_str() {
            Some("all") => Ok(Which::All),
            Some("waiting") => Ok(Which::Waiting),
            Some("operator") => Ok(Which::Operator),
            Some("flagged") => Ok(Which::Flagged),
            _ => Err("must be all, waiting, operator or flagged".to_owned()),
        });
        let words = fields.optional("q", |value| lenient::text(value, 0, WORDS_MAX_CHARS));
        fields.finish()?;
        Ok(Self {
            which: which.unwrap_or(Which::Connected),
            words: words
                .map(|words| words.trim().to_owned())
                .filter(|words| !words.is_empty()),
        })
    }
}

/// A page of chats.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionsOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// How many there are on all pages.
    count: i64,
    /// The newest first.
    sessions: Vec<ShownSession>,
    /// The absolute URL of the next page, or null.
    next: Option<String>,
}

/// Chats, the newest first
///
/// Without `state` those that are connected, at any replica. `q` looks for words in the newest 2000 of them: in what was
/// said, the id, the page and the operator's name.
#[utoipa::path(
    get,
    path = "/api/sessions",
    tag = "chats",
    operation_id = "listSessions",
    params(
        ("state" = Option<Filter>, Query, description = "Also those that are not connected"),
        ("q" = Option<String>, Query, description = "Words", max_length = 200),
        ("limit" = Option<i64>, Query, description = "Entries of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")
    ),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = SessionsOut),
        (status = 400, description = "state, q, limit or cursor is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn list(
    state: Data<AppState>,
    request: HttpRequest,
    desk: Desk,
    wanted: Query<Wanted>,
    paging: Paging,
) -> Result<HttpResponse, Failure> {
    let before = paging.cursor.as_deref().map(SessionId::parse);
    let before = before.map(|id| id.ok_or_else(bad_cursor)).transpose()?;
    let work = look(state.as_ref().clone(), desk, wanted.0, before, paging.limit);
    let (count, sessions, last) = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(SessionsOut {
        success: true,
        count,
        sessions,
        next: last.map(|last| next_url(&request, &last)),
    }))
}

/// One chat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The chat.
    session: ShownSession,
}

/// One chat
#[utoipa::path(
    get,
    path = "/api/sessions/{id}",
    tag = "chats",
    operation_id = "getSession",
    params(("id" = String, Path, description = "The chat")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The chat", body = SessionOut),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn detail(
    state: Data<AppState>,
    desk: Desk,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let id = session_named(&id)?;
    let pool = state.kit.pool.clone();
    let look = async move {
        let found = listing::shown(&mut *pool.acquire().await?, &[id.to_string()]).await?;
        let own = |session: &ShownSession| desk.reach.includes(session.channel.as_str());
        found.into_iter().find(own).ok_or(Error::UnknownSession)
    };
    let session = state.kit.run(look).await?;
    Ok(HttpResponse::Ok().json(SessionOut {
        success: true,
        session,
    }))
}

/// The page's chats, how many there are in all, and where the page ends, unless it is the last.
async fn look(
    state: AppState,
    desk: Desk,
    wanted: Wanted,
    before: Option<SessionId>,
    limit: i64,
) -> Result<(i64, Vec<ShownSession>, Option<String>), Error> {
    let channels = desk.reach.names();
    let asked = Asked {
        which: wanted.which,
        channels: channels.as_deref(),
        words: wanted.words.as_deref(),
        before: before.as_ref().map(SessionId::as_str),
        // One more than asked for tells whether there is a next page.
        limit: limit + 1,
    };
    let mut conn = state.kit.pool.acquire().await?;
    let mut found = listing::find(&mut conn, &asked).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.ids.len() > shown;
    found.ids.truncate(shown);
    let last = found.ids.last().filter(|_| more).cloned();
    Ok((found.count, listing::shown(&mut conn, &found.ids).await?, last))
}
