//! The log of a chat.

use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::{EntryColumns, EntryRow};
use crate::domain::entry::Entry;
use crate::domain::ids::SessionId;

/// The message that a bot's reply answers, and its place in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The visitor's message.
    pub(crate) to: Uuid,
    /// 0 and up.
    pub(crate) part: i32,
}

/// Stores an entry at its position. The caller holds the chat's lock and has raised its counter.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    session: &SessionId,
    entry: &Entry,
    reply: Option<Reply>,
) -> Result<(), sqlx::Error> {
    let columns = EntryColumns::of(&entry.kind);
    sqlx::query!(
        "INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, name, body, mode, client_id,
            in_reply_to, part, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        session.as_str(),
        entry.seq,
        entry.id.0,
        columns.kind,
        entry.audience.word(),
        columns.sender,
        columns.name,
        columns.body,
        columns.mode,
        columns.client_id,
        reply.map(|reply| reply.to),
        reply.map(|reply| reply.part),
        entry.at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The messages of a chat after a position, oldest first.
pub(crate) async fn messages_after(
    conn: &mut PgConnection,
    session: &SessionId,
    position: i64,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query_as!(
        EntryRow,
        "SELECT seq, id, kind, audience, sender, name, body, mode, client_id, created_at FROM chat.entries
        WHERE session_id = $1 AND seq > $2 AND kind = 'message' ORDER BY seq LIMIT $3",
        session.as_str(),
        position,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(EntryRow::into_entry).collect()
}

/// Takes an operator's name from what he wrote.
pub(crate) async fn forget_author(conn: &mut PgConnection, author: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE chat.entries SET author = NULL, name = NULL WHERE author = $1",
        author
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
