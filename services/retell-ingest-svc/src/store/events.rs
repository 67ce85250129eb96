//! Events and the rows that they are folded into, for many calls at a time, in two statements: [`read`] tells what there is,
//! [`write`](super::written::write) writes everything, or nothing where any of it has changed since. Each is a transaction of its own: nothing is
//! locked while the events are folded, and nobody waits for more round trips than these two.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use super::erasure::tombstone;
use crate::domain::call::Call;
use crate::domain::event::Event;
use crate::domain::facts::{Facts, Sources, Stage};
use crate::domain::owner::Tenures;

/// A row of the ledger, with as much of its call as folding needs.
#[derive(Debug, Clone)]
pub(crate) struct CallRow {
    pub(crate) id: i64,
    pub(crate) owner: Option<UserId>,
    pub(crate) agent_id: String,
    pub(crate) call_id: String,
    pub(crate) channel: String,
    pub(crate) call: Call,
    /// The version that was read; none where it is not in the database yet.
    pub(crate) version: Option<i64>,
}

/// An event as it came.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    pub(crate) call: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) event: String,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) raw: Bytes,
}

/// Numbers for new rows.
pub(crate) async fn new_ids(conn: &mut PgConnection, count: i32) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT nextval(pg_get_serial_sequence('retell.calls', 'id')) AS "id!" FROM generate_series(1, $1)"#,
        count
    )
    .fetch_all(conn)
    .await
}

/// What the ledger knows of an event.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) tenures: Tenures,
    /// Rows that have this very event.
    pub(crate) kept_in: Vec<i64>,
    /// Whether its call was erased lately.
    pub(crate) erased: bool,
}

/// Reads what is known of these events, in their order (row by row through the indexes, whatever PostgreSQL guesses of
/// their number: `||` keeps it from walking through all calls of a client), and the rows that they may go in: of their calls, those that
/// are held for their agents and those of whoever has or has had the agent. `waived`: proof is not asked for.
pub(crate) async fn read(
    conn: &mut PgConnection,
    events: &[&Event],
    waived: bool,
) -> Result<(Vec<Known>, Vec<CallRow>), sqlx::Error> {
    let agents: Vec<String> = events.iter().map(|event| event.agent_id.clone()).collect();
    let calls: Vec<String> = events.iter().map(|event| event.call_id.clone()).collect();
    let moments: Vec<_> = events.iter().map(|event| event.happened_at()).collect();
    let hashes: Vec<Vec<u8>> = events.iter().map(|event| event.hash.to_vec()).collect();
    let tombstones: Vec<Vec<u8>> = events
        .iter()
        .map(|event| tombstone(&event.agent_id, &event.call_id))
        .collect();
    let found = sqlx::query_as!(
        FoundRow,
        r#"WITH e AS MATERIALIZED (
            SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[], $5::bytea[])
                WITH ORDINALITY AS e (agent_id, call_id, at, hash, tombstone, n)
        ), t AS MATERIALIZED (
            SELECT e.*, then_had.user_id AS then_user, has.user_id AS now_user, has.proven
            FROM e
            LEFT JOIN LATERAL (
                SELECT t.user_id FROM retell.tenures t
                WHERE t.agent_id = e.agent_id AND t.began_at <= e.at AND (t.ended_at IS NULL OR e.at < t.ended_at)
                ORDER BY t.began_at DESC LIMIT 1) then_had ON true
            LEFT JOIN LATERAL (
                SELECT t.user_id, t.proven FROM retell.tenures t
                WHERE t.agent_id = e.agent_id AND t.ended_at IS NULL OFFSET 0) has ON true
        ), candidates AS MATERIALIZED (
            SELECT c.id FROM t CROSS JOIN LATERAL (
                SELECT id FROM retell.calls
                WHERE agent_id = t.agent_id AND call_id = t.call_id AND user_id IS NULL OFFSET 0) c
            UNION
            SELECT c.id FROM t CROSS JOIN LATERAL (
                SELECT then_user AS id UNION SELECT now_user
                UNION SELECT had.user_id FROM retell.tenures had WHERE had.agent_id = t.agent_id) u
            CROSS JOIN LATERAL (
                SELECT id FROM retell.calls
                WHERE call_id = t.call_id AND user_id IS NOT NULL AND user_id || '' = u.id OFFSET 0) c
        ), c AS MATERIALIZED (
            SELECT *, xmin::text::bigint AS version FROM retell.calls WHERE id = ANY(ARRAY(SELECT id FROM candidates))
        )
        SELECT t.n AS "n!", t.then_user AS "then_user?", t.now_user AS "now_user?", t.proven AS "proven?",
            (SELECT true FROM retell.tombstones s WHERE s.hash IN (t.tombstone,
                sha256(convert_to('retell-owner:' || COALESCE(t.then_user, t.now_user) || ':' || t.call_id, 'UTF8')))
                LIMIT 1) IS NOT NULL AS "erased!",
            (SELECT true FROM retell.events k WHERE k.call = c.id AND k.hash = t.hash) IS NOT NULL AS "kept!",
            c.id AS "id?", c.version AS "version?", c.user_id AS "user_id?", c.agent_id AS "agent_id?", c.call_id AS "call_id?",
            c.channel AS "channel?", c.stage AS "stage?", c.said_status AS "said_status?",
            c.started_at AS "started_at?", c.ended_at AS "ended_at?", c.duration_ms AS "duration_ms?",
            c.sources AS "sources?: sqlx::types::Json<Sources>", c.created_at AS "created_at?",
            c.heard_at AS "heard_at?"
        FROM t LEFT JOIN c ON c.call_id = t.call_id ORDER BY t.n"#,
        &agents,
        &calls,
        &moments as &[Option<DateTime<Utc>>],
        &hashes,
        &tombstones
    )
    .fetch_all(conn)
    .await?;
    Ok(gathered(found, waived))
}

/// The events in their order, and each row once.
fn gathered(found: Vec<FoundRow>, waived: bool) -> (Vec<Known>, Vec<CallRow>) {
    let mut known: Vec<Known> = Vec::new();
    let mut rows: Vec<CallRow> = Vec::new();
    for found in found {
        if usize::try_from(found.n).is_ok_and(|n| n > known.len()) {
            known.push(Known {
                tenures: found.tenures(waived),
                kept_in: Vec::new(),
                erased: found.erased,
            });
        }
        if let (true, Some(id), Some(last)) = (found.kept, found.id, known.last_mut()) {
            last.kept_in.push(id);
        }
        if rows.iter().all(|row| Some(row.id) != found.id) {
            rows.extend(found.into_call());
        }
    }
    (known, rows)
}

/// An event with one of the rows that it may go in; an event without one has a row of its own.
struct FoundRow {
    n: i64,
    then_user: Option<String>,
    now_user: Option<String>,
    proven: Option<bool>,
    erased: bool,
    kept: bool,
    id: Option<i64>,
    version: Option<i64>,
    user_id: Option<String>,
    agent_id: Option<String>,
    call_id: Option<String>,
    channel: Option<String>,
    stage: Option<i16>,
    said_status: Option<String>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    sources: Option<sqlx::types::Json<Sources>>,
    created_at: Option<DateTime<Utc>>,
    heard_at: Option<DateTime<Utc>>,
}

impl FoundRow {
    fn tenures(&self, waived: bool) -> Tenures {
        let user = |id: &Option<String>| id.clone().and_then(UserId::parse);
        Tenures {
            then: user(&self.then_user),
            now: user(&self.now_user),
            now_adopts: waived || self.proven.unwrap_or(false),
        }
    }

    fn into_call(self) -> Option<CallRow> {
        Some(CallRow {
            id: self.id?,
            owner: self.user_id.and_then(UserId::parse),
            agent_id: self.agent_id?,
            call_id: self.call_id?,
            channel: self.channel?,
            call: Call {
                stage: Stage::from_number(self.stage?),
                facts: Facts {
                    status: self.said_status,
                    started_at: self.started_at,
                    ended_at: self.ended_at,
                    duration_ms: self.duration_ms,
                    ..Facts::default()
                },
                sources: self.sources?.0,
                created_at: self.created_at?,
                heard_at: self.heard_at?,
            },
            version: Some(self.version?),
        })
    }
}

/// Locks the rows of these calls: held ones by agent and call, owned ones by owner and call; in `call_id` order.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    held: &[(String, String)],
    owned: &[(String, String)],
) -> Result<Vec<CallRow>, sqlx::Error> {
    let (agents, held): (Vec<String>, Vec<String>) = held.iter().cloned().unzip();
    let (users, owned): (Vec<String>, Vec<String>) = owned.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"SELECT id, xmin::text::bigint AS "version!", user_id, agent_id, call_id, channel, stage, said_status, started_at, ended_at, duration_ms,
            sources AS "sources: sqlx::types::Json<Sources>", created_at, heard_at
        FROM retell.calls WHERE id IN (
            SELECT c.id FROM unnest($1::text[], $2::text[]) AS h (agent_id, call_id)
            JOIN retell.calls c ON c.agent_id = h.agent_id AND c.call_id = h.call_id AND c.user_id IS NULL
            UNION ALL
            SELECT c.id FROM unnest($3::text[], $4::text[]) AS o (user_id, call_id)
            JOIN retell.calls c ON c.user_id = o.user_id AND c.call_id = o.call_id)
        ORDER BY call_id, id FOR UPDATE"#,
        &agents,
        &held,
        &users,
        &owned
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| CallRow {
        id: row.id,
        owner: row.user_id.and_then(UserId::parse),
        agent_id: row.agent_id,
        call_id: row.call_id,
        channel: row.channel,
        call: Call {
            stage: Stage::from_number(row.stage),
            facts: Facts {
                status: row.said_status,
                started_at: row.started_at,
                ended_at: row.ended_at,
                duration_ms: row.duration_ms,
                ..Facts::default()
            },
            sources: row.sources.0,
            created_at: row.created_at,
            heard_at: row.heard_at,
        },
        version: Some(row.version),
    });
    Ok(rows.collect())
}

/// Events of a call, as they came, oldest first.
pub(crate) async fn of_call(conn: &mut PgConnection, call: i64) -> Result<Vec<EventRow>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT hash, event, received_at, raw FROM retell.events WHERE call = $1 ORDER BY received_at, hash",
        call
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().filter_map(|row| {
        Some(EventRow {
            call,
            hash: row.hash.try_into().ok()?,
            event: row.event,
            received_at: row.received_at,
            raw: row.raw.into(),
        })
    });
    Ok(rows.collect())
}

/// Moves the events of one row to another, where it does not have them.
pub(crate) async fn move_events(conn: &mut PgConnection, from: i64, to: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO retell.events (call, hash, event, received_at, raw)
        SELECT $2, hash, event, received_at, raw FROM retell.events WHERE call = $1 ON CONFLICT DO NOTHING",
        from,
        to
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM retell.calls WHERE id = $1", from)
        .execute(conn)
        .await?;
    Ok(())
}
