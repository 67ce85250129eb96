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
const MAX_IN_HAND: usize = 2_000;
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
    /// Takes a dial in hand.
    pub(crate) fn take(&self, id: CallId) -> Hand {
        lock(&self.held).insert(id.0);
        Hand {
            held: Arc::clone(&self.held),
            id: id.0,
        }
    }

    /// Takes a new dial in hand; nothing where there are [`MAX_IN_HAND`].
    pub(crate) fn begin(&self, id: CallId) -> Option<Hand> {
        (self.count() < MAX_IN_HAND).then(|| self.take(id))
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
    Ok(claimed
        .into_iter()
        .map(|call| {
            let hand = state.dials.take(call.id);
            (call, hand)
        })
        .collect())
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
