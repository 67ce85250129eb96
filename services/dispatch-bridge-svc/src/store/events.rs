//! The timeline of a call: what LiveKit, its agent or this service said of it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use switchhook_core::ids::uuid_v7;

use crate::domain::ids::CallId;

/// Most entries that a call may have: what comes then is still taken into account, and not kept.
pub(crate) const MAX_EVENTS: i64 = 500;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Happening {
    /// Such as `participant_left`.
    pub(crate) kind: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) detail: Value,
    /// What tells it from others: the same one twice counts once.
    pub(crate) source_id: Option<String>,
}

/// Keeps what happened in a call, whose row is there. `false`: it is kept already, or the call has too many.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    call: CallId,
    happening: &Happening,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO dispatch.events (id, dispatch, source_id, kind, at, detail)
        SELECT $1, id, $3, $4, $5, $6 FROM dispatch.dispatches WHERE id = $2
            AND (SELECT count(*) FROM dispatch.events WHERE dispatch = $2) < $7
        ON CONFLICT (source_id) DO NOTHING",
        uuid_v7(happening.at),
        call.0,
        happening.source_id,
        happening.kind,
        happening.at,
        happening.detail,
        MAX_EVENTS
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What happened in a call, oldest first.
pub(crate) async fn of_call(conn: &mut PgConnection, call: CallId) -> Result<Vec<Happening>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT kind, at, detail FROM dispatch.events WHERE dispatch = $1 ORDER BY at, id LIMIT $2",
        call.0,
        MAX_EVENTS
    )
    .fetch_all(conn)
    .await?;
    let happening = rows.into_iter().map(|row| Happening {
        kind: row.kind,
        at: row.at,
        detail: row.detail,
        source_id: None,
    });
    Ok(happening.collect())
}
