//! Removes what is kept no longer: sessions that ended, counts of days, tombstones, revisions of nobody.

pub(super) use switchhook_chassis::retention::INTERVAL;
use switchhook_chassis::retention::{self, Cutoffs};

use crate::app::AppState;
use crate::domain::day::day_of;
use crate::store::upkeep;

/// Rows of one statement: short locks.
const BATCH: i64 = 500;
/// Claims of one statement.
const CLAIMS: i64 = 5_000;

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    retention::round(&state.kit, |cutoffs| batch(state.clone(), cutoffs)).await
}

async fn batch(state: AppState, cutoffs: Cutoffs) -> Result<u64, sqlx::Error> {
    let mut conn = state.kit.pool.acquire().await?;
    let mut rows = upkeep::remove_tombstones(&mut conn, cutoffs.tombstones, BATCH).await?;
    if let Some(ended_before) = cutoffs.data {
        let claims = upkeep::remove_claims(&mut conn, ended_before, CLAIMS).await?;
        if claims < CLAIMS.unsigned_abs() {
            rows += upkeep::remove_sessions(&mut conn, ended_before, BATCH).await?;
        }
        rows += claims;
        // Days are those of the service's zone.
        let first_day = day_of(ended_before, state.kit.settings.day_timezone);
        rows += upkeep::remove_days(&mut conn, first_day, BATCH).await?;
        rows += upkeep::remove_users(&mut conn, BATCH).await?;
    }
    Ok(rows)
}
