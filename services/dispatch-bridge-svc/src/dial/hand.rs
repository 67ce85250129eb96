//! The dials that this process has in hand. A row that names this replica and is not among them was lost by a panic, or by a
//! database that was away.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchhook_chassis::db;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::AppState;
use crate::domain::dispatch::Call;
use crate::domain::ids::CallId;
use crate::error::Error;
use crate::store::dial::{self, Claimant};

/// Dials of one process at a time: each waits for LiveKit, which has its ten seconds for each step.
pub(super) const MAX_IN_HAND: usize = 2_000;
/// Longest that a request waits until this replica has renewed its row.
const CURRENT_LIMIT: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The dials in hand. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct InHand {
    held: Arc<Mutex<HashSet<Uuid>>>,
    /// One claim at a time: between the statement and the hand nobody else of this process may claim the same.
    claiming: Arc<tokio::sync::Mutex<()>>,
}

/// One dial in hand, until dropped.
pub(crate) struct Hand {
    held: Arc<Mutex<HashSet<Uuid>>>,
    id: Uuid,
}

impl InHand {
    /// Takes a dial in hand, unless it is.
    fn take(&self, id: CallId) -> Option<Hand> {
        let is_new = lock(&self.held).insert(id.0);
        is_new.then(|| Hand {
            held: Arc::clone(&self.held),
            id: id.0,
        })
    }

    /// Takes a new dial in hand; nothing where there are [`MAX_IN_HAND`].
    pub(crate) fn begin(&self, id: CallId) -> Option<Hand> {
        if self.count() >= MAX_IN_HAND {
            return None;
        }
        self.take(id)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.held).len()
    }

    fn ids(&self) -> Vec<Uuid> {
        lock(&self.held).iter().copied().collect()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        lock(&self.held).remove(&self.id);
    }
}

fn lock(held: &Mutex<HashSet<Uuid>>) -> MutexGuard<'_, HashSet<Uuid>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes dials that nobody holds any more.
pub(crate) async fn claim(
    state: &AppState,
    only: Option<CallId>,
    limit: i64,
) -> Result<Vec<(Call, Hand)>, sqlx::Error> {
    if !state.kit.replica.is_current() {
        return Ok(Vec::new());
    }
    let _alone = state.dials.claiming.lock().await;
    let in_hand = state.dials.ids();
    let claimant = Claimant {
        replica: state.kit.replica.id(),
        may_judge: state.kit.replica.may_judge(),
        in_hand: &in_hand,
    };
    let work = async {
        let mut conn = state.kit.pool.acquire().await?;
        dial::claim(&mut conn, &claimant, only, limit).await
    };
    let claimed = tokio::time::timeout(db::WORK_LIMIT, work).await;
    let claimed = claimed.map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
    // One that began after the list was made is in hand by now, and not lost.
    let newly = |call: Call| state.dials.take(call.id).map(|hand| (call, hand));
    Ok(claimed.into_iter().filter_map(newly).collect())
}

/// A replica that could not renew its row holds nothing: others may take it for dead.
pub(crate) async fn until_current(state: &AppState) -> Result<(), Error> {
    let deadline = Instant::now() + CURRENT_LIMIT;
    while !state.kit.replica.is_current() {
        if Instant::now() >= deadline {
            return Err(sqlx::Error::PoolTimedOut.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_dial_in_hand_is_not_taken_for_a_lost_one() {
        let dials = InHand::default();
        let id = CallId::new(DateTime::from_timestamp(1_770_000_000, 0).unwrap());
        let hand = dials.begin(id);
        assert!(hand.is_some() && dials.take(id).is_none());
        assert_eq!(dials.count(), 1);
        drop(hand);
        assert!(dials.take(id).is_some());
    }
}
