//! Calls of a client: page by page, searched, and one with all that was said.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono_tz::Tz;
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Failure, Paging, Query, User, next_url};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::domain::day::{Limit, Range};
use crate::domain::search::{QUERY_MAX_CHARS, Search, Selection};
use crate::domain::shown::{CallDetail, Cursor, Sentiment, ShownCall};
use crate::error::Error;
use crate::store::lists::{self, Listed};

/// Most characters of a date or time.
const LIMIT_MAX_CHARS: usize = 64;

/// When calls began. Days are days of a zone that only the settings know.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    from: Option<Limit>,
    to: Option<Limit>,
}

impl Asked {
    /// Reads `from` and `to`.
    fn read(fields: &mut Fields) -> Self {
        let limit = |value: &_| Limit::read(&lenient::text(value, 1, LIMIT_MAX_CHARS)?);
        Self {
            from: fields.optional("from", limit),
            to: fields.optional("to", limit),
        }
    }

    /// The range in a time zone.
    pub(crate) fn range(&self, zone: Tz) -> Result<Range, Problem> {
        let range = Range::new(self.from, self.to, zone);
        range.ok_or_else(|| Problem::invalid_field("to", "must not be before from"))
    }
}

impl FromFields for Asked {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let asked = Self::read(&mut fields);
        fields.finish()?;
        Ok(asked)
    }
}

/// Which calls.
#[derive(Debug)]
pub(crate) struct Filters {
    asked: Asked,
    search: Search,
}

impl Filters {
    /// The calls that are asked for, in a time zone.
    pub(crate) fn selection(self, zone: Tz) -> Result<Selection, Problem> {
        Ok(Selection {
            range: self.asked.range(zone)?,
            search: self.search,
        })
    }
}

impl FromFields for Filters {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let asked = Asked::read(&mut fields);
        let words = fields.optional("q", |value| {
            Search::words_of(&lenient::text(value, 1, QUERY_MAX_CHARS)?)
        });
        let sentiment = fields.optional("sentiment", |value| {
            let known = value.as_str().and_then(Sentiment::named);
            known.ok_or_else(|| "must be Positive, Neutral, Negative or Unknown".to_owned())
        });
        fields.finish()?;
        let search = Search {
            words: words.unwrap_or_default(),
            sentiment,
        };
        Ok(Self { asked, search })
    }
}

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Newest first.
    items: Vec<ShownCall>,
    /// The absolute URL of the next page, or null.
    next: Option<String>,
}

impl ListOut {
    /// From the newest calls, and one more where there is a next page. Who reads a stream has no address of his own: `next`
    /// begins with the path.
    pub(crate) fn newest(calls: Vec<Listed>, limit: i64) -> Self {
        Self::of(calls, limit, |cursor| {
            format!("/api/retell/calls?cursor={cursor}")
        })
    }

    fn of(mut calls: Vec<Listed>, limit: i64, next_url: impl FnOnce(&str) -> String) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = calls.len() > shown;
        calls.truncate(shown);
        let last = calls.last().filter(|_| more);
        Self {
            success: true,
            next: last.map(|last| next_url(&last.at.to_string())),
            items: calls.into_iter().map(|listed| listed.call).collect(),
        }
    }
}

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetailOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The call.
    call: CallDetail,
}

/// Calls of the user, newest first
///
/// By when they began; calls of which that is not known, by when their first event arrived.
#[utoipa::path(
    get,
    path = "/api/retell/calls",
    tag = "calls",
    operation_id = "listCalls",
    params(
        ("limit" = Option<i64>, Query, description = "Entries of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
        ("q" = Option<String>, Query, description = "Words that are all in the transcript or the summary; three characters or more also find the beginning of a word"),
        ("sentiment" = Option<String>, Query, description = "Positive, Neutral, Negative or Unknown"),
        ("from" = Option<String>, Query, description = "A day of DAY_TIMEZONE, or a time"),
        ("to" = Option<String>, Query, description = "A day, which is included, or a time, which is not")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = ListOut),
        (status = 400, description = "A parameter is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn list(
    state: Data<AppState>,
    request: HttpRequest,
    user: User,
    paging: Paging,
    filters: Query<Filters>,
) -> Result<HttpResponse, Failure> {
    let after = paging.cursor.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| bad_cursor())?;
    let selection = filters.0.selection(state.kit.settings.day_timezone)?;
    let work = page(state.as_ref().clone(), user.id, selection, after, paging.limit);
    let calls = state.kit.run(work).await?;
    let out = ListOut::of(calls, paging.limit, |cursor| next_url(&request, cursor));
    Ok(HttpResponse::Ok().json(out))
}

/// One call with all that was said
#[utoipa::path(
    get,
    path = "/api/retell/calls/{callId}",
    tag = "calls",
    operation_id = "getCall",
    params(("callId" = String, Path, description = "Retell's id of the call")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The call", body = DetailOut),
        (status = 404, description = "Call not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn detail(
    state: Data<AppState>,
    user: User,
    call_id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let work = find(state.as_ref().clone(), user.id, call_id.into_inner());
    let call = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(DetailOut { success: true, call }))
}

/// One call more than asked for, which tells whether there is a next page.
async fn page(
    state: AppState,
    owner: UserId,
    selection: Selection,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Listed>, Error> {
    let mut tx = lists::begin(&state.kit.pool).await?;
    let calls = lists::page(&mut tx, &owner, &selection, after, limit + 1).await?;
    tx.commit().await?;
    Ok(calls)
}

async fn find(state: AppState, owner: UserId, call_id: String) -> Result<CallDetail, Error> {
    // PostgreSQL has no text with U+0000, and so no call.
    if call_id.contains('\0') {
        return Err(Error::UnknownCall);
    }
    let mut tx = lists::begin(&state.kit.pool).await?;
    let found = lists::find(&mut tx, &owner, &call_id).await?;
    tx.commit().await?;
    found.ok_or(Error::UnknownCall)
}
