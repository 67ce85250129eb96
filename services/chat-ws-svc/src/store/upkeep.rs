//! What jobs look for, count and remove. Short statements, each with a bound.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How many chats wait for an operator, and how many are flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) waiting: i64,
    pub(crate) flagged: i64,
}

/// Counts chats that want somebody's attention.
pub(crate) async fn counts(conn: &mut PgConnection) -> Result<Counts, sqlx::Error> {
    sqlx::query_as!(
        Counts,
        r#"SELECT (SELECT count(*) FROM chat.sessions WHERE mode = 'operator' AND operator_id IS NULL) AS "waiting!",
            (SELECT count(*) FROM chat.sessions WHERE flagged_at IS NOT NULL) AS "flagged!""#
    )
    .fetch_one(conn)
    .await
}

/// Removes chats that began before `bound`, in which nothing happened since `cutoff`, and that nobody holds open.
pub(crate) async fn remove_sessions(
    conn: &mut PgConnection,
    bound: &str,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM chat.sessions WHERE id IN (
            SELECT id FROM chat.sessions s WHERE id < $1 AND updated_at < $2
                AND NOT EXISTS (SELECT FROM chat.holders h WHERE h.session_id = s.id)
            ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
        )",
        bound,
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes tombstones of before `cutoff`.
pub(crate) async fn remove_tombstones(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM chat.tombstones WHERE hash IN (SELECT hash FROM chat.tombstones WHERE at < $1 LIMIT $2)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes changes that no operator's stream resumes from any more, by the database's clock.
pub(crate) async fn remove_changes(
    conn: &mut PgConnection,
    older_than_s: f64,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM chat.changes WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM chat.changes WHERE at < now() - make_interval(secs => $1) LIMIT $2
        ))",
        older_than_s,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
