//! What users sent, and what became of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::ids::{MessageId, TaskId};
use crate::domain::task::Failure;

/// A message that is to be delivered.
#[derive(Debug)]
pub(crate) struct NewMessage<'a> {
    pub(crate) id: MessageId,
    pub(crate) seq: i64,
    pub(crate) text: &'a str,
    /// The outbox row that sends it.
    pub(crate) delivery: Uuid,
    pub(crate) at: DateTime<Utc>,
}

/// Stores a message.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    task: &TaskId,
    new: &NewMessage<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO task_chat.messages (id, task_id, seq, message, delivery, delivery_id, created_at)
        VALUES ($1, $2, $3, $4, 'pending', $5, $6)",
        new.id.0,
        task.as_str(),
        new.seq,
        new.text,
        new.delivery,
        new.at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last message of a task.
pub(crate) async fn newest(
    conn: &mut PgConnection,
    task: &TaskId,
) -> Result<Option<(MessageId, String)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, message FROM task_chat.messages WHERE task_id = $1 ORDER BY seq DESC LIMIT 1",
        task.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (MessageId(row.id), row.message)))
}

/// The message goes out again, by another outbox row.
pub(crate) async fn send_again(
    conn: &mut PgConnection,
    id: MessageId,
    delivery: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE task_chat.messages
        SET delivery = 'pending', delivery_id = $2, failure_code = NULL, failure_message = NULL WHERE id = $1",
        id.0,
        delivery
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a message that is delivered is the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Others stand behind it.
    Earlier,
    /// It is the last.
    Last,
}

/// Records what became of the message that this outbox row sends, and tells its place. Nothing where another row sends it
/// by now.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    delivery: Uuid,
    failure: Option<&Failure>,
) -> Result<Option<Place>, sqlx::Error> {
    let last = sqlx::query_scalar!(
        r#"UPDATE task_chat.messages m SET delivery = CASE WHEN $2::text IS NULL THEN 'delivered' ELSE 'failed' END,
            failure_code = $2, failure_message = $3
        WHERE delivery_id = $1
        RETURNING NOT EXISTS (
            SELECT FROM task_chat.messages n WHERE n.task_id = m.task_id AND n.seq > m.seq
        ) AS "last!""#,
        delivery,
        failure.map(|failure| failure.code.as_str()),
        failure.map(|failure| failure.message.as_str())
    )
    .fetch_optional(conn)
    .await?;
    Ok(last.map(|last| if last { Place::Last } else { Place::Earlier }))
}

/// Whether an outbox row still sends a message.
pub(crate) async fn is_sent_by(conn: &mut PgConnection, delivery: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM task_chat.messages WHERE delivery_id = $1 AND delivery = 'pending') AS "is!""#,
        delivery
    )
    .fetch_one(conn)
    .await
}

/// How many messages of a task are unsent or not answered by their request yet.
pub(crate) async fn pending(conn: &mut PgConnection, task: &TaskId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM task_chat.messages WHERE task_id = $1 AND delivery = 'pending'"#,
        task.as_str()
    )
    .fetch_one(conn)
    .await
}

/// Calls off what is owed to the agent of a task and not under way, and gives the outbox rows with what the last try of
/// each met.
pub(crate) async fn call_off(
    conn: &mut PgConnection,
    task: &TaskId,
) -> Result<Vec<(Uuid, Option<String>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"UPDATE task_chat.outbox
        SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, replica = NULL
        WHERE key = $1 AND state = 'owed' RETURNING id, last_error->>'message' AS "last_error?""#,
        task.as_str()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.last_error)).collect())
}
