//! The ledger: events that wait share a commit.
//!
//! What waits while one commit is under way goes with the next, so a lone event is not delayed and many cost little more
//! than one. Nobody is answered before the commit that holds his event. A batch that fails is repeated event by event, so
//! that one bad event hurts nobody.

mod batch;
mod fold;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use switchhook_chassis::db;
use switchhook_chassis::kit::Kit;
use switchhook_core::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::event::Event;
use crate::error::Error;
use batch::Batches;

pub(crate) use fold::refold;

/// Events that may wait for their commit.
const MAX_WAITING: usize = 4_096;
/// Raw bytes of all events that wait, in KiB.
const MAX_WAITING_KIB: usize = 256 * 1024;
/// Events of one commit.
const BATCH_EVENTS: usize = 256;
/// Raw bytes at which a commit takes no further event.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Longest that a commit waits for those whom the commit before has answered.
const GATHERING: Duration = Duration::from_millis(2);

/// An event and the bytes that it came in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) event: Event,
    pub(crate) raw: Bytes,
}

/// Whether an event was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// It is kept already, and changed nothing.
    Duplicate,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Taken {
    /// It is in the call of a client.
    Saved {
        user: UserId,
        duration_minutes: Option<f64>,
        novelty: Novelty,
    },
    /// Nobody has the agent: it is held.
    Held { novelty: Novelty },
    /// The call was erased lately: nothing is kept.
    Erased,
}

struct Waiting {
    incoming: Incoming,
    answer: oneshot::Sender<Result<Taken, Error>>,
    _room: OwnedSemaphorePermit,
}

/// Takes events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Taken by the committer when it starts.
    waiting: Arc<Mutex<Option<mpsc::Receiver<Waiting>>>>,
    batches: Batches,
}

impl Ledger {
    /// Nothing runs yet. `waived`: clients get what was held before they connected also without proof.
    pub(crate) fn new(kit: &Kit, waived: bool) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        Self {
            queue,
            room: Arc::new(Semaphore::new(MAX_WAITING_KIB)),
            waiting: Arc::new(Mutex::new(Some(waiting))),
            batches: Batches::new(kit, waived),
        }
    }

    /// Starts committing. It ends after the last request has been answered, not when the service begins to stop.
    pub(crate) fn start(&self, kit: &Kit) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = waiting.take() else { return };
        let stopped = kit.tasks.stopped().clone();
        let work = commit_until_stopped(waiting, self.batches.clone());
        let failed = kit.tasks.failed().clone();
        // Not one of the tasks that the shutdown waits for: those are the requests that wait for it.
        let committing = tokio::spawn(stopped.clone().run_until_cancelled_owned(work));
        tokio::spawn(async move {
            let ended = committing.await;
            if !stopped.is_cancelled() {
                tracing::error!(panicked = ended.is_err(), "events are committed no longer");
                failed.cancel();
            }
        });
    }

    /// Keeps an event; done once it is committed. Whoever stops waiting for it does not call it back.
    pub(crate) async fn take(&self, incoming: Incoming) -> Result<Taken, Error> {
        let kib = u32::try_from(incoming.raw.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            incoming,
            answer,
            _room: room.map_err(|_full| Error::Crowded)?,
        };
        self.queue.try_send(waiting).map_err(|_full| Error::Crowded)?;
        match tokio::time::timeout(db::WORK_LIMIT, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_stopped)) => Err(Error::Crowded),
            Err(_elapsed) => Err(Error::Away),
        }
    }
}

async fn commit_until_stopped(mut queue: mpsc::Receiver<Waiting>, batches: Batches) {
    let mut last = Last {
        events: 0,
        ended: Instant::now(),
    };
    while let Some(batch) = next_batch(&mut queue, last).await {
        let (events, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.incoming, (waiting.answer, waiting._room)))
            .unzip();
        let outcomes = batches.commit(events).await;
        last = Last {
            events: outcomes.len(),
            ended: Instant::now(),
        };
        for ((answer, _room), outcome) in answers.into_iter().zip(outcomes) {
            // Whoever hung up is not told; his event is kept all the same.
            let _ = answer.send(outcome);
        }
    }
}

/// The commit before: as many as it has answered are likely to come again at once.
#[derive(Debug, Clone, Copy)]
struct Last {
    events: usize,
    ended: Instant,
}

/// The first that waits, and whoever waits behind it. Straight after a commit for several, those get a moment to come
/// with their next: else the first of them would have a commit for itself, and the others wait twice as long.
async fn next_batch(queue: &mut mpsc::Receiver<Waiting>, last: Last) -> Option<Vec<Waiting>> {
    let first = queue.recv().await?;
    let mut bytes = first.incoming.raw.len();
    let mut batch = vec![first];
    while batch.len() < BATCH_EVENTS && bytes < BATCH_BYTES {
        let next = match queue.try_recv() {
            Ok(next) => next,
            Err(_) if batch.len() >= last.events => break,
            Err(_) => match tokio::time::timeout_at(last.ended + GATHERING, queue.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        bytes += next.incoming.raw.len();
        batch.push(next);
    }
    Some(batch)
}
