//! Removes what is kept no longer, in batches: what that is, each service knows; from when on, and how much at a time, is here.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::kit::Kit;

/// Time between two rounds.
pub const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Batches of a round.
const BATCHES: u32 = 1_000;
/// How long it is known of an erased thing that it was erased, in days: whoever repeats old news does not bring it back.
const TOMBSTONE_DAYS: i64 = 30;

/// What is older goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// For data; `None` where it is kept for ever (`RETENTION_DAYS` is 0).
    pub data: Option<DateTime<Utc>>,
    /// For tombstones.
    pub tombstones: DateTime<Utc>,
}

impl Cutoffs {
    fn at(now: DateTime<Utc>, retention_days: u32) -> Self {
        let back = |days: i64| {
            now.checked_sub_signed(TimeDelta::days(days))
                .unwrap_or(DateTime::UNIX_EPOCH)
        };
        Self {
            data: (retention_days > 0).then(|| back(i64::from(retention_days))),
            tombstones: back(TOMBSTONE_DAYS),
        }
    }
}

/// Removes batch after batch, until one finds nothing or the service stops. `batch` gives how many rows it removed.
///
/// # Errors
/// Those of `batch`; the next round goes on from there.
pub async fn round<Batch>(kit: &Kit, batch: impl Fn(Cutoffs) -> Batch) -> Result<(), sqlx::Error>
where
    Batch: Future<Output = Result<u64, sqlx::Error>>,
{
    let cutoffs = Cutoffs::at(kit.clock.now(), kit.settings.retention_days.get());
    let mut removed = 0;
    for _ in 0..BATCHES {
        if kit.tasks.stopping().is_cancelled() {
            break;
        }
        let begun = Instant::now();
        let rows = batch(cutoffs).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_for_as_many_days_as_are_set_and_nought_is_for_ever() {
        let now = "2026-03-02T23:30:00Z".parse().unwrap();
        let month = Cutoffs::at(now, 30);
        assert_eq!(month.data, Some(now - TimeDelta::days(30)));
        assert_eq!(month.tombstones, now - TimeDelta::days(30));
        assert_eq!(Cutoffs::at(now, 0).data, None);
        assert!(Cutoffs::at(now, u32::MAX).data.is_some());
    }
}
