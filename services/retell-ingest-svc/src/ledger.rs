//! The ledger: events that wait share a commit. Nobody is answered before the commit that holds his event.

mod batch;
mod fold;
mod lanes;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchhook_chassis::db;
use switchhook_chassis::group_commit::{GroupCommit, Limits};
use switchhook_chassis::kit::Kit;
use switchhook_core::ids::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::event::Event;
use crate::error::Error;
use batch::Batches;
use lanes::{Lanes, Ticket};

pub(crate) use fold::refold;

/// Raw bytes of all events that wait, in KiB.
const MAX_WAITING_KIB: usize = 256 * 1024;
/// Commits under way at a time: while one waits for the disk, the next is read and folded.
const LANES: usize = 2;
/// Events of one lane and one commit; their weight is in raw bytes.
const LIMITS: Limits = Limits {
    waiting: 2_048,
    items: 256,
    weight: 16 * 1024 * 1024,
    gathering: Duration::from_millis(2),
};

/// An event and the bytes that it came in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) event: Event,
    pub(crate) raw: Bytes,
}

/// An event that waits, its share of the memory for those, and its place on a lane.
struct Waiting {
    incoming: Incoming,
    _room: OwnedSemaphorePermit,
    _ticket: Ticket,
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

/// Takes events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    groups: Arc<[GroupCommit<Batches>]>,
    lanes: Lanes,
    room: Arc<Semaphore>,
}

impl Ledger {
    /// Nothing runs yet. `waived`: clients get what was held before they connected also without proof.
    pub(crate) fn new(kit: &Kit, waived: bool) -> Self {
        let group = |_| GroupCommit::new(Batches::new(kit, waived), LIMITS);
        Self {
            groups: (0..LANES).map(group).collect(),
            lanes: Lanes::new(LANES),
            room: Arc::new(Semaphore::new(MAX_WAITING_KIB)),
        }
    }

    /// Starts committing.
    pub(crate) fn start(&self, kit: &Kit) {
        for group in self.groups.iter() {
            group.start(kit);
        }
    }

    /// Whether no event waits for its commit here.
    pub(crate) fn is_idle(&self) -> bool {
        self.room.available_permits() == MAX_WAITING_KIB
    }

    /// Keeps an event; done once it is committed. Whoever stops waiting for it does not call it back.
    pub(crate) async fn take(&self, incoming: Incoming) -> Result<Taken, Error> {
        let kib = u32::try_from(incoming.raw.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib);
        let room = room.map_err(|_full| Error::Crowded)?;
        let ticket = self.lanes.enter(&incoming.event.agent_id);
        let group = &self.groups[ticket.lane()];
        if group.is_full() {
            return Err(Error::Crowded);
        }
        let waiting = Waiting {
            incoming,
            _room: room,
            _ticket: ticket,
        };
        match tokio::time::timeout(db::WORK_LIMIT, group.commit(waiting)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_elapsed) => Err(Error::Away),
        }
    }
}
