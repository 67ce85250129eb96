//! Removes what is kept no longer: old calls, calls that nobody claimed, tombstones, tenures without calls.

pub(super) use switchhook_chassis::retention::INTERVAL;
use switchhook_chassis::retention::{self, Cutoffs};

use crate::app::AppState;
use crate::store::upkeep;

/// Rows of one statement: short locks.
const BATCH: i64 = 500;

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    retention::round(&state.kit, |cutoffs| batch(state.clone(), cutoffs)).await
}

async fn batch(state: AppState, cutoffs: Cutoffs) -> Result<u64, sqlx::Error> {
    let mut rows = 0;
    if let Some(cutoff) = cutoffs.data {
        let mut tx = state.kit.pool.begin().await?;
        rows += upkeep::remove_calls(&mut tx, cutoff, BATCH).await?;
        tx.commit().await?;
    }
    let mut conn = state.kit.pool.acquire().await?;
    rows += upkeep::remove_held(&mut conn, state.held_since(), BATCH).await?;
    rows += upkeep::remove_tombstones(&mut conn, cutoffs.tombstones, BATCH).await?;
    if let Some(cutoff) = cutoffs.data {
        rows += upkeep::remove_tenures(&mut conn, cutoff, BATCH).await?;
    }
    Ok(rows)
}
