//! Erasing a chat, and knowing it again for a while without keeping its id.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::domain::ids::SessionId;

/// Erases a chat of the channels that are named with everything that belongs to it, and leaves a tombstone. Says whether
/// there was one.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    session: &SessionId,
    channels: Option<&[String]>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let id = session.as_str();
    // The lock first: whoever is writing to the chat is done then, and what he wrote is seen.
    sqlx::query!("SELECT FROM chat.sessions WHERE id = $1 FOR UPDATE", id)
        .fetch_optional(&mut *conn)
        .await?;
    // Entries go with their chat.
    let erased = sqlx::query!(
        // What is owed for a message has the message's id.
        "WITH gone AS (
            DELETE FROM chat.sessions WHERE id = $1 AND ($2::text[] IS NULL OR channel = ANY($2)) RETURNING id, channel
        ), unsent AS (
            DELETE FROM chat.outbox WHERE id IN (
                SELECT e.id FROM chat.entries e JOIN gone ON gone.id = e.session_id WHERE e.sender = 'user'
            )
        ) INSERT INTO chat.changes (session_id, channel) SELECT id, channel FROM gone",
        id,
        channels
    )
    .execute(&mut *conn)
    .await?;
    if erased.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO chat.tombstones (hash, at) VALUES ($1, $2) ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        tombstone(id),
        now
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM chat.idempotency WHERE answer->>'sessionId' = $1", id)
        .execute(&mut *conn)
        .await?;
    Ok(true)
}

/// Whether this chat was erased lately.
pub(crate) async fn was_erased(conn: &mut PgConnection, id: &SessionId) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM chat.tombstones WHERE hash = $1) AS "found!""#,
        tombstone(id.as_str())
    );
    found.fetch_one(conn).await
}

fn tombstone(id: &str) -> Vec<u8> {
    Sha256::digest(format!("chat:{id}")).to_vec()
}
