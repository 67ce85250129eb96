//! What a bot's answer finds and leaves in a chat.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use switchhook_chassis::outbox::Ending;
use uuid::Uuid;

use super::rows::corrupt;
use crate::domain::entry::Mode;
use crate::domain::ids::{MessageId, SessionId};

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

/// An answer that is to be stored.
#[derive(Debug)]
pub(crate) struct NewReply {
    pub(crate) session: SessionId,
    /// At least one, in order.
    pub(crate) parts: Vec<(MessageId, String)>,
    pub(crate) at: DateTime<Utc>,
    /// The end of the row that asked for it; its id is the message's.
    pub(crate) ending: Ending,
}

/// Where an answer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Whether an operator has taken the chat over: only operators see it.
    pub(crate) taken_over: bool,
    /// The position before its first part.
    pub(crate) after: i64,
}

/// Answers, column by column; then their parts.
#[derive(Default)]
struct Columns<'a> {
    sessions: Vec<&'a str>,
    asked: Vec<Uuid>,
    states: Vec<&'a str>,
    outcomes: Vec<Option<Value>>,
    errors: Vec<Option<Value>>,
    moments: Vec<DateTime<Utc>>,
    counts: Vec<i64>,
    answered: Vec<Uuid>,
    parts: Vec<i32>,
    ids: Vec<Uuid>,
    texts: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(new: &'a [NewReply]) -> Self {
        let mut columns = Self::default();
        for new in new {
            columns.sessions.push(new.session.as_str());
            columns.asked.push(new.ending.id);
            columns.states.push(new.ending.state);
            columns.outcomes.push(new.ending.outcome.clone());
            columns.errors.push(new.ending.last_error.clone());
            columns.moments.push(new.at);
            columns.counts.push(new.parts.len() as i64);
            for (part, (id, text)) in (0..).zip(&new.parts) {
                columns.answered.push(new.ending.id);
                columns.parts.push(part);
                columns.ids.push(id.0);
                columns.texts.push(text);
            }
        }
        columns
    }
}

/// Stores answers in different chats, and ends the rows of the outbox that asked for them. In their order; nothing for one
/// that is stored already, or whose chat is erased or locked by somebody else, or whose row is not this process's any more.
/// Locks are taken as [`super::visitor::store`] takes them.
///
/// Nothing either where the log has grown since the statement's snapshot: what the snapshot says of takeovers would not be
/// true under the lock. Where somebody else ends the row between the two, nothing is changed.
pub(crate) async fn store(pool: &PgPool, new: &[NewReply]) -> Result<Vec<Option<Placed>>, sqlx::Error> {
    let Some(replica) = new.first().map(|new| new.ending.replica) else {
        return Ok(Vec::new());
    };
    let c = Columns::of(new);
    let rows = sqlx::query!(
        r#"WITH new AS MATERIALIZED (
            SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[], $6::timestamptz[], $7::bigint[])
            AS n (session_id, asked, state, outcome, last_error, at, parts)
        ),
        asked AS MATERIALIZED (
            SELECT n.*, s.last_seq, s.mode = 'operator' OR EXISTS (
                SELECT FROM chat.entries t WHERE t.session_id = n.session_id AND t.seq > e.seq AND t.mode = 'operator'
            ) AS taken_over
            FROM new n JOIN chat.sessions s ON s.id = n.session_id
            LEFT JOIN LATERAL (
                SELECT seq FROM chat.entries WHERE session_id = n.session_id AND id = n.asked OFFSET 0
            ) AS e ON true
            WHERE (SELECT o.replica = $8 AND o.state = 'sending' FROM chat.outbox o WHERE o.id = n.asked)
            AND (SELECT true FROM chat.entries r
                WHERE r.session_id = n.session_id AND r.in_reply_to = n.asked LIMIT 1) IS NULL
        ),
        free AS MATERIALIZED (
            SELECT s.id, s.last_seq FROM chat.sessions s WHERE s.id = ANY($1) ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
        ),
        ended AS (
            UPDATE chat.outbox o SET state = a.state, finished_at = now(), outcome = a.outcome,
                last_error = COALESCE(a.last_error, o.last_error), headers = NULL, body = NULL, replica = NULL
            FROM asked a JOIN free f ON f.id = a.session_id AND f.last_seq = a.last_seq
            WHERE o.id = a.asked AND o.replica = $8 AND o.state = 'sending'
            RETURNING a.session_id, a.asked, a.at, a.parts, a.last_seq, a.taken_over
        ),
        raised AS (
            UPDATE chat.sessions s SET last_seq = s.last_seq + e.parts, updated_at = e.at, flagged_at = NULL
            FROM ended e WHERE s.id = e.session_id
        ),
        said AS (
            INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, in_reply_to, part, created_at)
            SELECT e.session_id, e.last_seq + 1 + p.part, p.id, 'message',
                CASE WHEN e.taken_over THEN 'operators' ELSE 'all' END, 'bot', p.body, e.asked, p.part, e.at
            FROM ended e JOIN unnest($9::uuid[], $10::int[], $11::uuid[], $12::text[]) AS p (asked, part, id, body)
                ON p.asked = e.asked
        )
        SELECT asked AS "asked!", last_seq AS "last_seq!", taken_over AS "taken_over!" FROM ended"#,
        &c.sessions as &[&str],
        &c.asked,
        &c.states as &[&str],
        &c.outcomes as &[Option<Value>],
        &c.errors as &[Option<Value>],
        &c.moments,
        &c.counts,
        replica,
        &c.answered,
        &c.parts,
        &c.ids,
        &c.texts as &[&str]
    )
    .fetch_all(pool)
    .await?;
    let placed = |new: &NewReply| {
        let row = rows.iter().find(|row| row.asked == new.ending.id)?;
        Some(Placed {
            taken_over: row.taken_over,
            after: row.last_seq,
        })
    };
    Ok(new.iter().map(placed).collect())
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
