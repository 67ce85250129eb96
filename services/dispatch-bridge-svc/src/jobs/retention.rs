//! Removes what is kept no longer: calls that are over, what nobody could match, windows, tombstones.

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
    let mut conn = state.kit.pool.acquire().await?;
    let window_s = state.settings.duplicate_dial_window.0.as_secs_f64();
    let mut rows = upkeep::remove_windows(&mut conn, window_s, BATCH).await?;
    rows += upkeep::remove_tombstones(&mut conn, cutoffs.tombstones, BATCH).await?;
    if let Some(cutoff) = cutoffs.data {
        rows += upkeep::remove_calls(&mut conn, cutoff, BATCH).await?;
        rows += upkeep::remove_unmatched(&mut conn, cutoff, BATCH).await?;
    }
    Ok(rows)
}
