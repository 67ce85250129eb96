//! What a visitor's connection reads and writes. The way of a message is one statement: every round trip counts there.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use switchhook_chassis::outbox::Draft;
use uuid::Uuid;

use super::rows::{EntryRow, corrupt, session_id};
use crate::domain::channel::ChannelName;
use crate::domain::entry::{Entry, Mode};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::shown::Meta;

/// Messages that a client is shown that does not say which it saw last.
const REPLAYED: i64 = 100;
/// Entries that are read at a time, and about how many bytes of text.
const ENTRIES: i64 = 50;
const TEXT_BYTES: i64 = 64 * 1024;

/// A chat that begins.
pub(crate) struct NewSession<'a> {
    pub(crate) id: &'a SessionId,
    pub(crate) channel: &'a ChannelName,
    pub(crate) resume_hash: [u8; 32],
    pub(crate) meta: &'a Meta,
    pub(crate) replica: Uuid,
    pub(crate) at: DateTime<Utc>,
}

/// Stores a chat whose first socket this replica holds.
pub(crate) async fn begin(conn: &mut PgConnection, new: &NewSession<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH session AS (
            INSERT INTO chat.sessions (id, channel, resume_hash, origin, user_agent, referer, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
        ), registration AS (
            INSERT INTO chat.registrations (session_id, replica) VALUES ($1, $8) ON CONFLICT DO NOTHING
        )
        INSERT INTO chat.changes (session_id) VALUES ($1)",
        new.id.as_str(),
        new.channel.as_str(),
        new.resume_hash.as_slice(),
        new.meta.origin,
        new.meta.ua,
        new.meta.referer,
        new.at,
        new.replica
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A chat as its visitor comes back to it.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) id: SessionId,
    pub(crate) mode: Mode,
    /// Where its log ends.
    pub(crate) last_seq: i64,
    /// Up to where the visitor has seen it.
    pub(crate) seen: i64,
}

/// The chat of a token in a channel. `after` is the last message that the visitor saw. Keeps from where he comes.
pub(crate) async fn resume(
    conn: &mut PgConnection,
    channel: &ChannelName,
    resume_hash: [u8; 32],
    after: Option<MessageId>,
    meta: &Meta,
) -> Result<Option<Resumed>, sqlx::Error> {
    let row = sqlx::query!(
        r#"WITH came AS (
            UPDATE chat.sessions SET origin = $5, user_agent = $6, referer = $7
            WHERE resume_hash = $1 AND channel = $2 AND (origin, user_agent, referer) IS DISTINCT FROM ($5, $6, $7)
        )
        SELECT s.id, s.mode, s.last_seq, COALESCE(
            (SELECT e.seq FROM chat.entries e WHERE e.session_id = s.id AND e.id = $3),
            (SELECT min(l.seq) - 1 FROM (
                SELECT e.seq FROM chat.entries e
                WHERE e.session_id = s.id AND e.kind = 'message' AND e.audience = 'all' ORDER BY e.seq DESC LIMIT $4
            ) AS l),
            0) AS "seen!"
        FROM chat.sessions s WHERE s.resume_hash = $1 AND s.channel = $2"#,
        resume_hash.as_slice(),
        channel.as_str(),
        after.map(|id| id.0),
        REPLAYED,
        meta.origin,
        meta.ua,
        meta.referer
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Resumed {
            id: session_id(&row.id)?,
            mode: Mode::parse(&row.mode).ok_or_else(|| corrupt("mode"))?,
            last_seq: row.last_seq,
            seen: row.seen,
        })
    })
    .transpose()
}

/// A part of a log: all entries after one position and up to another.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) entries: Vec<Entry>,
    pub(crate) up_to: i64,
}

/// What stands after a position; nothing where the chat is erased.
pub(crate) async fn read(
    conn: &mut PgConnection,
    session: &SessionId,
    after: i64,
) -> Result<Option<Part>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT s.last_seq, e.seq AS "seq?", e.id AS "id?", e.kind AS "kind?", e.audience AS "audience?", e.sender, e.name,
            e.body, e.mode, e.client_id, e.created_at AS "created_at?"
        FROM chat.sessions s LEFT JOIN LATERAL (
            SELECT n.*, sum(COALESCE(octet_length(n.body), 0)) OVER (ORDER BY n.seq)
                - COALESCE(octet_length(n.body), 0) AS bytes_before FROM (
                SELECT seq, id, kind, audience, sender, name, body, mode, client_id, created_at FROM chat.entries
                WHERE session_id = s.id AND seq > $2 ORDER BY seq LIMIT $3
            ) AS n
        ) AS e ON e.bytes_before < $4
        WHERE s.id = $1 ORDER BY e.seq"#,
        session.as_str(),
        after,
        ENTRIES,
        TEXT_BYTES
    )
    .fetch_all(conn)
    .await?;
    let Some(last_seq) = rows.first().map(|row| row.last_seq) else {
        return Ok(None);
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(seq), Some(id), Some(kind), Some(audience), Some(created_at)) =
            (row.seq, row.id, row.kind, row.audience, row.created_at)
        else {
            continue;
        };
        let row = EntryRow {
            seq,
            id,
            kind,
            audience,
            sender: row.sender,
            name: row.name,
            body: row.body,
            mode: row.mode,
            client_id: row.client_id,
            created_at,
        };
        entries.push(row.into_entry()?);
    }
    // All up to the end of the log where nothing was left; a position without an entry is passed by the next look.
    let up_to = entries.last().map_or(last_seq, |entry| entry.seq);
    Ok(Some(Part { entries, up_to }))
}

/// A visitor's message that is to be stored.
#[derive(Debug)]
pub(crate) struct NewMessage {
    pub(crate) session: SessionId,
    pub(crate) id: MessageId,
    pub(crate) text: String,
    pub(crate) client_id: Option<String>,
    pub(crate) at: DateTime<Utc>,
    /// What the bot is owed for it, unless an operator has the chat.
    pub(crate) draft: Draft,
}

/// A message that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) seq: i64,
    /// Whether this process sends it to the bot at once; none where an operator has the chat.
    pub(crate) sending: Option<bool>,
    /// Whether a replica besides this one holds the chat.
    pub(crate) held_elsewhere: bool,
}

/// A rate, as PostgreSQL counts.
pub(super) fn bound(rate: u32) -> i32 {
    i32::try_from(rate).unwrap_or(i32::MAX)
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Stored(StoredMessage),
    /// Somebody else holds the chat's lock: nothing was done, and the others did not wait for him.
    Busy,
    /// It is stored already, by a try of this process whose answer got lost: the bot is owed it, and nobody sends it.
    LeftBehind,
    /// It may not be stored: [`refusal`] says why.
    Refused,
}

/// Messages, column by column.
#[derive(Default)]
struct Columns<'a> {
    sessions: Vec<&'a str>,
    ids: Vec<Uuid>,
    texts: Vec<&'a str>,
    client_ids: Vec<Option<&'a str>>,
    moments: Vec<DateTime<Utc>>,
    headers: Vec<Value>,
    requests: Vec<&'a [u8]>,
    willing: Vec<bool>,
    pauses: Vec<f64>,
    errors: Vec<Option<Value>>,
}

impl<'a> Columns<'a> {
    fn of(new: &'a [NewMessage], is_willing: impl Fn(&Draft) -> bool) -> Self {
        let mut columns = Self::default();
        for new in new {
            let row = new.draft.columns();
            columns.sessions.push(new.session.as_str());
            columns.ids.push(new.id.0);
            columns.texts.push(&new.text);
            columns.client_ids.push(new.client_id.as_deref());
            columns.moments.push(new.at);
            columns.headers.push(row.headers.clone());
            columns.requests.push(new.draft.body());
            columns.willing.push(is_willing(&new.draft));
            columns.pauses.push(row.pause_s);
            columns.errors.push(row.last_error.clone());
        }
        columns
    }
}

/// Stores messages of different chats, each at the end of its log, with what the bot is owed for it; so many a minute in a
/// chat. In their order. `is_willing` tells whether this process sends a draft at once.
///
/// The locks of the chats are taken first, in the order of their ids, and only where nobody holds them: one chat that is locked
/// must not keep the others waiting, nor may two such statements wait for each other.
///
/// One statement has one snapshot, taken before it waits for a session's lock. What the snapshot says of the session's
/// outbox rows is true under the lock only if nobody wrote to the log between the two: else the row waits for its turn, as
/// if another one were before it. A repeat that the snapshot misses is caught by the unique index: then a position stays
/// without an entry, which every reader passes. What is looked up for each message is a subquery that PostgreSQL cannot turn
/// into a join: a plan that was made while the tables were small would go through them whole.
#[allow(clippy::too_many_lines, reason = "one statement and its parameters")]
pub(crate) async fn store(
    pool: &PgPool,
    new: &[NewMessage],
    rate: u32,
    is_willing: impl Fn(&Draft) -> bool,
) -> Result<Vec<Written>, sqlx::Error> {
    let Some(first) = new.first().map(|new| new.draft.columns()) else {
        return Ok(Vec::new());
    };
    let c = Columns::of(new, is_willing);
    let rows = sqlx::query!(
        r#"WITH new AS MATERIALIZED (
            SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[], $7::bytea[],
                $8::bool[], $9::float8[], $10::jsonb[])
            AS n (session_id, id, body, client_id, at, headers, request, willing, pause_s, last_error)
        ),
        before AS MATERIALIZED (SELECT s.id, s.last_seq FROM new n JOIN chat.sessions s ON s.id = n.session_id),
        free AS MATERIALIZED (
            SELECT s.id FROM chat.sessions s WHERE s.id = ANY($1) ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
        ),
        raised AS (
            UPDATE chat.sessions s SET last_seq = s.last_seq + 1, updated_at = n.at,
                visitor_minute = CASE WHEN s.visitor_minute <= now() - interval '1 minute' THEN now() ELSE s.visitor_minute END,
                visitor_count = CASE WHEN s.visitor_minute <= now() - interval '1 minute' THEN 1 ELSE s.visitor_count + 1 END
            FROM new n JOIN free f ON f.id = n.session_id WHERE s.id = n.session_id
            AND (s.visitor_minute <= now() - interval '1 minute' OR s.visitor_count < $11)
            AND (SELECT true FROM chat.entries e
                WHERE e.session_id = n.session_id AND e.client_id = n.client_id AND e.kind = 'message') IS NULL
            AND (SELECT true FROM chat.entries e WHERE e.session_id = n.session_id AND e.id = n.id) IS NULL
            RETURNING s.id, s.last_seq, s.mode, s.channel
        ),
        entry AS (
            INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, client_id, created_at)
            SELECT r.id, r.last_seq, n.id, 'message', 'all', 'user', n.body, n.client_id, n.at
            FROM raised r JOIN new n ON n.session_id = r.id
            ON CONFLICT (session_id, client_id) WHERE kind = 'message' AND client_id IS NOT NULL DO NOTHING
            RETURNING session_id, seq
        ),
        head AS MATERIALIZED (
            SELECT r.id, r.channel, b.last_seq + 1 = r.last_seq AND (
                SELECT true FROM chat.outbox o WHERE o.key = r.id AND o.state IN ('owed', 'sending') LIMIT 1
            ) IS NULL AS is_first
            FROM raised r JOIN before b ON b.id = r.id JOIN entry e ON e.session_id = r.id WHERE r.mode = 'bot'
        ),
        owed AS (
            INSERT INTO chat.outbox (id, topic, key, target, headers, body, guarantee, state, attempts,
                next_attempt_at, deadline, replica, last_error)
            SELECT n.id, $12, h.id, h.channel, n.headers, n.request, $13,
                CASE WHEN n.willing AND h.is_first THEN 'sending' ELSE 'owed' END,
                CASE WHEN n.willing AND h.is_first THEN 1 ELSE 0 END, now() + make_interval(secs => n.pause_s),
                now() + make_interval(secs => $14), CASE WHEN n.willing AND h.is_first THEN $15::uuid END, n.last_error
            FROM head h JOIN new n ON n.session_id = h.id RETURNING key, state = 'sending' AS sending
        )
        SELECT b.id, e.seq AS "seq?", o.sending AS "sending?", f.id IS NULL AS "busy!", EXISTS (
            SELECT FROM chat.registrations g WHERE g.session_id = b.id AND g.replica <> $15
        ) AS "elsewhere!", CASE WHEN e.seq IS NULL THEN (
            SELECT left_behind.state = 'sending' AND left_behind.replica = $15 FROM new n
            JOIN chat.outbox left_behind ON left_behind.id = n.id WHERE n.session_id = b.id
        ) END AS left_behind
        FROM before b LEFT JOIN free f ON f.id = b.id LEFT JOIN entry e ON e.session_id = b.id
        LEFT JOIN owed o ON o.key = b.id"#,
        &c.sessions as &[&str],
        &c.ids,
        &c.texts as &[&str],
        &c.client_ids as &[Option<&str>],
        &c.moments,
        &c.headers,
        &c.requests as &[&[u8]],
        &c.willing,
        &c.pauses,
        &c.errors as &[Option<Value>],
        bound(rate),
        first.topic,
        first.guarantee,
        first.give_up_after_s,
        first.replica
    )
    .fetch_all(pool)
    .await?;
    let written = |new: &NewMessage| {
        let row = rows.iter().find(|row| row.id == new.session.as_str());
        match row.map(|row| (row.seq, row)) {
            Some((Some(seq), row)) => Written::Stored(StoredMessage {
                seq,
                sending: row.sending,
                held_elsewhere: row.elsewhere,
            }),
            Some((None, row)) if row.left_behind == Some(true) => Written::LeftBehind,
            Some((None, row)) if row.busy => Written::Busy,
            _ => Written::Refused,
        }
    };
    Ok(new.iter().map(written).collect())
}

/// Why a message was not stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// The log has it already.
    Before { seq: i64, id: MessageId },
    /// Too many in a minute; the next may come after so many seconds.
    TooMany(f64),
    /// The chat is erased.
    Erased,
}

/// Why [`store`] did not store a message.
pub(crate) async fn refusal(
    conn: &mut PgConnection,
    session: &SessionId,
    id: MessageId,
    client_id: Option<&str>,
) -> Result<Refusal, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT greatest(extract(epoch FROM s.visitor_minute + interval '1 minute' - now()), 0)::float8 AS "wait_s!",
            e.seq AS "seq?", e.id AS "id?" FROM chat.sessions s
        LEFT JOIN chat.entries e ON e.session_id = s.id AND e.kind = 'message' AND (e.client_id = $2 OR e.id = $3)
        WHERE s.id = $1"#,
        session.as_str(),
        client_id,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        None => Refusal::Erased,
        Some(row) => match row.seq.zip(row.id) {
            Some((seq, id)) => Refusal::Before {
                seq,
                id: MessageId(id),
            },
            None => Refusal::TooMany(row.wait_s),
        },
    })
}
