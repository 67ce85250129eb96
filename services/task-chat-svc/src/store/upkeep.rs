//! What background jobs look for and remove, in batches.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::rows::task_id;
use crate::domain::ids::TaskId;

/// Tasks that have waited since `cutoff` or longer, oldest first.
pub(crate) async fn waiting_since(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<TaskId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT task_id FROM task_chat.tasks WHERE state = 'waiting' AND waiting_since <= $1
        ORDER BY waiting_since LIMIT $2",
        cutoff,
        limit
    )
    .fetch_all(conn)
    .await?;
    ids.iter().map(|id| task_id(id)).collect()
}

/// Removes answers of tasks in which nothing happened since `cutoff`, at most `limit`: a task may have thousands. The rows
/// are named by their place, so that no plan compares every answer with every other.
pub(crate) async fn remove_responses(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM task_chat.communications WHERE ctid = ANY(ARRAY(
            SELECT c.ctid FROM task_chat.communications c JOIN task_chat.tasks t ON t.task_id = c.task_id
            WHERE t.state <> 'waiting' AND t.updated_at < $1 LIMIT $2))",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes tasks in which nothing happened since `cutoff`, with their messages, at most `limit`.
pub(crate) async fn remove_tasks(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM task_chat.tasks WHERE task_id IN (
            SELECT task_id FROM task_chat.tasks WHERE state <> 'waiting' AND updated_at < $1
            ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
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
        "DELETE FROM task_chat.tombstones WHERE hash IN (
            SELECT hash FROM task_chat.tombstones WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        cutoff,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many tasks wait for an answer.
pub(crate) async fn waiting(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM task_chat.tasks WHERE state = 'waiting'"#)
        .fetch_one(conn)
        .await
}
