//! What a bot's answer finds and leaves in a chat.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::corrupt;
use crate::domain::entry::Mode;
use crate::domain::ids::SessionId;

/// A chat to which an answer comes, locked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Whether an operator took the chat over since: the answer is not for the visitor then.
    pub(crate) taken_over: bool,
    pub(crate) last_seq: i64,
    /// What the visitor wrote.
    pub(crate) text: Option<String>,
    /// What his client called it.
    pub(crate) client_id: Option<String>,
    /// Whether the answer is stored already.
    pub(crate) answered: bool,
}

/// Locks the chat in which this message was sent to the bot.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    session: &SessionId,
    message: Uuid,
) -> Result<Option<Asked>, sqlx::Error> {
    // The lock first: what belongs to the chat is read as it is once the lock is held.
    let row = sqlx::query!(
        "SELECT mode, last_seq FROM chat.sessions WHERE id = $1 FOR UPDATE",
        session.as_str()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let asked = sqlx::query!(
        r#"SELECT e.body, e.client_id, EXISTS (
            SELECT FROM chat.entries r WHERE r.session_id = $1 AND r.in_reply_to = $2
        ) AS "answered!", EXISTS (
            SELECT FROM chat.entries s WHERE s.session_id = $1 AND s.seq > e.seq AND s.mode = 'operator'
        ) AS "taken_over!" FROM chat.entries e WHERE e.session_id = $1 AND e.id = $2"#,
        session.as_str(),
        message
    )
    .fetch_optional(conn)
    .await?;
    let mode = Mode::parse(&row.mode).ok_or_else(|| corrupt("mode"))?;
    let held = mode == Mode::Operator;
    Ok(Some(match asked {
        Some(asked) => Asked {
            taken_over: held || asked.taken_over,
            last_seq: row.last_seq,
            text: asked.body,
            client_id: asked.client_id,
            answered: asked.answered,
        },
        None => Asked {
            taken_over: held,
            last_seq: row.last_seq,
            text: None,
            client_id: None,
            answered: false,
        },
    }))
}

/// Whether the bot has left the visitor in the lurch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    /// It has.
    Raise,
    /// It has answered.
    Lower,
}

/// Raises the chat's counter to the newest entry and sets its flag.
pub(crate) async fn raise(
    conn: &mut PgConnection,
    session: &SessionId,
    seq: i64,
    flag: Flag,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let flagged_at = (flag == Flag::Raise).then_some(now);
    sqlx::query!(
        "UPDATE chat.sessions SET last_seq = $2, updated_at = $3, flagged_at = $4 WHERE id = $1",
        session.as_str(),
        seq,
        now,
        flagged_at
    )
    .execute(conn)
    .await?;
    Ok(())
}
