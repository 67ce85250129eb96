//! What `send-message` stores: one statement that looks who holds the chat, judges the rate and writes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::corrupt;
use super::visitor::bound;
use crate::domain::entry::{Audience, Message};
use crate::domain::ids::{MessageId, SessionId};

/// A message of an operator or a machine.
#[derive(Debug, Clone)]
pub(crate) struct Sending<'a> {
    pub(crate) session: &'a SessionId,
    /// Those that the caller reaches; all where there are none.
    pub(crate) channels: Option<&'a [String]>,
    pub(crate) id: MessageId,
    pub(crate) message: &'a Message,
    /// The operator, where one writes.
    pub(crate) author: Option<&'a str>,
    /// Whether it is kept for a visitor who is away.
    pub(crate) even_offline: bool,
    /// This one.
    pub(crate) replica: Uuid,
    /// Messages a minute.
    pub(crate) rate: u32,
    pub(crate) at: DateTime<Utc>,
}

/// Where a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) seq: i64,
    /// A bot's late answer is for operators alone while they have the chat.
    pub(crate) audience: Audience,
    /// Whether a replica besides this one holds the chat.
    pub(crate) held_elsewhere: bool,
}

/// Stores it, unless the chat is not there, connected nowhere, or over its rate: [`standing`] tells which.
///
/// Planned once for each connection, not each time (0.3 ms): so it stays while no parameter's value makes a much cheaper plan.
pub(crate) async fn store(conn: &mut PgConnection, new: &Sending<'_>) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query!(
        r#"WITH raised AS (
            UPDATE chat.sessions SET last_seq = last_seq + 1, updated_at = $11, flagged_at = NULL,
                sender_minute = CASE WHEN sender_minute <= now() - interval '1 minute' THEN now() ELSE sender_minute END,
                sender_count = CASE WHEN sender_minute <= now() - interval '1 minute' THEN 1 ELSE sender_count + 1 END
            WHERE id = $1 AND ($2::text[] IS NULL OR channel = ANY($2))
                AND (sender_minute <= now() - interval '1 minute' OR sender_count < $10)
                AND ($9 OR EXISTS (SELECT FROM chat.holders h WHERE h.session_id = $1))
            RETURNING last_seq, mode
        )
        INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, name, body, author, created_at)
        SELECT $1, last_seq, $3, 'message', CASE WHEN $4 = 'bot' AND mode = 'operator' THEN 'operators' ELSE 'all' END,
            $4, $5, $6, $7, $8
        FROM raised RETURNING seq, audience, EXISTS (
            SELECT FROM chat.registrations g WHERE g.session_id = $1 AND g.replica <> $12
        ) AS "elsewhere!""#,
        new.session.as_str(),
        new.channels,
        new.id.0,
        new.message.sender.word(),
        new.message.name,
        new.message.text,
        new.author,
        new.at,
        new.even_offline,
        bound(new.rate),
        new.at,
        new.replica
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Stored {
        seq: row.seq,
        audience: Audience::parse(&row.audience).ok_or_else(|| corrupt("audience"))?,
        held_elsewhere: row.elsewhere,
    }))
}

/// Why a message was not stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// Whether a socket is open on any replica.
    pub(crate) connected: bool,
    /// Seconds until the rate lets another message through.
    pub(crate) wait_s: f64,
}

/// How a chat of the caller's channels stands towards `send-message`.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    new: &Sending<'_>,
) -> Result<Option<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT EXISTS (SELECT FROM chat.holders h WHERE h.session_id = $1) AS "connected!",
            greatest(extract(epoch FROM sender_minute + interval '1 minute' - now()), 0)::float8 AS "wait_s!"
        FROM chat.sessions WHERE id = $1 AND ($2::text[] IS NULL OR channel = ANY($2))"#,
        new.session.as_str(),
        new.channels
    )
    .fetch_optional(conn)
    .await
}
