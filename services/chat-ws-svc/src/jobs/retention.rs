//! Removes what is kept no longer: chats in which nothing happens any more, tombstones, answers to keyed requests, changes
//! that no stream resumes from.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::app::AppState;
use crate::domain::ids::SessionId;
use crate::store::upkeep;

/// Time between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one statement: short locks.
const BATCH: i64 = 200;
/// Changes of one statement.
const CHANGES: i64 = 5_000;
/// Statements of one kind in a round.
const BATCHES: u32 = 100;
/// How long an erased chat is known again.
const TOMBSTONE_DAYS: i64 = 30;
/// How long an operator's stream may be away and miss no change, in seconds.
const CHANGES_KEPT_S: f64 = 3_600.0;

/// From when on things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Chats in which something happened since; nothing where data is kept for ever.
    chats: Option<DateTime<Utc>>,
    tombstones: DateTime<Utc>,
}

fn plan(now: DateTime<Utc>, retention_days: u32) -> Plan {
    let back = |days: i64| {
        now.checked_sub_signed(TimeDelta::days(days))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    };
    Plan {
        chats: (retention_days > 0).then(|| back(i64::from(retention_days))),
        tombstones: back(TOMBSTONE_DAYS),
    }
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let plan = plan(state.kit.clock.now(), state.kit.settings.retention_days.get());
    let mut removed = 0;
    let mut conn = state.kit.pool.acquire().await?;
    for _ in 0..BATCHES {
        if state.kit.tasks.stopping().is_cancelled() {
            break;
        }
        let rows = batch(&mut conn, plan).await? + state.keys.prune(&mut conn).await?;
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

async fn batch(conn: &mut PgConnection, plan: Plan) -> Result<u64, sqlx::Error> {
    let mut rows = upkeep::remove_tombstones(conn, plan.tombstones, BATCH).await?;
    rows += upkeep::remove_changes(conn, CHANGES_KEPT_S, CHANGES).await?;
    if let Some(cutoff) = plan.chats {
        rows += upkeep::remove_sessions(conn, &SessionId::bound(cutoff), cutoff, BATCH).await?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_for_as_many_days_as_are_set() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        assert_eq!(plan(now, 30).chats, Some(now - TimeDelta::days(30)));
        assert_eq!(plan(now, 30).tombstones, now - TimeDelta::days(30));
        assert_eq!(plan(now, 0).chats, None);
        assert!(plan(now, 36_500).chats.is_some());
    }
}
