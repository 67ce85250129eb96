//! Clients: their agent, its key, and how far their view has come.

use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use crate::domain::agent::AgentId;

/// A client's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: String,
    /// Whether ownership is proven.
    pub(crate) proven: bool,
}

/// A client's agent, and the revision of its last change.
pub(crate) async fn agent(
    conn: &mut PgConnection,
    user: &UserId,
) -> Result<(Option<Agent>, i64), sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT retell_agent_id, api_key IS NOT NULL AS "proven!", agent_revision FROM retell.users WHERE id = $1"#,
        user.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok((None, 0)) };
    let agent = row.retell_agent_id.map(|id| Agent {
        id,
        proven: row.proven,
    });
    Ok((agent, row.agent_revision))
}

/// The sealed key of whoever has an agent.
pub(crate) async fn key_of_agent(
    conn: &mut PgConnection,
    agent: &str,
) -> Result<Option<(UserId, Vec<u8>)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT id, api_key AS "api_key!" FROM retell.users WHERE retell_agent_id = $1 AND api_key IS NOT NULL"#,
        agent
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| Some((UserId::parse(row.id)?, row.api_key))))
}

/// Sees to it that a client has a row, and locks it and another client's in the order of their ids.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    user: &UserId,
    other: Option<&UserId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO retell.users (id) VALUES ($1) ON CONFLICT (id) DO NOTHING",
        user.as_str()
    )
    .execute(&mut *conn)
    .await?;
    let both: Vec<String> = [Some(user), other]
        .into_iter()
        .flatten()
        .map(|user| user.as_str().to_owned())
        .collect();
    sqlx::query!(
        "SELECT FROM retell.users WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        &both
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks a client's row, where he has one.
pub(crate) async fn lock_existing(conn: &mut PgConnection, user: &UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT FROM retell.users WHERE id = $1 FOR UPDATE", user.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives a client an agent, whom nobody else has by now.
pub(crate) async fn connect(
    conn: &mut PgConnection,
    user: &UserId,
    email: Option<&str>,
    agent: &AgentId,
    sealed_key: Option<&[u8]>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE retell.users SET email = COALESCE($2, email), retell_agent_id = $3, ai_training_status = 'complete',
            ai_status = 'Online', api_key = $4, revision = revision + 1, agent_revision = revision + 1
        WHERE id = $1",
        user.as_str(),
        email,
        agent.as_str(),
        sealed_key
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a client's agent away. Says whether he had one.
pub(crate) async fn disconnect(conn: &mut PgConnection, user: &UserId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE retell.users SET retell_agent_id = NULL, ai_status = 'Offline', api_key = NULL,
            revision = revision + 1, agent_revision = revision + 1
        WHERE id = $1 AND retell_agent_id IS NOT NULL",
        user.as_str()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The revisions of many clients; nought for one who was erased or never came.
pub(crate) async fn revisions(
    conn: &mut PgConnection,
    users: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT asked.id AS "id!", COALESCE(u.revision, 0) AS "revision!"
        FROM unnest($1::text[]) AS asked (id) LEFT JOIN retell.users u ON u.id = asked.id"#,
        users
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.revision)).collect())
}

/// What a stream compares: the revisions of a client's view, of his agent, and of the last erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) view: i64,
    pub(crate) agent: i64,
    pub(crate) erased: i64,
}

/// The marks of a client.
pub(crate) async fn marks(conn: &mut PgConnection, user: &UserId) -> Result<Marks, sqlx::Error> {
    let marks = sqlx::query_as!(
        Marks,
        r#"SELECT revision AS view, agent_revision AS agent, erased_revision AS erased FROM retell.users WHERE id = $1"#,
        user.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(marks.unwrap_or_default())
}
