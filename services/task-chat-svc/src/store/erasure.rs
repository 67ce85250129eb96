//! Erasing a person's data, and knowing an erased task again for a while without keeping its id.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use crate::domain::ids::TaskId;

/// Erases all tasks of a user with what belongs to them and leaves a tombstone for each. Gives the number of tasks.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    user: &UserId,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    // Takes as long as the person's data is large; the limit is for requests.
    sqlx::query!("SET LOCAL statement_timeout = 0")
        .execute(&mut *conn)
        .await?;
    let ids = sqlx::query_scalar!(
        "SELECT task_id FROM task_chat.tasks WHERE user_id = $1 ORDER BY task_id FOR UPDATE",
        user.as_str()
    )
    .fetch_all(&mut *conn)
    .await?;
    let hashes: Vec<Vec<u8>> = ids.iter().map(|id| tombstone(id)).collect();
    sqlx::query!(
        "INSERT INTO task_chat.tombstones (hash, at) SELECT hash, $2 FROM unnest($1::bytea[]) AS erased (hash)
        ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        &hashes,
        now
    )
    .execute(&mut *conn)
    .await?;
    // Messages and answers go with their task.
    sqlx::query!("DELETE FROM task_chat.tasks WHERE task_id = ANY($1)", &ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM task_chat.outbox WHERE key = ANY($1)", &ids)
        .execute(&mut *conn)
        .await?;
    // Machines' too: they name the tasks.
    sqlx::query!(
        "DELETE FROM task_chat.idempotency WHERE answer->>'taskId' = ANY($1)",
        &ids
    )
    .execute(&mut *conn)
    .await?;
    Ok(ids.len() as u64)
}

/// Whether this task was erased lately.
pub(crate) async fn was_erased(conn: &mut PgConnection, id: &TaskId) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM task_chat.tombstones WHERE hash = $1) AS "found!""#,
        tombstone(id.as_str())
    );
    found.fetch_one(conn).await
}

fn tombstone(id: &str) -> Vec<u8> {
    Sha256::digest(format!("task:{id}")).to_vec()
}
