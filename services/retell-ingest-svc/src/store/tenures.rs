//! Who had which agent when, and what was held for it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use crate::domain::agent::AgentId;

/// One process at a time changes who has an agent: a claim looks at several clients' rows.
const CLAIMS_LOCK: i64 = 0x7265_7465_6c6c;

/// Waits for its turn to change who has an agent; the turn ends with the transaction.
pub(crate) async fn take_turn(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", CLAIMS_LOCK)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whoever has the agent, and whether he has proven it.
pub(crate) async fn holder(
    conn: &mut PgConnection,
    agent: &AgentId,
) -> Result<Option<(UserId, bool)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT user_id, proven FROM retell.tenures WHERE agent_id = $1 AND ended_at IS NULL",
        agent.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| Some((UserId::parse(row.user_id)?, row.proven))))
}

/// Begins a tenure.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    agent: &AgentId,
    user: &UserId,
    proven: bool,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO retell.tenures (agent_id, user_id, proven, began_at) VALUES ($1, $2, $3, $4)",
        agent.as_str(),
        user.as_str(),
        proven,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that the open tenure of a client is proven.
pub(crate) async fn prove(conn: &mut PgConnection, user: &UserId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE retell.tenures SET proven = true WHERE user_id = $1 AND ended_at IS NULL",
        user.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the open tenure of a client.
pub(crate) async fn end(
    conn: &mut PgConnection,
    user: &UserId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE retell.tenures SET ended_at = greatest($2, began_at) WHERE user_id = $1 AND ended_at IS NULL",
        user.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A held call whose agent has a client now who may have it.
#[derive(Debug, Clone)]
pub(crate) struct Adoptable {
    pub(crate) row: i64,
    pub(crate) agent_id: String,
    pub(crate) call_id: String,
    pub(crate) user: UserId,
}

/// Held calls that may be adopted: last heard of after `heard_since`, of an agent whose client has proven that it is his,
/// or has it since before they came (they met his connecting on the way). In `call_id` order, at most `limit`.
pub(crate) async fn adoptable(
    conn: &mut PgConnection,
    heard_since: DateTime<Utc>,
    waived: bool,
    agent: Option<&AgentId>,
    limit: i64,
) -> Result<Vec<Adoptable>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT c.id, c.agent_id, c.call_id, t.user_id FROM retell.tenures t
        JOIN retell.calls c ON c.agent_id = t.agent_id AND c.user_id IS NULL
        WHERE t.ended_at IS NULL AND c.heard_at >= $1 AND (t.proven OR $2 OR c.created_at >= t.began_at)
        AND ($3::text IS NULL OR t.agent_id = $3)
        ORDER BY c.call_id LIMIT $4",
        heard_since,
        waived,
        agent.map(AgentId::as_str),
        limit
    )
    .fetch_all(conn)
    .await?;
    let adoptable = rows.into_iter().filter_map(|row| {
        Some(Adoptable {
            row: row.id,
            agent_id: row.agent_id,
            call_id: row.call_id,
            user: UserId::parse(row.user_id)?,
        })
    });
    Ok(adoptable.collect())
}
