//! Following calls: who follows which, and what is remembered from one look to the next.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use switchhook_chassis::replicas::DEAD_AFTER_S;
use uuid::Uuid;

use super::rows::{CallRow, select_calls};
use crate::domain::dispatch::Call;
use crate::domain::ids::{CallId, Room};

/// Who claims calls that nobody follows.
pub(crate) struct Claimant<'a> {
    pub(crate) replica: Uuid,
    /// Whether it may call other replicas dead.
    pub(crate) may_judge: bool,
    /// The calls that it has in hand.
    pub(crate) in_hand: &'a [Uuid],
    /// For so long a call of its own that it does not follow is in the hand of the one who dials it.
    pub(crate) dialled_within_s: f64,
    /// How long a recording is followed after its call.
    pub(crate) recorded_within_s: f64,
}

/// Takes calls that nobody follows, the oldest first: those under way, and those whose recording is not over.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    claimant: &Claimant<'_>,
    limit: i64,
) -> Result<Vec<CallId>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "UPDATE dispatch.dispatches SET holder = $1 WHERE id IN (
            SELECT d.id FROM dispatch.dispatches d
            WHERE (d.dispatch_id IS NOT NULL AND d.status IN ('dispatched', 'ringing', 'answered')
                    OR d.recording ->> 'state' IN ('starting', 'active', 'ending') AND d.status IN ('ended', 'failed')
                        AND d.call_end > now() - make_interval(secs => $6))
                AND (d.holder IS NULL
                    OR d.holder = $1 AND (d.status IN ('ended', 'failed') OR d.sending_at < now() - make_interval(secs => $4))
                        AND NOT d.id = ANY($3)
                    OR d.holder <> $1 AND NOT EXISTS (SELECT FROM dispatch.replicas r WHERE r.id = d.holder
                        AND (NOT $2 OR r.beat_at > now() - make_interval(secs => $5))))
            ORDER BY d.created_at LIMIT $7 FOR UPDATE SKIP LOCKED)
        RETURNING id",
        claimant.replica,
        claimant.may_judge,
        claimant.in_hand,
        claimant.dialled_within_s,
        DEAD_AFTER_S,
        claimant.recorded_within_s,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(CallId).collect())
}

/// Locks the call of a room.
pub(crate) async fn lock_room(conn: &mut PgConnection, room: &Room) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE room = $1 FOR UPDATE", room.as_str());
    row.fetch_optional(conn)
        .await?
        .map(CallRow::into_call)
        .transpose()
}

/// Notes what is remembered of a locked call; nobody sees it.
pub(crate) async fn remember(
    conn: &mut PgConnection,
    id: CallId,
    observed: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET observed = $2 WHERE id = $1",
        id.0,
        observed
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a locked call in this replica's hand.
pub(crate) async fn hold(conn: &mut PgConnection, id: CallId, replica: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET holder = $2 WHERE id = $1",
        id.0,
        replica
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets go of a call of which nothing more is to be learned.
pub(crate) async fn release(db: impl PgExecutor<'_>, id: CallId, replica: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET holder = NULL WHERE id = $1 AND holder = $2",
        id.0,
        replica
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Tells streams that something about a call is new, which is not in its row.
pub(crate) async fn touch(
    db: impl PgExecutor<'_>,
    id: CallId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET updated_at = $2, tx = pg_current_xact_id() WHERE id = $1",
        id.0,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
