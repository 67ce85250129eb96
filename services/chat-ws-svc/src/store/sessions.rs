//! Chats as they are locked and changed.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::rows::holder;
use crate::domain::ids::SessionId;
use crate::domain::session::Holder;

/// A chat, locked.
#[derive(Debug, Clone)]
pub(crate) struct Locked {
    pub(crate) holder: Holder,
    /// The position of the newest entry.
    pub(crate) last_seq: i64,
}

/// Locks a chat of the channels that are named; of any where none are.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: &SessionId,
    channels: Option<&[String]>,
) -> Result<Option<Locked>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT mode, operator_id, operator_name, last_seq FROM chat.sessions
        WHERE id = $1 AND ($2::text[] IS NULL OR channel = ANY($2)) FOR UPDATE",
        id.as_str(),
        channels
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Locked {
        holder: holder(&row.mode, row.operator_id, row.operator_name)?,
        last_seq: row.last_seq,
    }))
}

/// Writes who speaks to the visitor, and that an entry tells of it. Whoever took the chat over has seen its flag.
pub(crate) async fn hand_over(
    conn: &mut PgConnection,
    id: &SessionId,
    holder: &Holder,
    seq: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let person = holder.person();
    sqlx::query!(
        "UPDATE chat.sessions SET mode = $2, operator_id = $3, operator_name = $4, last_seq = $5, updated_at = $6,
            flagged_at = CASE WHEN $2 = 'bot' THEN flagged_at END
        WHERE id = $1",
        id.as_str(),
        holder.mode().word(),
        person.map(|person| person.id.as_str()),
        person.map(|person| person.name.as_str()),
        seq,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether there is such a chat in these channels, and the channel.
pub(crate) async fn channel_of(
    conn: &mut PgConnection,
    id: &SessionId,
    channels: Option<&[String]>,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT channel FROM chat.sessions WHERE id = $1 AND ($2::text[] IS NULL OR channel = ANY($2))",
        id.as_str(),
        channels
    )
    .fetch_optional(conn)
    .await
}

/// How many chats of these channels have an open socket on any replica.
pub(crate) async fn active(conn: &mut PgConnection, channels: Option<&[String]>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM chat.sessions
        WHERE ($1::text[] IS NULL OR channel = ANY($1)) AND id IN (SELECT session_id FROM chat.holders)"#,
        channels
    )
    .fetch_one(conn)
    .await
}

/// Takes an operator off the chats that he holds: they wait for another one.
pub(crate) async fn forget_operator(conn: &mut PgConnection, operator: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "WITH left_alone AS (
            UPDATE chat.sessions SET operator_id = NULL, operator_name = NULL WHERE operator_id = $1 RETURNING id
        ) INSERT INTO chat.changes (session_id) SELECT id FROM left_alone",
        operator
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
