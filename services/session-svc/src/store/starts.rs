//! The outbox rows of a session's start, as far as their owner must look at them while he holds the session's lock.

use sqlx::PgConnection;
use switchhook_core::ids::SessionId;
use uuid::Uuid;

/// The id of the newest row.
pub(crate) async fn newest(conn: &mut PgConnection, id: SessionId) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM session.outbox WHERE key = $1 ORDER BY seq DESC LIMIT 1",
        id.to_string()
    )
    .fetch_optional(conn)
    .await
}

/// Calls off what was not sent yet. Says whether there was such a row.
pub(crate) async fn cancel_unsent(conn: &mut PgConnection, id: SessionId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE session.outbox
        SET state = 'cancelled', finished_at = now(), headers = NULL, body = NULL, replica = NULL
        WHERE key = $1 AND state IN ('owed', 'sending') AND sent_at IS NULL",
        id.to_string()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
