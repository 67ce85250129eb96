//! Calls of one client as he sees them: page by page, searched, one by one.
//!
//! A search looks at his newest calls one by one, and only where they do not fill the page asks the index of words: common
//! words are found at once among the newest calls, rare ones by the index, and PostgreSQL's guesses about how common a
//! word is do not matter. Calls in the queue of digests are looked at themselves.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use switchhook_core::ids::UserId;

use super::digests;
use crate::domain::search::{Search, Selection, Words};
use crate::domain::shown::{CallDetail, Cursor, ShownCall, turns};

/// Newest calls that a search looks at one by one.
const LOOKED_AT: i64 = 5_000;
/// Calls in the queue whose texts are read at a time.
const TEXTS_AT_ONCE: usize = 200;
/// Calls in the queue, the newest ones, whose texts are read for a search. Where a client has more, the others are found
/// by what their digests say, some moments later.
const TEXTS_MAX: usize = 2_000;

/// A call in a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) at: Cursor,
    pub(crate) call: ShownCall,
}

/// Selects `c` out of what the tail says.
macro_rules! select_calls {
    ($with:literal, $from:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            ListedRow,
            $with + r#"SELECT c.id AS "id!", c.sort_at AS "sort_at!", c.call_id AS "call_id!",
                c.agent_id AS "agent_id!", c.channel AS "channel!", c.status AS "status?", c.direction AS "direction?",
                c.from_number AS "from_number?", c.to_number AS "to_number?", c.started_at AS "started_at?",
                c.ended_at AS "ended_at?", c.duration_minutes AS "duration_minutes?", c.summary AS "summary?",
                c.sentiment AS "sentiment?", c.successful AS "successful?",
                c.disconnection_reason AS "disconnection_reason?", c.cost_cents AS "cost_cents?",
                c.recording_url AS "recording_url?", c.created_at AS "created_at!"
            FROM "# + $from,
            $($argument),+
        )
    };
}

struct ListedRow {
    id: i64,
    sort_at: DateTime<Utc>,
    call_id: String,
    agent_id: String,
    channel: String,
    status: Option<String>,
    direction: Option<String>,
    from_number: Option<String>,
    to_number: Option<String>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    duration_minutes: Option<f64>,
    summary: Option<String>,
    sentiment: Option<String>,
    successful: Option<bool>,
    disconnection_reason: Option<String>,
    cost_cents: Option<f64>,
    recording_url: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<ListedRow> for Listed {
    fn from(row: ListedRow) -> Self {
        Self {
            at: Cursor {
                sort_at: row.sort_at,
                id: row.id,
            },
            call: ShownCall {
                call_id: row.call_id,
                agent_id: row.agent_id,
                channel: row.channel,
                status: row.status,
                direction: row.direction,
                from_number: row.from_number,
                to_number: row.to_number,
                started_at: row.started_at.map(Into::into),
                ended_at: row.ended_at.map(Into::into),
                duration_minutes: row.duration_minutes,
                summary: row.summary,
                sentiment: row.sentiment,
                successful: row.successful,
                disconnection_reason: row.disconnection_reason,
                cost_cents: row.cost_cents,
                recording_url: row.recording_url,
                created_at: row.created_at.into(),
            },
        }
    }
}

/// Begins to read: one snapshot for all that is read, and plans that go by the indexes whatever the statistics say.
pub(crate) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    sqlx::query_scalar!(
        "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) || set_config('enable_seqscan', 'off', true)
            || set_config('max_parallel_workers_per_gather', '0', true) || set_config('jit', 'off', true)"
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(tx)
}

/// A client's newest calls.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    owner: &UserId,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    page(conn, owner, &Selection::default(), None, limit).await
}

/// A client's calls that changed after a revision and up to another, with their own, in its order.
pub(crate) async fn changed(
    conn: &mut PgConnection,
    owner: &UserId,
    after: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<(i64, ShownCall)>, sqlx::Error> {
    let changes = sqlx::query!(
        "SELECT call, revision FROM retell.changes
        WHERE user_id = $1 AND revision > $2 AND revision <= $3 ORDER BY revision LIMIT $4",
        owner.as_str(),
        after,
        up_to,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<i64> = changes.iter().map(|change| change.call).collect();
    let rows = select_calls!(
        "",
        "retell.calls c WHERE c.id = ANY($1) AND c.user_id = $2",
        &ids,
        owner.as_str()
    );
    let rows = rows.fetch_all(conn).await?;
    let mut calls: HashMap<i64, ShownCall> = rows
        .into_iter()
        .map(|row| (row.id, Listed::from(row).call))
        .collect();
    // What was erased between the two looks is left out.
    let in_order = changes
        .iter()
        .filter_map(|change| Some((change.revision, calls.remove(&change.call)?)));
    Ok(in_order.collect())
}

/// One call of a client.
pub(crate) async fn find(
    conn: &mut PgConnection,
    owner: &UserId,
    call_id: &str,
) -> Result<Option<CallDetail>, sqlx::Error> {
    let row = select_calls!(
        "",
        "retell.calls c WHERE c.user_id = $1 AND c.call_id = $2",
        owner.as_str(),
        call_id
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else {
        return Ok(None);
    };
    let said = sqlx::query!(
        "SELECT transcript, turns, analysis FROM retell.calls WHERE user_id = $1 AND id = $2",
        owner.as_str(),
        row.id
    );
    let said = said.fetch_optional(conn).await?;
    let (transcript, listed, analysis): (Option<String>, Option<Value>, Option<Value>) = said
        .map_or((None, None, None), |said| {
            (said.transcript, said.turns, said.analysis)
        });
    Ok(Some(CallDetail {
        call: Listed::from(row).call,
        turns: turns(listed.as_ref(), transcript.as_deref()),
        transcript,
        analysis,
    }))
}

/// A page of a client's calls, newest first, after where the page before ended. In one snapshot: [`begin`].
pub(crate) async fn page(
    conn: &mut PgConnection,
    owner: &UserId,
    selection: &Selection,
    after: Option<Cursor>,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let place = Place::new(selection, after);
    if selection.search.is_everything() {
        return unsearched(conn, owner, &place, limit).await;
    }
    let asked = Asked::new(conn, owner, selection).await?;
    let near = among_newest(conn, owner, &place, &asked, LOOKED_AT, limit).await?;
    if i64::try_from(near.len()) == Ok(limit) {
        return Ok(near);
    }
    by_index(conn, owner, &place, &asked, limit).await
}

/// A piece of a long walk through a client's calls: those that are asked for among the next `length`, and where to go on.
pub(crate) async fn walk(
    conn: &mut PgConnection,
    owner: &UserId,
    selection: &Selection,
    after: Option<Cursor>,
    length: i64,
) -> Result<(Vec<Listed>, Option<Cursor>), sqlx::Error> {
    let place = Place::new(selection, after);
    if selection.search.is_everything() {
        let calls = unsearched(conn, owner, &place, length).await?;
        let full = i64::try_from(calls.len()) == Ok(length);
        let reached = calls.last().map(|last| last.at).filter(|_| full);
        return Ok((calls, reached));
    }
    let asked = Asked::new(conn, owner, selection).await?;
    let reached = reach(conn, owner, &place, length).await?;
    Ok((
        among_newest(conn, owner, &place, &asked, length, length).await?,
        reached,
    ))
}

/// From where on calls are listed.
struct Place {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    after: Cursor,
}

impl Place {
    fn new(selection: &Selection, after: Option<Cursor>) -> Self {
        let (from, until) = selection.range.moments();
        let before_all = Cursor {
            sort_at: until,
            id: i64::MAX,
        };
        Self {
            from,
            until,
            after: after.unwrap_or(before_all),
        }
    }
}

/// A search, and what it finds in the queue.
struct Asked {
    tsquery: String,
    queued: Vec<i64>,
    found: Vec<i64>,
}

impl Asked {
    async fn new(
        conn: &mut PgConnection,
        owner: &UserId,
        selection: &Selection,
    ) -> Result<Self, sqlx::Error> {
        let search: &Search = &selection.search;
        let mut queued = digests::queued(conn, owner).await?;
        queued.truncate(TEXTS_MAX);
        let mut found = Vec::new();
        for batch in queued.chunks(TEXTS_AT_ONCE) {
            for text in digests::texts(conn, owner, batch, selection.range).await? {
                let words = Words::of(text.texts.iter().flatten().map(String::as_str));
                if search.finds(&words, text.sentiment) {
                    found.push(text.call);
                }
            }
        }
        Ok(Self {
            tsquery: search.tsquery(owner),
            queued,
            found,
        })
    }
}

async fn unsearched(
    conn: &mut PgConnection,
    owner: &UserId,
    place: &Place,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = select_calls!(
        "",
        "retell.calls c
        WHERE c.user_id = $1 AND c.sort_at >= $2 AND c.sort_at < $3 AND (c.sort_at, c.id) < ($4, $5)
        ORDER BY c.sort_at DESC, c.id DESC LIMIT $6",
        owner.as_str(),
        place.from,
        place.until,
        place.after.sort_at,
        place.after.id,
        limit
    );
    listed(rows.fetch_all(conn).await?)
}

/// Those of the next `length` calls that are asked for.
async fn among_newest(
    conn: &mut PgConnection,
    owner: &UserId,
    place: &Place,
    asked: &Asked,
    length: i64,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = select_calls!(
        "",
        "(SELECT id, sort_at FROM retell.calls
            WHERE user_id = $1 AND sort_at >= $2 AND sort_at < $3 AND (sort_at, id) < ($4, $5)
            ORDER BY sort_at DESC, id DESC LIMIT $6) next
        JOIN retell.calls c ON c.id = next.id
        WHERE CASE WHEN next.id = ANY($8) THEN next.id = ANY($9)
            ELSE (SELECT d.words @@ $7::text::tsquery FROM retell.digests d WHERE d.call = next.id) END
        ORDER BY next.sort_at DESC, next.id DESC LIMIT $10",
        owner.as_str(),
        place.from,
        place.until,
        place.after.sort_at,
        place.after.id,
        length,
        asked.tsquery,
        &asked.queued,
        &asked.found,
        limit
    );
    listed(rows.fetch_all(conn).await?)
}

/// The last of the next `length` calls; none where there are fewer.
async fn reach(
    conn: &mut PgConnection,
    owner: &UserId,
    place: &Place,
    length: i64,
) -> Result<Option<Cursor>, sqlx::Error> {
    sqlx::query_as!(
        Cursor,
        "SELECT sort_at, id FROM retell.calls
        WHERE user_id = $1 AND sort_at >= $2 AND sort_at < $3 AND (sort_at, id) < ($4, $5)
        ORDER BY sort_at DESC, id DESC LIMIT 1 OFFSET $6",
        owner.as_str(),
        place.from,
        place.until,
        place.after.sort_at,
        place.after.id,
        length - 1
    )
    .fetch_optional(conn)
    .await
}

/// Those calls that the index of words knows, and those that were found in the queue.
async fn by_index(
    conn: &mut PgConnection,
    owner: &UserId,
    place: &Place,
    asked: &Asked,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = select_calls!(
        "WITH found AS MATERIALIZED (
            SELECT call FROM retell.digests WHERE words @@ $6::text::tsquery AND call <> ALL($7)
            UNION ALL SELECT unnest($8::bigint[])) ",
        "found CROSS JOIN LATERAL (
            SELECT * FROM retell.calls
            WHERE id = found.call AND user_id = $1 AND sort_at >= $2 AND sort_at < $3 AND (sort_at, id) < ($4, $5)
            OFFSET 0) c
        ORDER BY c.sort_at DESC, c.id DESC LIMIT $9",
        owner.as_str(),
        place.from,
        place.until,
        place.after.sort_at,
        place.after.id,
        asked.tsquery,
        &asked.queued,
        &asked.found,
        limit
    );
    listed(rows.fetch_all(conn).await?)
}

fn listed(rows: Vec<ListedRow>) -> Result<Vec<Listed>, sqlx::Error> {
    Ok(rows.into_iter().map(Listed::from).collect())
}
