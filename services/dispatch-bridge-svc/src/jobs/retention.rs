//! Removes what is kept no longer: calls that are over, what nobody could match, windows, tombstones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::app::AppState;
use crate::store::upkeep;

/// Time between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one statement: short locks.
const BATCH: i64 = 500;
/// Statements of one kind in a round.
const BATCHES: u32 = 100;
/// How long an erased call is known again.
const TOMBSTONE_DAYS: i64 = 30;

/// From when on things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Calls reserved since; nothing where data is kept for ever.
    calls: Option<DateTime<Utc>>,
    tombstones: DateTime<Utc>,
}

fn plan(now: DateTime<Utc>, retention_days: u32) -> Plan {
    let back = |days: i64| {
        now.checked_sub_signed(TimeDelta::days(days))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    };
    Plan {
        calls: (retention_days > 0).then(|| back(i64::from(retention_days))),
        tombstones: back(TOMBSTONE_DAYS),
    }
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let plan = plan(state.kit.clock.now(), state.kit.settings.retention_days.get());
    let window_s = state.settings.duplicate_dial_window.0.as_secs_f64();
    let mut removed = 0;
    let mut conn = state.kit.pool.acquire().await?;
    for _ in 0..BATCHES {
        if state.kit.tasks.stopping().is_cancelled() {
            break;
        }
        let rows = batch(&mut conn, plan, window_s).await?;
        removed += rows;
        if rows == 0 {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed what is kept no longer");
    }
    Ok(())
}

async fn batch(conn: &mut PgConnection, plan: Plan, window_s: f64) -> Result<u64, sqlx::Error> {
    let mut rows = upkeep::remove_windows(conn, window_s, BATCH).await?;
    rows += upkeep::remove_tombstones(conn, plan.tombstones, BATCH).await?;
    if let Some(cutoff) = plan.calls {
        rows += upkeep::remove_calls(conn, cutoff, BATCH).await?;
        rows += upkeep::remove_unmatched(conn, cutoff, BATCH).await?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_for_as_many_days_as_are_set() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        assert_eq!(plan(now, 30).calls, Some(now - TimeDelta::days(30)));
        assert_eq!(plan(now, 30).tombstones, now - TimeDelta::days(30));
        assert_eq!(plan(now, 0).calls, None);
        assert!(plan(now, 36_500).calls.is_some());
    }
}
