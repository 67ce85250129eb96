//! Starts of sessions: many that begin, what n8n is owed for them, that it has taken them; and the outbox rows of one, as far as
//! their owner must look at them while he holds the session's lock.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use switchhook_chassis::outbox::{Draft, Ending};
use switchhook_core::ids::SessionId;
use uuid::Uuid;

use crate::domain::snapshot::Snapshot;

/// How a user stands who wants to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserStanding {
    pub(crate) is_active: bool,
    pub(crate) calls_today: i64,
}

/// How users stand, in their order. Each is looked up by himself, whatever the tables were when that was planned.
pub(crate) async fn standings(
    conn: &mut PgConnection,
    users: &[&str],
    day: NaiveDate,
) -> Result<Vec<UserStanding>, sqlx::Error> {
    sqlx::query_as!(
        UserStanding,
        r#"SELECT (
            SELECT true FROM session.ai_sessions s WHERE s.user_id = n.user_id AND s.status = 'active' LIMIT 1
        ) IS NOT NULL AS "is_active!", COALESCE((
            SELECT d.calls FROM session.day_counts d WHERE d.user_id = n.user_id AND d.day = $2 LIMIT 1
        ), 0) AS "calls_today!"
        FROM unnest($1::text[]) WITH ORDINALITY AS n (user_id, nth) ORDER BY n.nth"#,
        users as &[&str],
        day
    )
    .fetch_all(conn)
    .await
}

/// A session that begins, and what n8n is owed for it.
#[derive(Debug)]
pub(crate) struct Drafted {
    pub(crate) snapshot: Snapshot,
    pub(crate) draft: Draft,
}

/// Sessions that begin, column by column, with the rows of the outbox.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    users: Vec<&'a str>,
    emails: Vec<Option<&'a str>>,
    limits: Vec<i32>,
    moments: Vec<DateTime<Utc>>,
    rows: Vec<Uuid>,
    headers: Vec<&'a Value>,
    requests: Vec<&'a [u8]>,
    willing: Vec<bool>,
    pauses: Vec<f64>,
    errors: Vec<Option<&'a Value>>,
}

impl<'a> Columns<'a> {
    fn of(drafts: &'a [Drafted], is_willing: impl Fn(&Drafted) -> bool) -> Self {
        let mut columns = Self::default();
        for drafted in drafts {
            let (session, row) = (&drafted.snapshot.session, drafted.draft.columns());
            columns.ids.push(session.id.0);
            columns.users.push(session.user_id.as_str());
            columns.emails.push(session.user_email.as_deref());
            columns.limits.push(session.limit.get());
            columns.moments.push(session.started_at);
            columns.rows.push(row.id);
            columns.headers.push(&row.headers);
            columns.requests.push(drafted.draft.body());
            columns.willing.push(is_willing(drafted));
            columns.pauses.push(row.pause_s);
            columns.errors.push(row.last_error.as_ref());
        }
        columns
    }
}

/// Stores sessions of different users that begin, writes what n8n is owed for them, and tells the users' streams; not where a
/// user has an active one. Gives those that began, and whether this process sends their start at once. Users are taken in one
/// order, so that replicas which begin sessions of the same users wait for each other and not in a circle.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    target: &str,
    drafts: &[Drafted],
    is_willing: impl Fn(&Drafted) -> bool,
) -> Result<HashMap<SessionId, bool>, sqlx::Error> {
    let Some(first) = drafts.first().map(|drafted| drafted.draft.columns()) else {
        return Ok(HashMap::new());
    };
    let c = Columns::of(drafts, is_willing);
    let begun = sqlx::query!(
        r#"WITH new AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::uuid[], $7::jsonb[],
                $8::bytea[], $9::bool[], $10::float8[], $11::jsonb[])
            AS n (id, user_id, user_email, daily_call_limit, started_at, row_id, headers, request, willing, pause_s, last_error)
        ), begun AS (
            INSERT INTO session.ai_sessions (id, user_id, user_email, status, daily_call_limit, started_at)
            SELECT id, user_id, user_email, 'active', daily_call_limit, started_at FROM new ORDER BY user_id
            ON CONFLICT (user_id) WHERE status = 'active' DO NOTHING RETURNING id
        ), owed AS (
            INSERT INTO session.outbox (id, topic, key, target, headers, body, guarantee, state, attempts, next_attempt_at,
                deadline, replica, last_error)
            SELECT n.row_id, $12, n.id::text, $13, n.headers, n.request, $14,
                CASE WHEN n.willing THEN 'sending' ELSE 'owed' END, CASE WHEN n.willing THEN 1 ELSE 0 END,
                now() + make_interval(secs => n.pause_s), now() + make_interval(secs => $15),
                CASE WHEN n.willing THEN $16::uuid END, n.last_error
            FROM begun b JOIN new n ON n.id = b.id
        ), told AS (
            INSERT INTO session.users AS u (id, revision)
            SELECT n.user_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            FROM begun b JOIN new n ON n.id = b.id ORDER BY n.user_id
            ON CONFLICT (id) DO UPDATE SET revision = u.revision + 1
        )
        SELECT n.id AS "id!", n.willing AS "sending!" FROM begun b JOIN new n ON n.id = b.id"#,
        &c.ids,
        &c.users as &[&str],
        &c.emails as &[Option<&str>],
        &c.limits,
        &c.moments,
        &c.rows,
        &c.headers as &[&Value],
        &c.requests as &[&[u8]],
        &c.willing,
        &c.pauses,
        &c.errors as &[Option<&Value>],
        first.topic,
        target,
        first.guarantee,
        first.give_up_after_s,
        first.replica
    )
    .fetch_all(conn)
    .await?;
    Ok(begun
        .into_iter()
        .map(|row| (SessionId(row.id), row.sending))
        .collect())
}

/// n8n has a start, and says nothing more.
#[derive(Debug)]
pub(crate) struct Acceptance {
    pub(crate) session: SessionId,
    /// The key of its row.
    pub(crate) key: String,
    pub(crate) attempts: i32,
    /// The end of the row.
    pub(crate) ending: Ending,
}

/// Records that n8n has starts, ends their rows, and tells the users' streams. Gives the sessions with their users: not those
/// that somebody else holds, whose start was sent again, that are erased, or whose row is not this process's any more.
pub(crate) async fn accept(
    pool: &PgPool,
    acceptances: &[Acceptance],
) -> Result<HashMap<SessionId, String>, sqlx::Error> {
    let Some(first) = acceptances.first().map(|one| &one.ending) else {
        return Ok(HashMap::new());
    };
    let sessions: Vec<Uuid> = acceptances.iter().map(|one| one.session.0).collect();
    let rows: Vec<Uuid> = acceptances.iter().map(|one| one.ending.id).collect();
    let attempts: Vec<i32> = acceptances.iter().map(|one| one.attempts).collect();
    let outcomes: Vec<Option<&Value>> = acceptances
        .iter()
        .map(|one| one.ending.outcome.as_ref())
        .collect();
    let accepted = sqlx::query!(
        r#"WITH free AS MATERIALIZED (
            SELECT n.*, f.user_id FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::jsonb[])
            AS n (session_id, row_id, attempts, outcome) CROSS JOIN LATERAL (
                SELECT s.user_id FROM session.ai_sessions s WHERE s.id = n.session_id AND NOT s.resent
                FOR NO KEY UPDATE SKIP LOCKED
            ) f
        ), ended AS (
            UPDATE session.outbox o SET state = $5, finished_at = now(), outcome = f.outcome, headers = NULL, body = NULL,
                replica = NULL
            FROM free f WHERE o.id = f.row_id AND o.replica = $6 AND o.state = 'sending'
            RETURNING f.session_id, f.user_id, f.attempts
        ), saved AS (
            UPDATE session.ai_sessions s SET heard = true, delivery_state = 'delivered', delivery_detail = NULL,
                delivery_attempts = e.attempts, delivery_error_code = NULL, delivery_error_message = NULL
            FROM ended e WHERE s.id = e.session_id
        ), told AS (
            INSERT INTO session.users AS u (id, revision)
            SELECT user_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            FROM ended GROUP BY user_id ORDER BY user_id
            ON CONFLICT (id) DO UPDATE SET revision = u.revision + 1
        )
        SELECT session_id AS "session_id!", user_id AS "user_id!" FROM ended"#,
        &sessions,
        &rows,
        &attempts,
        &outcomes as &[Option<&Value>],
        first.state,
        first.replica
    )
    .fetch_all(pool)
    .await?;
    Ok(accepted
        .into_iter()
        .map(|row| (SessionId(row.session_id), row.user_id))
        .collect())
}

/// The id of the newest row.
pub(crate) async fn newest(conn: &mut PgConnection, id: SessionId) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM session.outbox WHERE key = $1 ORDER BY seq DESC LIMIT 1",
        id.to_string()
    )
    .fetch_optional(conn)
    .await
}

/// Calls off what was not sent yet. Says whether there was such a row.
pub(crate) async fn cancel_unsent(conn: &mut PgConnection, id: SessionId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE session.outbox
        SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, replica = NULL
        WHERE key = $1 AND state IN ('owed', 'sending') AND sent_at IS NULL",
        id.to_string()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
