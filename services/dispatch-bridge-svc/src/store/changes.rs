//! What changed, in an order that agrees with the commits, without a counter that every writer would queue for.
//!
//! Each call carries the transaction of its last change. A transaction below the oldest one that still runs is over for
//! good, so whatever a reader has not seen below that horizon is all there is.

use sqlx::PgConnection;

use super::rows::{CallRow, select_calls};
use crate::domain::dispatch::Call;

/// The horizon: every transaction below it is over.
pub(crate) async fn horizon(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "horizon!""#)
        .fetch_one(conn)
        .await
}

/// What changed after a position.
pub(crate) struct Page {
    /// With their positions, in order.
    pub(crate) calls: Vec<(i64, Call)>,
    /// Whether something was committed above the horizon, and can be read in a moment.
    pub(crate) more_soon: bool,
}

/// The calls whose last change is after `position` and below the horizon, at least `limit` where there are as many.
pub(crate) async fn after(conn: &mut PgConnection, position: i64, limit: i64) -> Result<Page, sqlx::Error> {
    let rows = select_calls!(
        "WHERE tx > ($1::bigint)::text::xid8 AND tx < pg_snapshot_xmin(pg_current_snapshot())
            AND step NOT IN ('reserved', 'sending')
        ORDER BY tx FETCH FIRST $2 ROWS WITH TIES",
        position.max(0),
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let more_soon = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM dispatch.dispatches WHERE tx >= pg_snapshot_xmin(pg_current_snapshot())
            AND tx > ($1::bigint)::text::xid8 AND step NOT IN ('reserved', 'sending')) AS "more!""#,
        position.max(0)
    )
    .fetch_one(conn)
    .await?;
    let calls = rows
        .into_iter()
        .map(|row| Ok((row.revision, CallRow::into_call(row)?)));
    Ok(Page {
        calls: calls.collect::<Result<_, sqlx::Error>>()?,
        more_soon,
    })
}

/// The newest position, for the safety poll.
pub(crate) async fn newest(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(max(tx::text::bigint), 0) AS "newest!" FROM (
            SELECT tx FROM dispatch.dispatches ORDER BY tx DESC LIMIT 1) newest"#
    )
    .fetch_one(conn)
    .await
}

/// The calls of the present state: those under way, and the newest, oldest first.
pub(crate) async fn present(conn: &mut PgConnection, limit: i64) -> Result<Vec<Call>, sqlx::Error> {
    let rows = select_calls!(
        "WHERE id IN (
            (SELECT id FROM dispatch.dispatches WHERE step NOT IN ('reserved', 'sending')
                ORDER BY created_at DESC, id DESC LIMIT $1)
            UNION
            (SELECT id FROM dispatch.dispatches
                WHERE dispatch_id IS NOT NULL AND status IN ('dispatched', 'ringing', 'answered')
                ORDER BY created_at DESC LIMIT $1))
        ORDER BY created_at, id",
        limit
    )
    .fetch_all(conn)
    .await?;
    super::rows::calls(rows)
}
