//! Removes what is kept no longer: old calls, calls that nobody claimed, tombstones, tenures without calls.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::app::AppState;
use crate::store::upkeep;

/// Time between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one statement: short locks.
const BATCH: i64 = 500;
/// Statements of one kind in a round.
const BATCHES: u32 = 1_000;
/// How long an erased call is known again.
const TOMBSTONE_DAYS: i64 = 30;

/// From when on things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Calls of clients; nothing where they are kept for ever.
    calls: Option<DateTime<Utc>>,
    held: DateTime<Utc>,
    tombstones: DateTime<Utc>,
}

fn plan(now: DateTime<Utc>, retention_days: u32, held_since: DateTime<Utc>) -> Plan {
    let back = |days: i64| {
        now.checked_sub_signed(TimeDelta::days(days))
            .unwrap_or(DateTime::UNIX_EPOCH)
    };
    Plan {
        calls: (retention_days > 0).then(|| back(i64::from(retention_days))),
        held: held_since,
        tombstones: back(TOMBSTONE_DAYS),
    }
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let days = state.kit.settings.retention_days.get();
    let plan = plan(state.kit.clock.now(), days, state.held_since());
    let mut removed = 0;
    for _ in 0..BATCHES {
        if state.kit.tasks.stopping().is_cancelled() {
            break;
        }
        let begun = Instant::now();
        let rows = batch(&state, plan).await?;
        removed += rows;
        if rows == 0 {
            break;
        }
        // Half of the time is left to whoever waits for the same locks and the same disk.
        tokio::time::sleep(begun.elapsed()).await;
    }
    if removed > 0 {
        tracing::info!(removed, "removed what is kept no longer");
    }
    Ok(())
}

async fn batch(state: &AppState, plan: Plan) -> Result<u64, sqlx::Error> {
    let mut rows = 0;
    if let Some(cutoff) = plan.calls {
        let mut tx = state.kit.pool.begin().await?;
        rows += upkeep::remove_calls(&mut tx, cutoff, BATCH).await?;
        tx.commit().await?;
    }
    let mut conn = state.kit.pool.acquire().await?;
    rows += upkeep::remove_held(&mut conn, plan.held, BATCH).await?;
    rows += upkeep::remove_tombstones(&mut conn, plan.tombstones, BATCH).await?;
    if let Some(cutoff) = plan.calls {
        rows += upkeep::remove_tenures(&mut conn, cutoff, BATCH).await?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_kept_for_as_many_days_as_are_set_and_nought_is_for_ever() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        let held = now - TimeDelta::days(7);
        let month = plan(now, 30, held);
        assert_eq!(month.calls, Some(now - TimeDelta::days(30)));
        assert_eq!((month.held, month.tombstones), (held, now - TimeDelta::days(30)));
        assert_eq!(plan(now, 0, held).calls, None);
        assert!(plan(now, u32::MAX, held).calls.is_some());
    }
}
