//! The stream of a client's calls and of his agent: at once how things stand, then every change, on any replica.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use switchhook_chassis::feed::{Log, Placed};
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::sse::{self, Event, LastEventId};
use switchhook_chassis::http::{Failure, User};
use switchhook_core::ids::UserId;

use super::agents::AgentStatusOut;
use super::calls::ListOut;
use crate::app::AppState;
use crate::domain::shown::ShownCall;
use crate::error::Error;
use crate::store::{lists, users};

/// The position of whoever has seen nothing.
const BEGINNING: i64 = i64::MIN;
/// Calls that are shown at once.
const SHOWN_AT_ONCE: i64 = 50;

/// What a stream tells.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A call is new, or changed.
    Call(Arc<str>),
    /// The agent changed.
    Agent(Arc<str>),
    /// The newest calls, in the place of all that was told before.
    Calls(Arc<str>),
}

impl Change {
    fn event(self, position: i64) -> Event {
        let (name, data) = match self {
            Self::Call(data) => ("call", data),
            Self::Agent(data) => ("agent", data),
            Self::Calls(data) => ("calls", data),
        };
        Event {
            name,
            id: position.to_string(),
            data: data.as_ref().to_owned(),
        }
    }
}

/// The changes of each client's view, by revision.
pub(crate) struct Changes {
    pool: PgPool,
}

impl Changes {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

/// One call, as in the answer for one.
#[derive(Serialize)]
struct CallOut<'a> {
    success: bool,
    call: &'a ShownCall,
}

#[async_trait]
impl Log for Changes {
    type Entry = Change;

    /// Calls, the agent, or after an erasure everything anew; up to the revision that is read first, so that no change of
    /// the agent between two looks is skipped.
    async fn after(&self, key: &str, position: i64, limit: i64) -> Result<Vec<Placed<Change>>, sqlx::Error> {
        let Some(user) = UserId::parse(key) else {
            return Ok(Vec::new());
        };
        let mut conn = self.pool.acquire().await?;
        let marks = users::marks(&mut conn, &user).await?;
        if position == BEGINNING || marks.erased > position {
            return everything(&mut conn, &user, marks.view).await;
        }
        if marks.view <= position {
            return Ok(Vec::new());
        }
        let mut changes: Vec<_> = lists::changed(&mut conn, &user, position, marks.view, limit)
            .await?
            .into_iter()
            .map(|(at, call)| {
                (
                    at,
                    Change::Call(json(&CallOut {
                        success: true,
                        call: &call,
                    })),
                )
            })
            .collect();
        let complete = changes.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        let last = changes.last().map_or(position, |(at, _)| *at);
        if marks.agent > position && (complete || marks.agent <= last) {
            changes.push((marks.agent, agent(&mut conn, &user).await?));
            changes.sort_by_key(|(at, _)| *at);
        }
        Ok(changes)
    }

    fn supersedes(entry: &Change) -> bool {
        matches!(entry, Change::Calls(_))
    }
}

async fn everything(
    conn: &mut PgConnection,
    user: &UserId,
    position: i64,
) -> Result<Vec<Placed<Change>>, sqlx::Error> {
    let newest = lists::newest(conn, user, SHOWN_AT_ONCE + 1).await?;
    let calls = Change::Calls(json(&ListOut::newest(newest, SHOWN_AT_ONCE)));
    Ok(vec![(position - 1, calls), (position, agent(conn, user).await?)])
}

async fn agent(conn: &mut PgConnection, user: &UserId) -> Result<Change, sqlx::Error> {
    let (agent, _) = users::agent(conn, user).await?;
    Ok(Change::Agent(json(&AgentStatusOut::of(agent))))
}

fn json<T: Serialize>(value: &T) -> Arc<str> {
    serde_json::to_string(value).unwrap_or_default().into()
}

/// Where a reader left off; a cursor that is ahead of everything is none of ours: the database was restored, say.
async fn position(state: AppState, user: UserId, seen: i64) -> Result<i64, Error> {
    let marks = users::marks(&mut *state.kit.pool.acquire().await?, &user).await?;
    Ok(if seen <= marks.view { seen } else { BEGINNING })
}

/// Streams calls and the agent
///
/// First `event: calls` with the body of `GET /api/retell/calls` and `event: agent` with that of
/// `GET /api/retell/agent-status`, or what came after `Last-Event-ID`; then `event: call` for each call that is new or
/// changes, `event: agent` when the agent does, and `event: calls` anew after an erasure.
#[utoipa::path(
    get,
    path = "/api/retell/events",
    tag = "calls",
    operation_id = "callEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event that was seen")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Server-Sent Events until the token expires", body = String,
            content_type = "text/event-stream"),
        Guarded, Always
    )
)]
pub(crate) async fn events(
    state: Data<AppState>,
    user: User,
    last: LastEventId,
) -> Result<HttpResponse, Failure> {
    let seen = last.0.and_then(|id| id.parse::<i64>().ok()).filter(|at| *at >= 0);
    let position = match seen {
        Some(seen) => {
            let work = position(state.as_ref().clone(), user.id.clone(), seen);
            state.kit.run(work).await?
        }
        None => BEGINNING,
    };
    let reader = state.changes.reader(user.id.as_str(), position)?;
    let events = reader.entries().map(|(at, change)| change.event(at));
    Ok(sse::respond(&state.kit, user.expires_at, events))
}
