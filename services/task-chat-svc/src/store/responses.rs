//! What agents answered.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::task_id;
use crate::domain::ids::{ResponseId, TaskId};
use crate::domain::shown::ShownResponse;

/// How an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// By webhook.
    Webhook,
    /// In the answer to the request that this outbox row made, at this place.
    Answer(Uuid, i32),
    /// By the endpoint for tests.
    Test,
}

/// Stores an answer.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    task: &TaskId,
    id: ResponseId,
    seq: i64,
    text: &str,
    source: Source,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (word, delivery, index) = match source {
        Source::Webhook => ("webhook", None, None),
        Source::Answer(delivery, index) => ("answer", Some(delivery), Some(index)),
        Source::Test => ("test", None, None),
    };
    sqlx::query!(
        "INSERT INTO task_chat.communications
            (id, task_id, seq, response, source, delivery_id, delivery_index, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id.0,
        task.as_str(),
        seq,
        text,
        word,
        delivery,
        index,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the answer to the request of an outbox row is stored already.
pub(crate) async fn has_answer_of(conn: &mut PgConnection, delivery: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM task_chat.communications WHERE delivery_id = $1) AS "has!""#,
        delivery
    )
    .fetch_one(conn)
    .await
}

/// The answers of a task after a position and up to another, oldest first, with their positions.
pub(crate) async fn after(
    conn: &mut PgConnection,
    task: &TaskId,
    position: i64,
    up_to: i64,
    limit: i64,
) -> Result<Vec<(i64, ShownResponse)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, task_id, seq, response, created_at FROM task_chat.communications
        WHERE task_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        task.as_str(),
        position,
        up_to,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let response = ShownResponse {
                id: ResponseId(row.id),
                task_id: task_id(&row.task_id)?,
                response: row.response,
                created_at: row.created_at.into(),
            };
            Ok((row.seq, response))
        })
        .collect()
}
