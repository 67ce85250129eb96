//! Removes what is kept no longer: chats in which nothing happens any more, tombstones, answers to keyed requests, changes
//! that no stream resumes from.

pub(super) use switchhook_chassis::retention::INTERVAL;
use switchhook_chassis::retention::{self, Cutoffs};

use crate::app::AppState;
use crate::domain::ids::SessionId;
use crate::store::upkeep;

/// Rows of one statement: short locks.
const BATCH: i64 = 200;
/// Changes of one statement.
const CHANGES: i64 = 5_000;
/// How long an operator's stream may be away and miss no change, in seconds.
const CHANGES_KEPT_S: f64 = 3_600.0;

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    retention::round(&state.kit, |cutoffs| batch(state.clone(), cutoffs)).await
}

async fn batch(state: AppState, cutoffs: Cutoffs) -> Result<u64, sqlx::Error> {
    let mut conn = state.kit.pool.acquire().await?;
    let mut rows = upkeep::remove_tombstones(&mut conn, cutoffs.tombstones, BATCH).await?;
    rows += state.keys.prune(&mut conn).await?;
    rows += upkeep::remove_changes(&mut conn, CHANGES_KEPT_S, CHANGES).await?;
    if let Some(cutoff) = cutoffs.data {
        rows += upkeep::remove_sessions(&mut conn, &SessionId::bound(cutoff), cutoff, BATCH).await?;
    }
    Ok(rows)
}
