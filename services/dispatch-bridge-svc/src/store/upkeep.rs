//! What background jobs count and remove, in batches.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Removes calls that were over before `cutoff`, at most `limit`; events and summaries go with them.
pub(crate) async fn remove_calls(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM dispatch.dispatches WHERE id IN (
            SELECT id FROM dispatch.dispatches
            WHERE created_at < $1 AND step NOT IN ('reserved', 'sending')
                AND (step <> 'placed' OR status IN ('ended', 'no_worker', 'failed'))
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    );
    Ok(done.execute(conn).await?.rows_affected())
}

/// Removes events and reports of calls that nobody knows, left before `cutoff`, at most `limit` of each.
pub(crate) async fn remove_unmatched(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let events = sqlx::query!(
        "DELETE FROM dispatch.events WHERE id IN (SELECT id FROM dispatch.events
            WHERE dispatch IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(&mut *conn)
    .await?;
    let reports = sqlx::query!(
        "DELETE FROM dispatch.summaries WHERE id IN (SELECT id FROM dispatch.summaries
            WHERE dispatch IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(&mut *conn)
    .await?;
    Ok(events.rows_affected() + reports.rows_affected())
}

/// Removes windows that were left before `cutoff_s` seconds ago, at most `limit`.
pub(crate) async fn remove_windows(
    conn: &mut PgConnection,
    cutoff_s: f64,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM dispatch.dial_guard WHERE (account_code, digits) IN (
            SELECT account_code, digits FROM dispatch.dial_guard WHERE at < now() - make_interval(secs => $1)
            ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff_s,
        limit
    );
    Ok(done.execute(conn).await?.rows_affected())
}

/// Removes tombstones left before `cutoff`, at most `limit`.
pub(crate) async fn remove_tombstones(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM dispatch.tombstones WHERE hash IN (
            SELECT hash FROM dispatch.tombstones WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    );
    Ok(done.execute(conn).await?.rows_affected())
}

/// How many dials and calls are under way.
pub(crate) struct UnderWay {
    pub(crate) dialling: i64,
    pub(crate) calls: i64,
    pub(crate) closings: i64,
}

/// What is under way.
pub(crate) async fn under_way(conn: &mut PgConnection) -> Result<UnderWay, sqlx::Error> {
    sqlx::query_as!(
        UnderWay,
        r#"SELECT count(*) FILTER (WHERE step <> 'placed') AS "dialling!", count(*) FILTER (WHERE step = 'placed') AS "calls!",
            (SELECT count(*) FROM dispatch.closings) AS "closings!"
        FROM dispatch.dispatches
        WHERE (dispatch_id IS NULL AND status = 'dispatched')
            OR (dispatch_id IS NOT NULL AND status IN ('dispatched', 'ringing', 'answered'))"#
    )
    .fetch_one(conn)
    .await
}
