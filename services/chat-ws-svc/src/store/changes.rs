//! What changed between two moments, for operators' streams: exactly what one snapshot sees and the one before does not.
//!
//! Entries and changes carry the transaction that wrote them. A snapshot of PostgreSQL tells of every transaction whether
//! it was over by then, so nothing that commits late is missed and nothing comes twice, without a counter that all
//! writers would queue for.

use sqlx::PgConnection;

use super::rows::{EntryRow, corrupt, session_id};
use crate::domain::entry::Entry;
use crate::domain::ids::SessionId;
use crate::domain::snapshot::Snapshot;

/// What is seen now.
pub(crate) async fn snapshot(conn: &mut PgConnection) -> Result<Snapshot, sqlx::Error> {
    let text = sqlx::query_scalar!(r#"SELECT pg_current_snapshot()::text AS "now!""#)
        .fetch_one(conn)
        .await?;
    Snapshot::parse(&text).ok_or_else(|| corrupt("pg_current_snapshot"))
}

/// Whether this database may have given a snapshot: another one, or one that was restored, counts otherwise.
pub(crate) async fn is_ours(conn: &mut PgConnection, snapshot: &Snapshot) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT pg_snapshot_xmax($1::text::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot()) AS "ours!""#,
        snapshot.as_str()
    )
    .fetch_one(conn)
    .await
}

/// Where a page of entries ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    tx: String,
    session: String,
    seq: i64,
}

/// A page of messages.
pub(crate) struct Page {
    pub(crate) entries: Vec<(SessionId, Entry)>,
    /// Where it ended; nothing where nothing follows.
    pub(crate) end: Option<Place>,
}

/// The entries that `to` sees and `from` does not, in the order in which they stand in their chats.
///
/// `from` does not see what was under way then, which it names, nor what began later. Nothing else is looked at: one
/// transaction that stays open for an hour must not make each of these reads go through what the hour brought.
pub(crate) async fn entries(
    conn: &mut PgConnection,
    from: &Snapshot,
    to: &Snapshot,
    after: Option<&Place>,
    limit: i64,
) -> Result<Page, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT e.tx::text AS "tx!", session_id AS "session_id!", seq AS "seq!", id AS "id!", kind AS "kind!",
            audience AS "audience!", sender, name, body, mode, client_id, created_at AS "created_at!"
        FROM (
            (SELECT * FROM chat.entries
            WHERE tx = ANY(ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
                AND pg_visible_in_snapshot(tx, $2::text::pg_snapshot)
                AND ($3::text IS NULL OR (tx, session_id, seq) > ($3::text::xid8, $4, $5))
            ORDER BY tx, session_id, seq LIMIT $6)
            UNION ALL
            (SELECT * FROM chat.entries
            WHERE tx >= pg_snapshot_xmax($1::text::pg_snapshot) AND tx < pg_snapshot_xmax($2::text::pg_snapshot)
                AND pg_visible_in_snapshot(tx, $2::text::pg_snapshot)
                AND ($3::text IS NULL OR (tx, session_id, seq) > ($3::text::xid8, $4, $5))
            ORDER BY tx, session_id, seq LIMIT $6)
        ) AS e ORDER BY e.tx, e.session_id, e.seq LIMIT $6"#,
        from.as_str(),
        to.as_str(),
        after.map(|place| place.tx.as_str()),
        after.map(|place| place.session.as_str()),
        after.map(|place| place.seq),
        limit
    )
    .fetch_all(conn)
    .await?;
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let end = rows.last().filter(|_| full).map(|row| Place {
        tx: row.tx.clone(),
        session: row.session_id.clone(),
        seq: row.seq,
    });
    let entries = rows.into_iter().map(|row| {
        let session = session_id(&row.session_id)?;
        let entry = EntryRow {
            seq: row.seq,
            id: row.id,
            kind: row.kind,
            audience: row.audience,
            sender: row.sender,
            name: row.name,
            body: row.body,
            mode: row.mode,
            client_id: row.client_id,
            created_at: row.created_at,
        };
        Ok((session, entry.into_entry()?))
    });
    Ok(Page {
        entries: entries.collect::<Result<_, sqlx::Error>>()?,
        end,
    })
}

/// A chat in which something changed that is no entry; with its channel where it is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) session_id: String,
    pub(crate) channel: Option<String>,
}

/// The chats of which `to` sees a change that `from` does not, at most `limit`.
pub(crate) async fn changed(
    conn: &mut PgConnection,
    from: &Snapshot,
    to: &Snapshot,
    limit: i64,
) -> Result<Vec<Changed>, sqlx::Error> {
    sqlx::query_as!(
        Changed,
        r#"SELECT session_id AS "session_id!", max(channel) AS channel FROM (
            SELECT * FROM chat.changes WHERE tx = ANY(ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
            UNION ALL
            SELECT * FROM chat.changes
            WHERE tx >= pg_snapshot_xmax($1::text::pg_snapshot) AND tx < pg_snapshot_xmax($2::text::pg_snapshot)
        ) AS c WHERE pg_visible_in_snapshot(tx, $2::text::pg_snapshot)
        GROUP BY session_id ORDER BY max(at) DESC LIMIT $3"#,
        from.as_str(),
        to.as_str(),
        limit
    )
    .fetch_all(conn)
    .await
}
