//! What a claim is judged by: alone, under the locks of session and day; or together with others, without a lock, in a
//! statement that is followed by one which saves only what still stands as it was read.

use chrono::NaiveDate;
use sqlx::PgConnection;
use switchhook_core::ids::{SessionId, UserId};
use uuid::Uuid;

use super::rows::user_id;
use crate::domain::claim::{Granted, Standing};
use crate::domain::session::{DailyLimit, Session};

/// The user's day, locked, and the answer that the call id was given before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) calls_today: i64,
    pub(crate) earlier: Option<Granted>,
}

/// Locks the user's day and looks the call id up. The session is locked already, so its claims stand still.
pub(crate) async fn lock_day(
    conn: &mut PgConnection,
    session: &Session,
    day: NaiveDate,
    call_id: Option<&str>,
) -> Result<Facts, sqlx::Error> {
    if let Some(facts) = look(conn, session, day, call_id).await? {
        return Ok(facts);
    }
    // The day's first call: make the row that is to be locked.
    sqlx::query!(
        "INSERT INTO session.day_counts (user_id, day, calls) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
        session.user_id.as_str(),
        day
    )
    .execute(&mut *conn)
    .await?;
    look(conn, session, day, call_id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)
}

async fn look(
    conn: &mut PgConnection,
    session: &Session,
    day: NaiveDate,
    call_id: Option<&str>,
) -> Result<Option<Facts>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT d.calls, c.calls_made AS "calls_made?", c.remaining AS "remaining?"
        FROM session.day_counts d LEFT JOIN session.claims c ON c.session_id = $3 AND c.call_id = $4
        WHERE d.user_id = $1 AND d.day = $2 FOR UPDATE OF d"#,
        session.user_id.as_str(),
        day,
        session.id.0,
        call_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Facts {
        calls_today: row.calls,
        earlier: row
            .calls_made
            .zip(row.remaining)
            .map(|(calls_made, remaining)| Granted {
                calls_made,
                remaining,
            }),
    }))
}

/// A claim that is judged together with others.
#[derive(Debug)]
pub(crate) struct NewClaim {
    pub(crate) session: SessionId,
    pub(crate) call_id: Option<String>,
    /// Session and call id: no two of a statement are the same.
    pub(crate) call: Option<String>,
}

impl NewClaim {
    pub(crate) fn new(session: SessionId, call_id: Option<String>) -> Self {
        Self {
            session,
            call: call_id.as_ref().map(|call_id| format!("{session} {call_id}")),
            call_id,
        }
    }
}

/// What one of these claims finds.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) standing: Standing,
    /// n8n has given a sign of life before.
    pub(crate) heard: bool,
    pub(crate) earlier: Option<Granted>,
}

/// What claims find, in their order. Nothing where there is no such session, no call of the user's day was counted yet, or
/// a claim settles more than its own question: what is in doubt about the session's start.
///
/// Each claim looks for its rows by itself (`OFFSET 0` keeps it so): a plan that was made while a table was small would go
/// through it whole.
pub(crate) async fn look_together(
    conn: &mut PgConnection,
    claims: &[NewClaim],
    day: NaiveDate,
) -> Result<Vec<Option<Found>>, sqlx::Error> {
    let sessions: Vec<Uuid> = claims.iter().map(|claim| claim.session.0).collect();
    let call_ids: Vec<Option<&str>> = claims.iter().map(|claim| claim.call_id.as_deref()).collect();
    let rows = sqlx::query!(
        r#"SELECT n.nth AS "nth!", s.is_active AS "is_active!", s.daily_call_limit AS "limit!",
            s.calls_made_today AS "calls_made!", s.heard AS "heard!", d.calls AS "calls_today!",
            c.calls_made AS "earlier_calls?", c.remaining AS "earlier_remaining?"
        FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS n (session_id, call_id, nth)
        JOIN LATERAL (
            SELECT user_id, status = 'active' AS is_active, daily_call_limit, calls_made_today, heard
            FROM session.ai_sessions
            WHERE id = n.session_id AND delivery_state <> 'unknown' AND delivery_detail IS NULL
            AND NOT (resent AND delivery_state = 'pending') OFFSET 0
        ) s ON true
        JOIN LATERAL (
            SELECT calls FROM session.day_counts WHERE user_id = s.user_id AND day = $3 OFFSET 0
        ) d ON true
        LEFT JOIN LATERAL (
            SELECT calls_made, remaining FROM session.claims
            WHERE session_id = n.session_id AND call_id = n.call_id OFFSET 0
        ) c ON true"#,
        &sessions,
        &call_ids as &[Option<&str>],
        day
    )
    .fetch_all(conn)
    .await?;
    let mut found: Vec<Option<Found>> = claims.iter().map(|_| None).collect();
    for row in rows {
        let earlier = row.earlier_calls.zip(row.earlier_remaining);
        let place = usize::try_from(row.nth - 1)
            .ok()
            .and_then(|nth| found.get_mut(nth));
        *place.ok_or(sqlx::Error::RowNotFound)? = Some(Found {
            standing: Standing {
                limit: DailyLimit::stored(row.limit),
                is_active: row.is_active,
                calls_made: row.calls_made,
                calls_today: row.calls_today,
            },
            heard: row.heard,
            earlier: earlier.map(|(calls_made, remaining)| Granted {
                calls_made,
                remaining,
            }),
        });
    }
    Ok(found)
}

/// A session that claims have moved.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) session: SessionId,
    /// As it was read.
    pub(crate) before: Standing,
    pub(crate) after: Standing,
    /// Accepted claims that carry a call id.
    pub(crate) claims: Vec<(String, Granted)>,
}

impl Moved {
    /// A session that no claim has moved yet.
    pub(crate) fn nowhere(session: SessionId, standing: Standing) -> Self {
        Self {
            session,
            before: standing,
            after: standing,
            claims: Vec::new(),
        }
    }
}

/// Saves sessions that claims have moved, their days and their claims, in one statement. Gives the sessions that it has saved
/// with their users: none that stands otherwise than it was read, or that somebody else holds.
///
/// An accepted claim raises the session's count, and nothing lowers that: where the count is as it was read, so are the
/// claims. A user has one active session, so that no two of them count for the same day. Locks are taken in the order of all
/// transactions (session, day, revision), and only the last is waited for, in the order of the users.
pub(crate) async fn save_together(
    conn: &mut PgConnection,
    moved: &[Moved],
    day: NaiveDate,
) -> Result<Vec<(SessionId, UserId)>, sqlx::Error> {
    let c = Columns::of(moved);
    let rows = sqlx::query!(
        r#"WITH moved AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[])
            AS m (id, calls_made, calls_today, increase)
        ), free AS MATERIALIZED (
            SELECT m.id, f.user_id, m.increase FROM moved m CROSS JOIN LATERAL (
                SELECT s.user_id FROM session.ai_sessions s
                JOIN session.day_counts d ON d.user_id = s.user_id AND d.day = $5
                WHERE s.id = m.id AND s.calls_made_today = m.calls_made AND d.calls = m.calls_today
                AND (s.status = 'active' OR m.increase = 0)
                AND s.delivery_state <> 'unknown' AND s.delivery_detail IS NULL
                AND NOT (s.resent AND s.delivery_state = 'pending')
                FOR NO KEY UPDATE OF s, d SKIP LOCKED
            ) f
        ), saved AS (
            UPDATE session.ai_sessions s SET calls_made_today = s.calls_made_today + f.increase, heard = true
            FROM free f WHERE s.id = f.id
        ), counted AS (
            UPDATE session.day_counts d SET calls = d.calls + f.increase
            FROM free f WHERE f.increase > 0 AND d.user_id = f.user_id AND d.day = $5
        ), claimed AS (
            INSERT INTO session.claims (session_id, call_id, calls_made, remaining)
            SELECT g.* FROM unnest($6::uuid[], $7::text[], $8::int[], $9::bigint[])
            AS g (session_id, call_id, calls_made, remaining) JOIN free f ON f.id = g.session_id
        ), told AS (
            INSERT INTO session.users AS u (id, revision)
            SELECT user_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            FROM free GROUP BY user_id ORDER BY user_id
            ON CONFLICT (id) DO UPDATE SET revision = u.revision + 1
        )
        SELECT id AS "id!", user_id AS "user_id!" FROM free"#,
        &c.sessions,
        &c.calls_made,
        &c.calls_today,
        &c.increases,
        day,
        &c.claimed,
        &c.call_ids as &[&str],
        &c.granted,
        &c.remaining
    )
    .fetch_all(conn)
    .await?;
    let saved = rows
        .into_iter()
        .map(|row| Ok((SessionId(row.id), user_id(row.user_id)?)));
    saved.collect()
}

/// Moved sessions, column by column; then their claims.
#[derive(Default)]
struct Columns<'a> {
    sessions: Vec<Uuid>,
    calls_made: Vec<i32>,
    calls_today: Vec<i64>,
    increases: Vec<i32>,
    claimed: Vec<Uuid>,
    call_ids: Vec<&'a str>,
    granted: Vec<i32>,
    remaining: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(moved: &'a [Moved]) -> Self {
        let mut columns = Self::default();
        for moved in moved {
            columns.sessions.push(moved.session.0);
            columns.calls_made.push(moved.before.calls_made);
            columns.calls_today.push(moved.before.calls_today);
            columns
                .increases
                .push(moved.after.calls_made - moved.before.calls_made);
            for (call_id, granted) in &moved.claims {
                columns.claimed.push(moved.session.0);
                columns.call_ids.push(call_id);
                columns.granted.push(granted.calls_made);
                columns.remaining.push(granted.remaining);
            }
        }
        columns
    }
}
