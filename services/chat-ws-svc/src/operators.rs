//! The operators who listen at this process: what is new in the chats, read once for all of them.
//!
//! One task reads while somebody listens, woken by commits on any replica, and hands what it read to every stream. Each
//! stream has one position, a [`Snapshot`], that only it moves; whoever has fallen behind reads for himself.

mod reading;
mod stream;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::wake::Watch;
use switchhook_core::problem::Problem;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::entry::Sender;
use crate::domain::ids::SessionId;
use crate::domain::snapshot::Snapshot;
use crate::store::changes;
use reading::{Batch, Told};

/// What everybody who listens waits for, on every replica.
const KEY: &str = "operators";
/// Operators' streams of one process.
const MAX_STREAMS: usize = 1_000;
/// Time between two reads, however much happens.
const PACE: Duration = Duration::from_millis(100);
/// Time after which is looked though nobody was woken.
const SAFETY_POLL: Duration = Duration::from_secs(1);
/// Pause before a read that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Batches and typing that a stream may be behind before it reads for itself.
const REMEMBERED: usize = 256;
/// Typing that waits to be told.
const TYPING_QUEUE: usize = 256;

/// Their streams. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Operators {
    inner: Arc<Inner>,
}

struct Inner {
    kit: Kit,
    tail: Mutex<Weak<Tail>>,
    streams: AtomicUsize,
}

/// What the streams share. Its task ends with the last of them.
struct Tail {
    news: broadcast::Sender<News>,
    typing: mpsc::Sender<Typing>,
    /// How far the task has read. Whoever sends a batch holds it, so that a stream which joins misses none.
    head: Mutex<Snapshot>,
    _until_unread: DropGuard,
}

#[derive(Debug, Clone)]
enum News {
    Batch(Arc<Batch>),
    Typing(Arc<Told>),
}

#[derive(Debug)]
struct Typing {
    session: SessionId,
    from: Sender,
    active: bool,
}

impl Operators {
    pub(crate) fn new(kit: &Kit) -> Self {
        let inner = Inner {
            kit: kit.clone(),
            tail: Mutex::default(),
            streams: AtomicUsize::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Somebody writes in a chat, or stopped: shown to whoever listens here, and not stored.
    pub(crate) fn typing(&self, session: &SessionId, from: Sender, active: bool) {
        if let Some(tail) = self.tail().upgrade() {
            let session = session.clone();
            // Who cannot keep up misses an indicator, nothing else.
            let _ = tail.typing.try_send(Typing {
                session,
                from,
                active,
            });
        }
    }

    /// Something changed in a chat, and is committed: whoever listens, at any replica, looks.
    pub(crate) fn changed(&self) {
        self.inner.kit.wake.announce([KEY.to_owned()]);
    }

    /// How many listen here.
    pub(crate) fn listening(&self) -> usize {
        self.inner.streams.load(Ordering::Relaxed)
    }

    /// Where a stream begins: it gets all news from the head on.
    async fn join(&self) -> Result<Joined, sqlx::Error> {
        loop {
            if let Some(tail) = self.tail().upgrade() {
                return Ok(Joined::to(tail));
            }
            // Registered before the first look, so that nothing falls between the two.
            let watch = self.inner.kit.wake.watch(KEY);
            let head = changes::snapshot(&mut *self.inner.kit.pool.acquire().await?).await?;
            let mut place = self.tail();
            if place.strong_count() == 0 {
                let tail = self.follow(head, watch);
                *place = Arc::downgrade(&tail);
                return Ok(Joined::to(tail));
            }
        }
    }

    fn follow(&self, head: Snapshot, watch: Watch) -> Arc<Tail> {
        let ending = CancellationToken::new();
        let ended = ending.clone();
        let (typing, written) = mpsc::channel(TYPING_QUEUE);
        let tail = Arc::new(Tail {
            news: broadcast::Sender::new(REMEMBERED),
            typing,
            head: Mutex::new(head),
            _until_unread: ending.drop_guard(),
        });
        let work = read_on(self.inner.kit.clone(), Arc::downgrade(&tail), watch, written);
        let stopping = self.inner.kit.tasks.stopping().clone();
        drop(self.inner.kit.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }));
        tail
    }

    fn tail(&self) -> MutexGuard<'_, Weak<Tail>> {
        self.inner.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn head(&self) -> MutexGuard<'_, Snapshot> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that has joined.
struct Joined {
    tail: Arc<Tail>,
    news: broadcast::Receiver<News>,
    head: Snapshot,
}

impl Joined {
    fn to(tail: Arc<Tail>) -> Self {
        let head = tail.head();
        let (news, at) = (tail.news.subscribe(), head.clone());
        drop(head);
        Self { tail, news, head: at }
    }
}

/// Reads what is new whenever there may be something, and passes on who writes, while somebody listens.
async fn read_on(kit: Kit, tail: Weak<Tail>, mut watch: Watch, mut typing: mpsc::Receiver<Typing>) {
    let mut next = Instant::now();
    loop {
        tokio::select! {
            written = typing.recv() => {
                let (Some(written), Some(tail)) = (written, tail.upgrade()) else { return };
                let read = reading::typing(&kit.pool, &written.session, written.from, written.active);
                if let Ok(Ok(Some(told))) = timeout(db::WORK_LIMIT, read).await {
                    let _ = tail.news.send(News::Typing(Arc::new(told)));
                }
                continue;
            }
            _ = timeout(SAFETY_POLL, watch.changed()) => {}
        }
        sleep_until(next).await;
        next = Instant::now() + PACE;
        let Some(tail) = tail.upgrade() else { return };
        let from = tail.head().clone();
        match timeout(db::WORK_LIMIT, reading::news(&kit.pool, &from)).await {
            Ok(Ok(Some(batch))) => {
                let mut head = tail.head();
                *head = batch.to.clone();
                let _ = tail.news.send(News::Batch(Arc::new(batch)));
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is new for operators could not be read and is read again soon");
                next += RETRY_PAUSE;
            }
            Err(_elapsed) => {
                tracing::warn!("what is new for operators was not read in time and is read again soon")
            }
        }
    }
}

/// One of the places of [`MAX_STREAMS`], given back when dropped.
struct Place(Arc<Inner>);

impl Place {
    fn take(operators: &Operators) -> Result<Self, Failure> {
        let place = Self(Arc::clone(&operators.inner));
        if place.0.streams.fetch_add(1, Ordering::Relaxed) < MAX_STREAMS {
            return Ok(place);
        }
        Err(Problem::unavailable("Too many operators listen here; try again shortly").into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
