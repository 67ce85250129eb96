//! Removes what is kept no longer: tasks in which nothing happens any more, tombstones, answers to keyed requests.

pub(super) use switchhook_chassis::retention::INTERVAL;
use switchhook_chassis::retention::{self, Cutoffs};

use crate::app::AppState;
use crate::store::upkeep;

/// Rows of one statement: short locks.
const BATCH: i64 = 200;
/// Answers of one statement.
const RESPONSES: i64 = 5_000;

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    retention::round(&state.kit, |cutoffs| batch(state.clone(), cutoffs)).await
}

async fn batch(state: AppState, cutoffs: Cutoffs) -> Result<u64, sqlx::Error> {
    let mut conn = state.kit.pool.acquire().await?;
    let mut rows = upkeep::remove_tombstones(&mut conn, cutoffs.tombstones, BATCH).await?;
    rows += state.keys.prune(&mut conn).await?;
    if let Some(cutoff) = cutoffs.data {
        let responses = upkeep::remove_responses(&mut conn, cutoff, RESPONSES).await?;
        if responses < RESPONSES.unsigned_abs() {
            rows += upkeep::remove_tasks(&mut conn, cutoff, BATCH).await?;
        }
        rows += responses;
    }
    Ok(rows)
}
