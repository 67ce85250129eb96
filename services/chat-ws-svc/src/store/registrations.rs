//! Which replica holds which chat, as the database knows it.

use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::session_id;
use crate::domain::ids::SessionId;

/// Another replica.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) url: String,
    /// What it knows siblings by.
    pub(crate) token: String,
}

/// These chats are held by a replica from now on, and those not any more; operators are told of both.
pub(crate) async fn tell(
    conn: &mut PgConnection,
    replica: Uuid,
    come: &[String],
    gone: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH gone AS (DELETE FROM chat.registrations WHERE replica = $1 AND session_id = ANY($3)),
        come AS (
            INSERT INTO chat.registrations (session_id, replica) SELECT id, $1 FROM unnest($2::text[]) AS come (id)
            ON CONFLICT DO NOTHING
        )
        INSERT INTO chat.changes (session_id) SELECT unnest($2::text[] || $3::text[])",
        replica,
        come,
        gone
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The replicas besides this one that hold a chat and live.
pub(crate) async fn holders(
    conn: &mut PgConnection,
    session: &SessionId,
    replica: Uuid,
) -> Result<Vec<Peer>, sqlx::Error> {
    sqlx::query_as!(
        Peer,
        r#"SELECT url AS "url!", token AS "token!" FROM chat.holders
        WHERE session_id = $1 AND replica <> $2 AND url IS NOT NULL"#,
        session.as_str(),
        replica
    )
    .fetch_all(conn)
    .await
}

/// The replicas besides this one that live.
pub(crate) async fn peers(conn: &mut PgConnection, replica: Uuid) -> Result<Vec<Peer>, sqlx::Error> {
    sqlx::query_as!(
        Peer,
        r#"SELECT url AS "url!", token FROM chat.replicas
        WHERE id <> $1 AND url IS NOT NULL AND beat_at > now() - interval '10 seconds'"#,
        replica
    )
    .fetch_all(conn)
    .await
}

/// How far the logs of these chats go; nothing for one that is erased.
pub(crate) async fn positions(
    conn: &mut PgConnection,
    sessions: &[String],
) -> Result<Vec<(SessionId, Option<i64>)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT h.id AS "id!", s.last_seq AS "last_seq?" FROM unnest($1::text[]) AS h (id)
        LEFT JOIN chat.sessions s ON s.id = h.id"#,
        sessions
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((session_id(&row.id)?, row.last_seq)))
        .collect()
}

/// Writes what is missing of what a replica holds, and removes the rows of replicas that are no more.
pub(crate) async fn restore(
    conn: &mut PgConnection,
    replica: Uuid,
    held: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH gone AS (
            DELETE FROM chat.registrations r WHERE NOT EXISTS (SELECT FROM chat.replicas p WHERE p.id = r.replica)
        )
        INSERT INTO chat.registrations (session_id, replica)
        SELECT h.id, $1 FROM unnest($2::text[]) AS h (id)
        WHERE NOT EXISTS (SELECT FROM chat.registrations r WHERE r.session_id = h.id AND r.replica = $1)
        ON CONFLICT DO NOTHING",
        replica,
        held
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Chats that a replica does not hold although the database says so.
pub(crate) async fn strays(
    conn: &mut PgConnection,
    replica: Uuid,
    held: &[String],
    limit: i64,
) -> Result<Vec<SessionId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT r.session_id FROM chat.registrations r LEFT JOIN unnest($2::text[]) AS h (id) ON h.id = r.session_id
        WHERE r.replica = $1 AND h.id IS NULL LIMIT $3",
        replica,
        held,
        limit
    )
    .fetch_all(conn)
    .await?;
    ids.iter().map(|id| session_id(id)).collect()
}
