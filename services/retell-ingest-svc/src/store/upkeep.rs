//! What retention removes, in batches.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{digests, erasure, figures};

/// Most rows that a gauge counts.
const COUNTED: i64 = 100_000;

/// Removes owned calls that began, and were first heard of, before `cutoff`, at most `limit`. In a transaction.
pub(crate) async fn remove_calls(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    digests::take_turn(conn).await?;
    // In the order of the locks. What somebody works on just now is left to the next round.
    let calls = sqlx::query_scalar!(
        "SELECT id FROM retell.calls WHERE id IN (
            SELECT id FROM retell.calls WHERE created_at < $1 AND sort_at < $1 AND user_id IS NOT NULL LIMIT $2)
        AND created_at < $1 AND sort_at < $1 ORDER BY call_id, id FOR UPDATE SKIP LOCKED",
        cutoff,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    figures::subtract(conn, &calls).await?;
    erasure::remove(conn, &calls).await
}

/// Removes calls that nobody owns and that were last heard of before `cutoff`, at most `limit`.
pub(crate) async fn remove_held(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM retell.calls WHERE id IN (
            SELECT id FROM retell.calls WHERE user_id IS NULL AND heard_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes tenures that ended before `cutoff` of clients without a call, at most `limit`.
pub(crate) async fn remove_tenures(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM retell.tenures WHERE id IN (
            SELECT id FROM retell.tenures t WHERE ended_at < $1
            AND NOT EXISTS (SELECT FROM retell.calls c WHERE c.user_id = t.user_id)
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
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
        "DELETE FROM retell.tombstones WHERE hash IN (
            SELECT hash FROM retell.tombstones WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// What gauges show. Each is counted up to a bound: counting must not cost more than it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) agents: i64,
    pub(crate) held: i64,
    pub(crate) undigested: i64,
}

/// Counts what gauges show, at most [`COUNTED`] of each.
pub(crate) async fn counts(conn: &mut PgConnection) -> Result<Counts, sqlx::Error> {
    sqlx::query_as!(
        Counts,
        r#"SELECT
            (SELECT count(*) FROM (SELECT FROM retell.tenures WHERE ended_at IS NULL LIMIT $1) a) AS "agents!",
            (SELECT count(*) FROM (SELECT FROM retell.calls WHERE user_id IS NULL LIMIT $1) h) AS "held!",
            (SELECT count(*) FROM (SELECT FROM retell.undigested LIMIT $1) u) AS "undigested!""#,
        COUNTED
    )
    .fetch_one(conn)
    .await
}
