//! Writes calls, their events, and what follows from them, for many calls at a time, in one statement.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::erasure::tombstone;
use super::events::{CallRow, EventRow};
use crate::domain::facts::Sources;

/// Writes calls and events, raises the revisions of their clients, and notes the calls for their digest. New rows are
/// inserted; of rows that exist, facts that are not known here stay as they are. Gives the clients whose view changed.
///
/// # Errors
/// A serialization failure, and nothing is written, when a call has changed since it was read, or it or its client was
/// erased: the caller reads again.
pub(crate) async fn write(
    conn: &mut PgConnection,
    mut calls: Vec<CallRow>,
    events: &[EventRow],
) -> Result<Vec<String>, sqlx::Error> {
    // Two replicas that insert the same calls wait for each other in one order.
    calls.sort_unstable_by(|one, other| one.call_id.cmp(&other.call_id));
    let mut changes: BTreeMap<String, i64> = BTreeMap::new();
    let mut columns = Columns::default();
    for call in calls {
        let nth = call.owner.as_ref().map_or(0, |owner| {
            let count = changes.entry(owner.as_str().to_owned()).or_insert(0);
            *count += 1;
            *count
        });
        columns.push(call, nth);
    }
    let (users, counts): (Vec<String>, Vec<i64>) = changes.into_iter().unzip();
    put(conn, columns, EventColumns::of(events), &users, &counts).await?;
    Ok(users)
}

/// The events of a statement, column by column.
#[derive(Default)]
struct EventColumns<'a> {
    calls: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    names: Vec<&'a str>,
    arrivals: Vec<DateTime<Utc>>,
    raws: Vec<&'a [u8]>,
}

impl<'a> EventColumns<'a> {
    fn of(events: &'a [EventRow]) -> Self {
        let mut columns = Self::default();
        for event in events {
            columns.calls.push(event.call);
            columns.hashes.push(&event.hash);
            columns.names.push(&event.event);
            columns.arrivals.push(event.received_at);
            columns.raws.push(&event.raw);
        }
        columns
    }
}

/// The rows of a statement, column by column.
#[derive(Default)]
struct Columns {
    ids: Vec<i64>,
    users: Vec<Option<String>>,
    agents: Vec<String>,
    call_ids: Vec<String>,
    channels: Vec<String>,
    stages: Vec<i16>,
    said_statuses: Vec<Option<String>>,
    statuses: Vec<Option<String>>,
    directions: Vec<Option<String>>,
    from_numbers: Vec<Option<String>>,
    to_numbers: Vec<Option<String>>,
    starts: Vec<Option<DateTime<Utc>>>,
    ends: Vec<Option<DateTime<Utc>>>,
    durations: Vec<Option<i64>>,
    minutes: Vec<Option<f64>>,
    transcripts: Vec<Option<String>>,
    turns: Vec<Option<Value>>,
    summaries: Vec<Option<String>>,
    sentiments: Vec<Option<String>>,
    successes: Vec<Option<bool>>,
    reasons: Vec<Option<String>>,
    costs: Vec<Option<f64>>,
    recordings: Vec<Option<String>>,
    analyses: Vec<Option<Value>>,
    sources: Vec<Json<Sources>>,
    created: Vec<DateTime<Utc>>,
    sorts: Vec<DateTime<Utc>>,
    heard: Vec<DateTime<Utc>>,
    /// The how manieth change of its client's it is.
    nths: Vec<i64>,
    /// What would forbid a new row; nothing for one that exists.
    tombstones: Vec<Option<Vec<u8>>>,
    /// Rows that exist, and their versions.
    read: Vec<i64>,
    versions: Vec<i64>,
}

impl Columns {
    fn push(&mut self, row: CallRow, nth: i64) {
        let call = row.call;
        self.nths.push(nth);
        self.tombstones.push(
            row.version
                .is_none()
                .then(|| tombstone(&row.agent_id, &row.call_id)),
        );
        if let Some(version) = row.version {
            self.read.push(row.id);
            self.versions.push(version);
        }
        self.statuses.push(call.status().map(str::to_owned));
        self.minutes.push(call.duration_minutes());
        self.sorts.push(call.sort_at());
        self.heard.push(call.heard_at);
        self.ids.push(row.id);
        self.users.push(row.owner.map(|owner| owner.as_str().to_owned()));
        self.call_ids.push(row.call_id);
        self.stages.push(call.stage.number());
        let facts = call.facts;
        self.agents.push(facts.agent_id.unwrap_or(row.agent_id));
        self.channels.push(facts.channel.unwrap_or(row.channel));
        self.said_statuses.push(facts.status);
        self.directions.push(facts.direction);
        self.from_numbers.push(facts.from_number);
        self.to_numbers.push(facts.to_number);
        self.starts.push(facts.started_at);
        self.ends.push(facts.ended_at);
        self.durations.push(facts.duration_ms);
        self.transcripts.push(facts.transcript);
        self.turns.push(facts.turns);
        self.summaries.push(facts.summary);
        self.sentiments.push(facts.sentiment);
        self.successes.push(facts.successful);
        self.reasons.push(facts.disconnection_reason);
        self.costs.push(facts.cost_cents);
        self.recordings.push(facts.recording_url);
        self.analyses.push(facts.analysis);
        self.sources.push(Json(call.sources));
        self.created.push(call.created_at);
    }
}

/// One statement. It locks the calls that exist, in `call_id` order, and the clients' rows when all else is done.
#[allow(clippy::too_many_lines, reason = "one statement and its parameters")]
async fn put(
    conn: &mut PgConnection,
    c: Columns,
    e: EventColumns<'_>,
    users: &[String],
    counts: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"WITH unchanged AS MATERIALIZED (
            SELECT c.id FROM unnest($38::bigint[], $39::bigint[]) AS read (id, version) JOIN retell.calls c ON c.id = read.id
            WHERE c.xmin::text::bigint = read.version ORDER BY c.call_id, c.id FOR UPDATE OF c
        ), written AS (
            INSERT INTO retell.calls AS c (id, user_id, agent_id, call_id, channel, stage, said_status, status, direction,
                from_number, to_number, started_at, ended_at, duration_ms, duration_minutes, transcript, turns, summary,
                sentiment, successful, disconnection_reason, cost_cents, recording_url, analysis, sources, created_at,
                sort_at, heard_at)
            SELECT n.id, n.user_id, n.agent_id, n.call_id, channel, stage, said_status, status, direction, from_number,
                to_number, started_at, ended_at, duration_ms, duration_minutes, transcript, turns, summary, sentiment,
                successful, disconnection_reason, cost_cents, recording_url, analysis, sources, created_at, sort_at, heard_at
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::bigint[],
                $15::float8[], $16::text[], $17::jsonb[], $18::text[], $19::text[], $20::boolean[], $21::text[],
                $22::float8[], $23::text[], $24::jsonb[], $25::jsonb[], $26::timestamptz[], $27::timestamptz[],
                $28::bytea[], $29::timestamptz[])
                AS n (id, user_id, agent_id, call_id, channel, stage, said_status, status, direction, from_number,
                    to_number, started_at, ended_at, duration_ms, duration_minutes, transcript, turns, summary, sentiment,
                    successful, disconnection_reason, cost_cents, recording_url, analysis, sources, created_at, sort_at,
                    tombstone, heard_at)
            WHERE CASE WHEN n.tombstone IS NULL THEN n.id IN (SELECT id FROM unchanged)
                ELSE (SELECT true FROM retell.tombstones t WHERE t.hash IN (n.tombstone,
                    sha256(convert_to('retell-owner:' || n.user_id || ':' || n.call_id, 'UTF8'))) LIMIT 1) IS NULL END
            ORDER BY n.call_id
            ON CONFLICT (id) DO UPDATE SET
                user_id = excluded.user_id, agent_id = excluded.agent_id, channel = excluded.channel, stage = excluded.stage, status = excluded.status,
                said_status = excluded.said_status, started_at = excluded.started_at, ended_at = excluded.ended_at,
                duration_ms = excluded.duration_ms, duration_minutes = excluded.duration_minutes,
                sources = excluded.sources, created_at = excluded.created_at, sort_at = excluded.sort_at, heard_at = excluded.heard_at,
                direction = COALESCE(excluded.direction, c.direction),
                from_number = COALESCE(excluded.from_number, c.from_number),
                to_number = COALESCE(excluded.to_number, c.to_number),
                transcript = COALESCE(excluded.transcript, c.transcript),
                turns = COALESCE(excluded.turns, c.turns),
                summary = COALESCE(excluded.summary, c.summary),
                sentiment = COALESCE(excluded.sentiment, c.sentiment),
                successful = COALESCE(excluded.successful, c.successful),
                disconnection_reason = COALESCE(excluded.disconnection_reason, c.disconnection_reason),
                cost_cents = COALESCE(excluded.cost_cents, c.cost_cents),
                recording_url = COALESCE(excluded.recording_url, c.recording_url),
                analysis = COALESCE(excluded.analysis, c.analysis)
            RETURNING id
        ), kept AS (
            INSERT INTO retell.events (call, hash, event, received_at, raw)
            SELECT * FROM unnest($30::bigint[], $31::bytea[], $32::text[], $33::timestamptz[], $34::bytea[]) AS k (call)
            WHERE k.call IN (SELECT id FROM written) RETURNING call
        ), queued AS (
            INSERT INTO retell.undigested (call) SELECT id FROM written RETURNING call
        ), locked AS MATERIALIZED (
            SELECT id FROM retell.users
            WHERE id = ANY($35) AND (SELECT count(*) FROM written) + (SELECT count(*) FROM kept)
                + (SELECT count(*) FROM queued) > 0
            ORDER BY id FOR UPDATE
        ), raised AS (
            UPDATE retell.users u SET revision = u.revision + asked.changes
            FROM locked JOIN unnest($35::text[], $36::bigint[]) AS asked (id, changes) ON asked.id = locked.id
            WHERE u.id = locked.id RETURNING u.id, u.revision - asked.changes AS before
        ), changed AS (
            INSERT INTO retell.changes AS c (call, user_id, revision)
            SELECT n.call, n.user_id, raised.before + n.nth
            FROM unnest($1::bigint[], $2::text[], $37::bigint[]) AS n (call, user_id, nth)
            JOIN raised ON raised.id = n.user_id
            ON CONFLICT (call) DO UPDATE SET user_id = excluded.user_id, revision = excluded.revision
        )
        SELECT CASE WHEN (SELECT count(*) FROM written) < cardinality($1) OR (SELECT count(*) FROM raised) < cardinality($35)
            THEN retell.overtaken() END AS overtaken"#,
        &c.ids,
        &c.users as &[Option<String>],
        &c.agents,
        &c.call_ids,
        &c.channels,
        &c.stages,
        &c.said_statuses as &[Option<String>],
        &c.statuses as &[Option<String>],
        &c.directions as &[Option<String>],
        &c.from_numbers as &[Option<String>],
        &c.to_numbers as &[Option<String>],
        &c.starts as &[Option<DateTime<Utc>>],
        &c.ends as &[Option<DateTime<Utc>>],
        &c.durations as &[Option<i64>],
        &c.minutes as &[Option<f64>],
        &c.transcripts as &[Option<String>],
        &c.turns as &[Option<Value>],
        &c.summaries as &[Option<String>],
        &c.sentiments as &[Option<String>],
        &c.successes as &[Option<bool>],
        &c.reasons as &[Option<String>],
        &c.costs as &[Option<f64>],
        &c.recordings as &[Option<String>],
        &c.analyses as &[Option<Value>],
        &c.sources as &[Json<Sources>],
        &c.created,
        &c.sorts,
        &c.tombstones as &[Option<Vec<u8>>],
        &c.heard,
        &e.calls,
        &e.hashes as &[&[u8]],
        &e.names as &[&str],
        &e.arrivals,
        &e.raws as &[&[u8]],
        users,
        counts,
        &c.nths,
        &c.read,
        &c.versions
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
