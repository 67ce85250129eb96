//! The stream of calls: each as it stands whenever it changes, on any replica.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use sqlx::PgPool;
use switchhook_chassis::feed::{Log, Placed};
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::sse::{self, Event, LastEventId};

use super::caller::Operator;
use crate::app::{AppState, EVERY_CALL};
use crate::domain::dispatch::Call;
use crate::domain::shown::ShownDispatch;
use crate::error::Error;
use crate::store::changes;

/// Calls of each kind in the present state.
const PRESENT: i64 = 200;
/// How long a machine's stream lasts: its secret may be taken away.
const MACHINE_STREAM: TimeDelta = TimeDelta::hours(24);
/// Pause before what is above the horizon is read again, and how often.
const HORIZON_PAUSE: Duration = Duration::from_millis(10);
const HORIZON_TRIES: u32 = 50;

/// The changes of all calls.
pub(crate) struct Changes {
    pool: PgPool,
}

impl Changes {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Log for Changes {
    type Entry = Arc<str>;

    async fn after(&self, _: &str, position: i64, limit: i64) -> Result<Vec<Placed<Arc<str>>>, sqlx::Error> {
        for _ in 0..HORIZON_TRIES {
            let page = changes::after(&mut *self.pool.acquire().await?, position, limit).await?;
            if !page.calls.is_empty() || !page.more_soon {
                let entries = page.calls.into_iter().map(|(at, call)| (at, data(call).into()));
                return Ok(entries.collect());
            }
            // Another transaction is still under way: whatever it writes comes first.
            tokio::time::sleep(HORIZON_PAUSE).await;
        }
        Ok(Vec::new())
    }
}

fn data(call: Call) -> String {
    serde_json::to_string(&ShownDispatch::of(call)).unwrap_or_default()
}

fn event(position: i64, data: String) -> Event {
    Event {
        name: "dispatch",
        id: position.to_string(),
        data,
    }
}

/// Streams dispatches
///
/// `event: dispatch` with the body of `GET /dispatch/{dispatch_id}`. At once those under way and the newest, oldest first,
/// or what changed after `Last-Event-ID`; then each whenever it changes.
#[utoipa::path(
    get,
    path = "/dispatches/events",
    tag = "dispatches",
    operation_id = "dispatchEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Server-Sent Events until the token expires", body = String,
            content_type = "text/event-stream"),
        Guarded, Always
    )
)]
pub(crate) async fn stream(
    state: Data<AppState>,
    operator: Operator,
    last: LastEventId,
) -> Result<HttpResponse, Failure> {
    let pool = state.kit.pool.clone();
    let known = last
        .0
        .and_then(|last| last.parse::<i64>().ok())
        .filter(|at| *at >= 0);
    let (position, first) = state.kit.run(begin(pool, known)).await?;
    let reader = state.changes.reader(EVERY_CALL, position)?;
    let present = first.into_iter().map(move |call| event(position, data(call)));
    let events = reader
        .entries()
        .map(|(at, data)| event(at, data.as_ref().to_owned()));
    let machines_until = state.kit.clock.now() + MACHINE_STREAM;
    let until = operator.expires_at.unwrap_or(machines_until);
    Ok(sse::respond(
        &state.kit,
        until,
        stream::iter(present).chain(events),
    ))
}

/// Where a stream begins: where it left off, or at the present state. A position above the horizon is another database's.
async fn begin(pool: PgPool, known: Option<i64>) -> Result<(i64, Vec<Call>), Error> {
    let mut conn = pool.acquire().await?;
    // What commits after this is read as a change.
    let settled = changes::horizon(&mut conn).await? - 1;
    match known {
        Some(known) if known <= settled => Ok((known, Vec::new())),
        _ => Ok((settled, changes::present(&mut conn, PRESENT).await?)),
    }
}
