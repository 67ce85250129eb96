//! What background jobs look for and remove, in batches.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::SessionId;

/// Active sessions that began at or before `cutoff`, oldest first.
pub(crate) async fn begun_before(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<SessionId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM session.ai_sessions WHERE status = 'active' AND started_at <= $1
        ORDER BY started_at LIMIT $2",
        cutoff,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(SessionId).collect())
}

/// Removes claims of sessions that ended before `cutoff`, at most `limit`: a session may have thousands, and a statement
/// that takes them all along takes too long for ever. The rows are named by their place, so that no plan, however little
/// PostgreSQL knows of the table, compares every claim with every other.
pub(crate) async fn remove_claims(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM session.claims WHERE ctid = ANY(ARRAY(
            SELECT c.ctid FROM session.claims c JOIN session.ai_sessions s ON s.id = c.session_id
            WHERE s.status = 'stopped' AND s.stopped_at < $1 LIMIT $2))",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes sessions that ended before `cutoff`, at most `limit`.
pub(crate) async fn remove_sessions(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM session.ai_sessions WHERE id IN (
            SELECT id FROM session.ai_sessions WHERE status = 'stopped' AND stopped_at < $1
            ORDER BY stopped_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes counts of days before `cutoff`, at most `limit`.
pub(crate) async fn remove_days(
    conn: &mut PgConnection,
    cutoff: NaiveDate,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM session.day_counts WHERE (user_id, day) IN (
            SELECT user_id, day FROM session.day_counts WHERE day < $1
            ORDER BY day LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes the revisions of users of whom nothing else is kept, at most `limit`.
pub(crate) async fn remove_users(conn: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM session.users WHERE id IN (
            SELECT id FROM session.users u
            WHERE NOT EXISTS (SELECT FROM session.ai_sessions s WHERE s.user_id = u.id)
            AND NOT EXISTS (SELECT FROM session.day_counts d WHERE d.user_id = u.id)
            LIMIT $1 FOR UPDATE SKIP LOCKED)",
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes tombstones left before `cutoff`, at most `limit`.
pub(crate) async fn remove_tombstones(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM session.tombstones WHERE hash IN (
            SELECT hash FROM session.tombstones WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Numbers for the gauges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// Active sessions.
    pub(crate) active: i64,
    /// Requests that n8n has and has not answered.
    pub(crate) waiting: i64,
}

/// Counts what is live.
pub(crate) async fn counts(conn: &mut PgConnection) -> Result<Counts, sqlx::Error> {
    sqlx::query_as!(
        Counts,
        r#"SELECT
            (SELECT count(*) FROM session.ai_sessions WHERE status = 'active') AS "active!",
            (SELECT count(*) FROM session.outbox WHERE state = 'sending' AND sent_at IS NOT NULL) AS "waiting!""#
    )
    .fetch_one(conn)
    .await
}
