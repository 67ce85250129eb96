//! Sessions: begun, locked, saved, read.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::{SessionId, UserId};

use super::rows::{Columns, SavedRow, SessionRow, select_sessions};
use crate::domain::claim::Granted;
use crate::domain::history::Cursor;
use crate::domain::session::Session;
use crate::domain::snapshot::Snapshot;

/// Whether the one who saves tells the user's streams in the same statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revision {
    /// The transaction ends with this statement.
    Raise,
    /// Somebody raises it later in the transaction.
    LeaveToCaller,
}

/// What is saved together with a session.
#[derive(Debug, Clone)]
pub(crate) struct Saving<'a> {
    /// Today.
    pub(crate) day: NaiveDate,
    /// Calls that count for today.
    pub(crate) increase: i32,
    /// A claim to be remembered.
    pub(crate) claim: Option<(&'a str, Granted)>,
    /// Who tells the streams.
    pub(crate) revision: Revision,
}

impl Saving<'_> {
    /// The session and nothing else.
    pub(crate) fn only(day: NaiveDate, revision: Revision) -> Self {
        Self {
            day,
            increase: 0,
            claim: None,
            revision,
        }
    }
}

/// A session of anybody: for machines and for the outbox.
pub(crate) async fn find(
    conn: &mut PgConnection,
    id: SessionId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!("WHERE s.id = $2", day, id.0)
        .fetch_optional(conn)
        .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// A session of one user.
pub(crate) async fn find_own(
    conn: &mut PgConnection,
    id: SessionId,
    owner: &UserId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!("WHERE s.id = $2 AND s.user_id = $3", day, id.0, owner.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// Locks a session. The open request that it shows may be older than the lock: [`save`] reads it anew.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: SessionId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!("WHERE s.id = $2 FOR UPDATE OF s", day, id.0)
        .fetch_optional(conn)
        .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// Locks a user's active session.
pub(crate) async fn lock_active(
    conn: &mut PgConnection,
    owner: &UserId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!(
        "WHERE s.user_id = $2 AND s.status = 'active' FOR UPDATE OF s",
        day,
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// Locks a session of one user.
pub(crate) async fn lock_own(
    conn: &mut PgConnection,
    id: SessionId,
    owner: &UserId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!(
        "WHERE s.id = $2 AND s.user_id = $3 FOR UPDATE OF s",
        day,
        id.0,
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// A user's active session, as it is.
pub(crate) async fn find_active(
    conn: &mut PgConnection,
    owner: &UserId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = select_sessions!(
        "WHERE s.user_id = $2 AND s.status = 'active'",
        day,
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// Saves a locked session with its consequences, in the order of the locks, and gives it as it is now.
pub(crate) async fn save(
    conn: &mut PgConnection,
    session: Session,
    saving: Saving<'_>,
) -> Result<Snapshot, sqlx::Error> {
    let columns = Columns::of(&session);
    let (call_id, granted) = saving.claim.unzip();
    let error = session.delivery.error.as_ref();
    let row = sqlx::query_as!(
        SavedRow,
        r#"WITH saved AS (
            UPDATE session.ai_sessions
            SET status = $2, stop_reason = $3, stopped_at = $4, calls_made_today = $5, message = $6,
                completion_outcome = $7, completion_calls = $8, heard = $9, resent = $10, delivery_state = $11,
                delivery_detail = $12, delivery_attempts = $13, delivery_error_code = $14,
                delivery_error_message = $15
            WHERE id = $1 RETURNING id, user_id
        ), counted AS (
            INSERT INTO session.day_counts AS c (user_id, day, calls)
            SELECT user_id, $16, $17::bigint FROM saved WHERE $17 > 0
            ON CONFLICT (user_id, day) DO UPDATE SET calls = c.calls + excluded.calls
            RETURNING calls
        ), claimed AS (
            INSERT INTO session.claims (session_id, call_id, calls_made, remaining)
            SELECT id, $18::text, $19, $20 FROM saved WHERE $18 IS NOT NULL
        ), told AS (
            -- Reads `counted`, so that the day is locked before the revision.
            INSERT INTO session.users AS u (id, revision)
            SELECT user_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
            FROM saved LEFT JOIN counted ON true WHERE $21
            ON CONFLICT (id) DO UPDATE SET revision = u.revision + 1
        )
        SELECT COALESCE((SELECT calls FROM counted), d.calls, 0) AS "calls_today!", o.state AS "outbox_state?",
            o.attempts AS "outbox_attempts?", o.next_attempt_at AS "next_attempt_at?", o.sent_at, o.last_error
        FROM saved s
        LEFT JOIN session.day_counts d ON d.user_id = s.user_id AND d.day = $16
        LEFT JOIN LATERAL (
            SELECT state, attempts, next_attempt_at, sent_at, last_error FROM session.outbox
            WHERE key = s.id::text ORDER BY seq DESC LIMIT 1
        ) o ON true"#,
        session.id.0,
        columns.status,
        columns.stop_reason,
        columns.stopped_at,
        session.calls_made,
        session.message,
        columns.completion_outcome,
        columns.completion_calls,
        session.heard,
        session.resent,
        columns.delivery_state,
        columns.delivery_detail,
        session.delivery.attempts,
        error.map(|error| error.code.as_str()),
        error.map(|error| error.message.as_str()),
        saving.day,
        i64::from(saving.increase),
        call_id,
        granted.map(|granted| granted.calls_made),
        granted.map(|granted| granted.remaining),
        saving.revision == Revision::Raise
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into_snapshot(session))
}

/// A page of a user's sessions, newest first.
pub(crate) async fn history(
    conn: &mut PgConnection,
    owner: &UserId,
    after: Option<Cursor>,
    limit: i64,
    day: NaiveDate,
) -> Result<Vec<Snapshot>, sqlx::Error> {
    let (started_at, id): (Option<DateTime<Utc>>, _) =
        after.map(|cursor| (cursor.started_at, cursor.id.0)).unzip();
    let rows = select_sessions!(
        "WHERE s.user_id = $2 AND ($3::timestamptz IS NULL OR (s.started_at, s.id) < ($3, $4))
        ORDER BY s.started_at DESC, s.id DESC LIMIT $5",
        day,
        owner.as_str(),
        started_at,
        id,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(SessionRow::into_snapshot).collect()
}

/// A user's latest session: the active one, where there is one. Replicas' clocks differ, so that a session which
/// ended may seem to have begun after it.
pub(crate) async fn latest(
    conn: &mut PgConnection,
    owner: &UserId,
    day: NaiveDate,
) -> Result<Option<Snapshot>, sqlx::Error> {
    // Two looks into an index each, instead of sorting all that the user ever had.
    let row = select_sessions!(
        "WHERE s.id = COALESCE(
            (SELECT id FROM session.ai_sessions WHERE user_id = $2 AND status = 'active'),
            (SELECT id FROM session.ai_sessions WHERE user_id = $2 ORDER BY started_at DESC, id DESC LIMIT 1))",
        day,
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(SessionRow::into_snapshot).transpose()
}

/// Calls per day of a user, from a day on; days without calls are left out.
pub(crate) async fn calls_since(
    conn: &mut PgConnection,
    owner: &UserId,
    first: NaiveDate,
) -> Result<Vec<(NaiveDate, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT day, calls FROM session.day_counts WHERE user_id = $1 AND day >= $2",
        owner.as_str(),
        first
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.calls)).collect())
}
