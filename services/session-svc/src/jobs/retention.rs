//! Removes what is kept no longer: sessions that ended, counts of days, tombstones, revisions of nobody.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;

use crate::app::AppState;
use crate::domain::day::day_of;
use crate::store::upkeep;

/// Time between two rounds.
pub(super) const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Rows of one statement: short locks.
const BATCH: i64 = 500;
/// Claims of one statement.
const CLAIMS: i64 = 5_000;
/// Statements of one kind in a round.
const BATCHES: u32 = 100;
/// How long an erased session is known again.
const TOMBSTONE_DAYS: i64 = 30;

/// From when on things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// Sessions that ended before and days before; nothing where data is kept for ever.
    data: Option<(DateTime<Utc>, NaiveDate)>,
    tombstones: DateTime<Utc>,
}

fn plan(now: DateTime<Utc>, zone: Tz, retention_days: u32) -> Plan {
    let back = |days: i64| {
        now.checked_sub_signed(TimeDelta::days(days))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    };
    let data = (retention_days > 0).then(|| {
        let first = day_of(now, zone).checked_sub_days(Days::new(u64::from(retention_days)));
        (back(i64::from(retention_days)), first.unwrap_or(NaiveDate::MIN))
    });
    Plan {
        data,
        tombstones: back(TOMBSTONE_DAYS),
    }
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let settings = &state.kit.settings;
    let plan = plan(
        state.kit.clock.now(),
        settings.day_timezone,
        settings.retention_days.get(),
    );
    let mut removed = 0;
    let mut conn = state.kit.pool.acquire().await?;
    for _ in 0..BATCHES {
        if state.kit.tasks.stopping().is_cancelled() {
            break;
        }
        let rows = batch(&mut conn, plan).await?;
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
    if let Some((ended_before, first_day)) = plan.data {
        let claims = upkeep::remove_claims(conn, ended_before, CLAIMS).await?;
        if claims < CLAIMS.unsigned_abs() {
            rows += upkeep::remove_sessions(conn, ended_before, BATCH).await?;
        }
        rows += claims;
        rows += upkeep::remove_days(conn, first_day, BATCH).await?;
        rows += upkeep::remove_users(conn, BATCH).await?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_for_as_many_days_as_are_set() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        let berlin = plan(now, chrono_tz::Europe::Berlin, 30);
        let (ended_before, first_day) = berlin.data.unwrap();
        assert_eq!(ended_before, now - TimeDelta::days(30));
        // It is 3 March there already.
        assert_eq!(first_day, "2026-02-01".parse().unwrap());
        assert_eq!(berlin.tombstones, now - TimeDelta::days(30));
    }

    #[test]
    fn nought_days_keep_data_for_ever() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        assert_eq!(plan(now, chrono_tz::UTC, 0).data, None);
        assert!(plan(now, chrono_tz::UTC, 36_500).data.is_some());
    }
}
