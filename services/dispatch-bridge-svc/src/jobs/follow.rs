//! Following calls to their end. Exactly one replica follows a call: the one whose id its row holds, dead with it and then
//! taken over. Webhooks bring most of what is learned; looks at LiveKit bring the rest, and all of it where no webhook comes.
//!
//! Looks have one budget for all calls of this process ([`LOOKS_PER_S`], [`LOOKS_AT_A_TIME`]): however many calls there are,
//! LiveKit is asked no more often, only each of them less often.

mod learn;
mod look;
mod record;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use switchhook_chassis::jobs::repeat;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::AppState;
use crate::dial::worker;
use crate::domain::dispatch::Call;
use crate::domain::ids::CallId;
use crate::domain::recording::SETTLES_WITHIN;
use crate::error::Error;
use crate::store;
use crate::store::follow::Claimant;

pub(crate) use learn::{end_as_known, take_event};

/// Looks that begin in a second, in each lane of this process.
const LOOKS_PER_S: u32 = 15;
/// Looks that are under way at a time, in this process.
const LOOKS_AT_A_TIME: usize = 8;
/// Calls that one sweep takes over.
const BATCH: i64 = 100;
/// Most calls that a process follows.
const MAX_CALLS: usize = 10_000;
/// Time between two sweeps.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long after its dispatch a call of this replica that nobody has in hand counts as lost, beyond `WORKER_WAIT`.
const DIAL_LIMIT: Duration = Duration::from_secs(60);
/// Until the first look at a call: nobody answers sooner.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// The pause after a look that failed: doubled each time, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// The calls that this process follows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Following {
    inner: Arc<Inner>,
}

struct Inner {
    in_hand: Mutex<HashMap<CallId, Arc<Notify>>>,
    /// When the next look of each lane may begin.
    next: [tokio::sync::Mutex<Option<Instant>>; 2],
    looks: Semaphore,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                in_hand: Mutex::default(),
                next: Default::default(),
                looks: Semaphore::new(LOOKS_AT_A_TIME),
            }),
        }
    }
}

impl Following {
    /// How many calls this process follows.
    pub(crate) fn calls(&self) -> usize {
        self.in_hand().len()
    }

    /// Something was learned of a call: whoever follows it here looks at once.
    pub(crate) fn hint(&self, call: CallId) {
        if let Some(hint) = self.in_hand().get(&call) {
            hint.notify_one();
        }
    }

    fn in_hand(&self) -> MutexGuard<'_, HashMap<CallId, Arc<Notify>>> {
        self.inner.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in hand, unless it is or there are too many.
    fn take(&self, call: CallId) -> Option<Hand> {
        let mut in_hand = self.in_hand();
        if in_hand.len() >= MAX_CALLS || in_hand.contains_key(&call) {
            return None;
        }
        let hint = Arc::new(Notify::new());
        in_hand.insert(call, Arc::clone(&hint));
        Some(Hand {
            following: self.clone(),
            call,
            hint,
        })
    }

    /// Waits for the turn of a look. Who stops waiting takes nobody's turn.
    async fn turn(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let mut next = self.inner.next[lane as usize].lock().await;
        if let Some(at) = *next {
            tokio::time::sleep_until(at).await;
        }
        *next = Some(Instant::now() + Duration::from_secs(1) / LOOKS_PER_S);
        drop(next);
        self.inner.looks.acquire().await.ok()
    }
}

/// Looks that do not wait for each other's turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Others,
    /// At calls whose recording begins with the answer, which may come at any moment.
    BeforeRecording,
}

impl Lane {
    fn of(call: &Call) -> Self {
        match call.record_call && call.call_start.is_none() {
            true => Self::BeforeRecording,
            false => Self::Others,
        }
    }
}

/// A call in hand. Let go of when dropped.
struct Hand {
    following: Following,
    call: CallId,
    hint: Arc<Notify>,
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.following.in_hand().remove(&self.call);
    }
}

/// Starts following what nobody follows.
pub(crate) fn start(state: &AppState) {
    repeat(&state.kit.tasks, "follow", INTERVAL, state, round);
}

/// Begins to follow a call that this replica holds.
pub(crate) fn begin(state: &AppState, call: &Call) {
    if let Some(hand) = state.following.take(call.id) {
        run(state, follow(state.clone(), hand, look::Memory::of(call)));
    }
}

/// Follows a call that another replica left, perhaps while it waited for a worker.
fn take_over(state: &AppState, call: CallId) {
    let Some(hand) = state.following.take(call) else {
        return;
    };
    let owned = state.clone();
    run(state, async move {
        if let Err(error) = settle_job(&owned, call).await {
            tracing::warn!(%call, %error, "whether a worker has the job could not be recorded");
        }
        follow(owned, hand, look::Memory::default()).await;
    });
}

async fn settle_job(state: &AppState, id: CallId) -> Result<(), Error> {
    match store::calls::get(&state.kit.pool, id).await? {
        Some(call) if call.job_id.is_none() && !call.status.is_final() => worker::settle(state, &call).await,
        _ => Ok(()),
    }
}

fn run(state: &AppState, following: impl Future<Output = ()> + Send + 'static) {
    let stopping = state.kit.tasks.stopping().clone();
    drop(
        state
            .kit
            .tasks
            .spawn(stopping.run_until_cancelled_owned(following)),
    );
}

/// Takes over calls that nobody follows.
async fn round(state: AppState) -> Result<(), sqlx::Error> {
    metrics::gauge!("dispatch_calls_followed").set(state.following.calls() as f64);
    if !state.kit.replica.is_current() {
        return Ok(());
    }
    let in_hand: Vec<Uuid> = state.following.in_hand().keys().map(|call| call.0).collect();
    let claimant = Claimant {
        replica: state.kit.replica.id(),
        may_judge: state.kit.replica.may_judge(),
        dialled_within_s: (state.settings.worker_wait.0 + DIAL_LIMIT).as_secs_f64(),
        recorded_within_s: (SETTLES_WITHIN + TimeDelta::minutes(1)).as_seconds_f64(),
        in_hand: &in_hand,
    };
    let claimed = store::follow::claim(&mut *state.kit.pool.acquire().await?, &claimant, BATCH).await?;
    for call in claimed {
        tracing::info!(%call, "following a call that nobody followed");
        take_over(&state, call);
    }
    Ok(())
}

/// Looks again and again until nothing more is to be learned, or another replica has the call.
async fn follow(state: AppState, hand: Hand, mut memory: look::Memory) {
    let mut failures = 0_u32;
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hand.hint.notified() => {}
        }
        if !state.kit.replica.is_current() {
            pause = SHORTEST_PAUSE;
            continue;
        }
        // Large, and between two looks not there.
        pause = match Box::pin(look::once(&state, &hand, &mut memory)).await {
            Ok(look::Next::Over) => return,
            Ok(look::Next::After(pause)) => {
                failures = 0;
                pause
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::debug!(call = %hand.call, %error, failures, "a look at a call failed");
                (SHORTEST_PAUSE * 2_u32.saturating_pow(failures.min(10) - 1)).min(LONGEST_PAUSE)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[tokio::test]
    async fn all_calls_together_are_looked_at_no_more_often_than_one_may_be() {
        let following = Following::default();
        let begun = Instant::now();
        let turns = (0..=LOOKS_PER_S).map(|_| following.turn(Lane::Others));
        let turns = futures_util::future::join_all(turns.map(|turn| async { drop(turn.await) }));
        turns.await;
        let passed = begun.elapsed();
        assert!(passed >= Duration::from_millis(990), "{passed:?}");
    }

    #[tokio::test]
    async fn a_call_is_in_one_hand_and_can_be_taken_again() {
        let following = Following::default();
        let call = CallId::new(DateTime::from_timestamp(1_770_000_000, 0).unwrap());
        let hand = following.take(call);
        assert!(hand.is_some() && following.take(call).is_none());
        drop(hand);
        assert_eq!(following.calls(), 0);
        assert!(following.take(call).is_some());
    }
}
