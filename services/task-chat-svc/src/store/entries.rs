//! A task's conversation as a whole: messages and answers in one order.

use sqlx::PgConnection;

use super::rows::{DeliveryRow, trouble};
use crate::domain::ids::TaskId;
use crate::domain::shown::{Author, ShownEntry};

/// The last entries of a task, oldest first.
pub(crate) async fn last(
    conn: &mut PgConnection,
    task: &TaskId,
    limit: i64,
) -> Result<Vec<ShownEntry>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT e.id AS "id!", e.text AS "text!", e.created_at AS "created_at!", e.delivery, e.failure_code,
            e.failure_message, o.state AS "outbox_state?", o.attempts AS "attempts?",
            o.next_attempt_at AS "next_attempt_at?", o.last_error AS "last_error?"
        FROM (
            SELECT id, seq, message AS text, created_at, delivery, failure_code, failure_message, delivery_id
            FROM task_chat.messages WHERE task_id = $1
            UNION ALL
            SELECT id, seq, response, created_at, NULL, NULL, NULL, NULL
            FROM task_chat.communications WHERE task_id = $1
            ORDER BY seq DESC LIMIT $2
        ) e LEFT JOIN task_chat.outbox o ON o.id = e.delivery_id ORDER BY e.seq"#,
        task.as_str(),
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let delivery = row.delivery.map(|state| DeliveryRow {
                state,
                trouble: trouble(row.failure_code, row.failure_message),
                outbox_state: row.outbox_state,
                attempts: row.attempts,
                next_attempt_at: row.next_attempt_at,
                last_error: row.last_error,
            });
            Ok(ShownEntry {
                id: row.id.to_string(),
                from: if delivery.is_some() {
                    Author::User
                } else {
                    Author::Agent
                },
                text: row.text,
                created_at: row.created_at.into(),
                delivery: delivery.map(DeliveryRow::into_delivery).transpose()?,
            })
        })
        .collect()
}
