//! An answer while it comes: the visitor sees that the bot writes, and the pieces of a streamed answer as they arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Listener;
use switchhook_core::n8n::stream::Pieces;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::entry::Sender;
use crate::domain::ids::{MessageId, SessionId};
use crate::hub::{Hub, Piece};
use crate::registry::Registry;

/// Time between two pieces that are shown: 20 a second.
const PACE: Duration = Duration::from_millis(50);
/// Answers that are remembered: twice as many as are under way. Of those whose chat was erased meanwhile nobody tells the end.
const REMEMBERED: usize = 4_000;

/// The answers that are under way in this process, by the delivery that they answer.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<BTreeMap<Uuid, Shown>>>);

/// What a visitor has been shown of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    session: SessionId,
    /// The id under which the whole will be stored.
    pub(super) message: MessageId,
}

impl Streams {
    /// What was shown of an answer.
    pub(super) fn shown(&self, delivery: Uuid) -> Option<Shown> {
        self.open().get(&delivery).cloned()
    }

    /// The answer is complete, or nobody waits for it any more.
    pub(super) fn end(&self, delivery: Uuid) -> Option<Shown> {
        self.open().remove(&delivery)
    }

    /// What was shown of an answer is void.
    pub(super) fn reset(&self, delivery: Uuid, hub: &Hub) {
        if let Some(shown) = self.end(delivery) {
            shown.reset(hub);
        }
    }

    /// A piece of an answer is shown, perhaps the first.
    fn begun(&self, delivery: Uuid, shown: Shown) {
        let mut open = self.open();
        open.entry(delivery).or_insert(shown);
        if open.len() > REMEMBERED {
            // Their ids are in the order of their beginnings.
            open.pop_first();
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Uuid, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Takes it back.
    pub(super) fn reset(&self, hub: &Hub) {
        hub.delta(&self.session, self.message, &Piece::Reset);
    }
}

/// Sees one answer.
pub(super) struct Answering {
    kit: Kit,
    hub: Hub,
    registry: Registry,
    streams: Streams,
    delivery: Uuid,
    session: SessionId,
    pieces: Pieces,
    showing: Arc<Mutex<Showing>>,
}

/// The pieces that wait for their time.
#[derive(Debug)]
struct Showing {
    message: MessageId,
    ready: String,
    index: u32,
    next: Instant,
    scheduled: bool,
}

impl Answering {
    /// The bot begins to write.
    pub(super) fn begin(
        kit: &Kit,
        hub: &Hub,
        registry: &Registry,
        streams: &Streams,
        delivery: Uuid,
        session: SessionId,
    ) -> Self {
        // What an earlier try of the same delivery showed is told anew.
        streams.reset(delivery, hub);
        registry.typing(&session, Sender::Bot, true);
        let showing = Showing {
            message: MessageId::new(kit.clock.now()),
            ready: String::new(),
            index: 0,
            next: Instant::now(),
            scheduled: false,
        };
        Self {
            kit: kit.clone(),
            hub: hub.clone(),
            registry: registry.clone(),
            streams: streams.clone(),
            delivery,
            session,
            pieces: Pieces::default(),
            showing: Arc::new(Mutex::new(showing)),
        }
    }
}

impl Listener for Answering {
    fn chunk(&mut self, bytes: &[u8]) {
        let piece = self.pieces.feed(bytes);
        if piece.is_empty() {
            return;
        }
        let mut showing = lock(&self.showing);
        let shown = Shown {
            session: self.session.clone(),
            message: showing.message,
        };
        self.streams.begun(self.delivery, shown);
        showing.ready.push_str(&piece);
        if showing.scheduled {
            return;
        }
        if Instant::now() >= showing.next {
            showing.show(&self.hub, &self.session);
            return;
        }
        showing.scheduled = true;
        let (at, hub, session, waiting) = (
            showing.next,
            self.hub.clone(),
            self.session.clone(),
            Arc::clone(&self.showing),
        );
        drop(self.kit.tasks.spawn(async move {
            tokio::time::sleep_until(at).await;
            lock(&waiting).show(&hub, &session);
        }));
    }
}

/// The try is over: what still waits is not shown, for the whole follows, or it is void.
impl Drop for Answering {
    fn drop(&mut self) {
        lock(&self.showing).ready.clear();
        self.registry.typing(&self.session, Sender::Bot, false);
    }
}

impl Showing {
    fn show(&mut self, hub: &Hub, session: &SessionId) {
        self.scheduled = false;
        if self.ready.is_empty() {
            return;
        }
        let piece = Piece::Text {
            index: self.index,
            text: std::mem::take(&mut self.ready),
        };
        self.index += 1;
        self.next = Instant::now() + PACE;
        hub.delta(session, self.message, &piece);
    }
}

fn lock(showing: &Mutex<Showing>) -> MutexGuard<'_, Showing> {
    showing.lock().unwrap_or_else(PoisonError::into_inner)
}
