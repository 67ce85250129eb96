//! Erasing a person's data, and knowing an erased session again for a while without keeping its id.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use switchhook_core::ids::{SessionId, UserId};

/// Erases all that is kept about a user and leaves a tombstone for each session. Gives the number of sessions.
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
        "SELECT id FROM session.ai_sessions WHERE user_id = $1 ORDER BY id FOR UPDATE",
        user.as_str()
    )
    .fetch_all(&mut *conn)
    .await?;
    let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let hashes: Vec<Vec<u8>> = ids.iter().map(|id| tombstone(SessionId(*id))).collect();
    sqlx::query!(
        "INSERT INTO session.tombstones (hash, at) SELECT hash, $2 FROM unnest($1::bytea[]) AS erased (hash)
        ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        &hashes,
        now
    )
    .execute(&mut *conn)
    .await?;
    // Claims go with their session.
    sqlx::query!("DELETE FROM session.ai_sessions WHERE id = ANY($1)", &ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM session.day_counts WHERE user_id = $1", user.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM session.outbox WHERE key = ANY($1)", &keys)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM session.users WHERE id = $1", user.as_str())
        .execute(&mut *conn)
        .await?;
    Ok(ids.len() as u64)
}

/// Whether this session was erased lately.
pub(crate) async fn was_erased(conn: &mut PgConnection, id: SessionId) -> Result<bool, sqlx::Error> {
    let hash = tombstone(id);
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM session.tombstones WHERE hash = $1) AS "found!""#,
        hash
    );
    found.fetch_one(conn).await
}

fn tombstone(id: SessionId) -> Vec<u8> {
    Sha256::digest(format!("session:{id}")).to_vec()
}
