//! What comes after a reader's position, in order, each entry once: the one way in which streams and long polls learn of
//! what is new.
//!
//! A service keeps a log for each key (a user's changes, a task's answers) whose positions agree with the order of the
//! commits. Every [`Reader`] has one position that only it moves. All readers of a key in this process share a tail: one
//! task that reads what is new, once, however many wait. Who is further behind than the tail remembers reads for himself.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::db;
use crate::http::Failure;
use crate::lifecycle::Tasks;
use crate::wake::{Wake, Watch};

/// Readers of one process, over all keys: streams and long polls that wait.
pub const MAX_READERS: usize = 10_000;
/// Entries that are read at a time.
pub const BATCH: i64 = 200;
/// Entries that a tail remembers.
const REMEMBERED: usize = 256;
/// Pause before a read that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// An entry and where it stands.
pub type Placed<E> = (i64, E);

/// A log with a position for each entry, by key.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// What is read; cheap to clone.
    type Entry: Clone + Send + Sync + 'static;

    /// The entries of `key` after `position`, in order, at most `limit`.
    async fn after(
        &self,
        key: &str,
        position: i64,
        limit: i64,
    ) -> Result<Vec<Placed<Self::Entry>>, sqlx::Error>;

    /// Whether what came before this entry means nothing any more: it was erased, say.
    fn supersedes(_: &Self::Entry) -> bool {
        false
    }
}

/// The readers of a log. Cheap to clone.
pub struct Feed<L: Log> {
    inner: Arc<Inner<L>>,
}

struct Inner<L: Log> {
    log: L,
    wake: Wake,
    tasks: Tasks,
    tails: Mutex<HashMap<String, Weak<Tail<L::Entry>>>>,
    readers: AtomicUsize,
}

/// What the readers of one key share. Its task ends when the last of them is gone.
struct Tail<E> {
    known: watch::Receiver<Known<E>>,
    _until_unread: DropGuard,
}

/// All entries after `from`, up to `head`.
struct Known<E> {
    from: i64,
    head: i64,
    entries: VecDeque<Placed<E>>,
}

impl<E: Clone> Known<E> {
    /// The entries after a position; none where some of them are forgotten.
    fn after(&self, position: i64) -> Option<Vec<Placed<E>>> {
        (position >= self.from).then(|| {
            let first = self.entries.partition_point(|(at, _)| *at <= position);
            let new = self
                .entries
                .iter()
                .skip(first)
                .take(BATCH.unsigned_abs() as usize);
            new.cloned().collect()
        })
    }

    fn add(&mut self, entries: Vec<Placed<E>>, supersedes: fn(&E) -> bool) {
        for (at, entry) in entries {
            if supersedes(&entry) {
                self.entries.clear();
            }
            self.head = at;
            self.entries.push_back((at, entry));
        }
        while self.entries.len() > REMEMBERED {
            if let Some((at, _)) = self.entries.pop_front() {
                self.from = at;
            }
        }
    }
}

impl<L: Log> Clone for Feed<L> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<L: Log> Feed<L> {
    /// The readers of `log`, woken by the ids that are its keys.
    pub fn new(wake: &Wake, tasks: &Tasks, log: L) -> Self {
        let inner = Inner {
            log,
            wake: wake.clone(),
            tasks: tasks.clone(),
            tails: Mutex::default(),
            readers: AtomicUsize::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A reader of what comes after `position`.
    ///
    /// # Errors
    /// [`MAX_READERS`] read already: 503.
    pub fn reader(&self, key: &str, position: i64) -> Result<Reader<L>, Failure> {
        let place = Place::take(&self.inner)?;
        let tail = self.tail(key, position);
        Ok(Reader {
            known: tail.known.clone(),
            _tail: tail,
            place,
            key: key.to_owned(),
            position,
        })
    }

    /// How many read.
    pub fn readers(&self) -> usize {
        self.inner.readers.load(Ordering::Relaxed)
    }

    fn tail(&self, key: &str, position: i64) -> Arc<Tail<L::Entry>> {
        let mut tails = self.inner.tails();
        if let Some(tail) = tails.get(key).and_then(Weak::upgrade) {
            return tail;
        }
        let (publish, known) = watch::channel(Known {
            from: position,
            head: position,
            entries: VecDeque::new(),
        });
        let ending = CancellationToken::new();
        // Registered before the first look, so that nothing falls between the two.
        let watch = self.inner.wake.watch(key);
        let work = follow(Arc::clone(&self.inner), key.to_owned(), watch, publish);
        let stopping = self.inner.tasks.stopping().clone();
        let ended = ending.clone();
        drop(self.inner.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
                () = stopping.cancelled() => {}
            }
        }));
        let tail = Arc::new(Tail {
            known,
            _until_unread: ending.drop_guard(),
        });
        tails.retain(|_, tail| tail.strong_count() > 0);
        tails.insert(key.to_owned(), Arc::downgrade(&tail));
        tail
    }
}

impl<L: Log> Inner<L> {
    fn tails(&self) -> MutexGuard<'_, HashMap<String, Weak<Tail<L::Entry>>>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until it works: waiters stay while the database is away.
    async fn read(&self, key: &str, position: i64) -> Vec<Placed<L::Entry>> {
        loop {
            match tokio::time::timeout(db::WORK_LIMIT, self.log.after(key, position, BATCH)).await {
                Ok(Ok(entries)) => return entries,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what is new could not be read and is read again soon")
                }
                Err(_elapsed) => tracing::warn!("what is new was not read in time and is read again soon"),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Reads what is new whenever there may be something, for all readers of a key.
async fn follow<L: Log>(
    inner: Arc<Inner<L>>,
    key: String,
    mut watch: Watch,
    publish: watch::Sender<Known<L::Entry>>,
) {
    loop {
        let head = publish.borrow().head;
        let entries = inner.read(&key, head).await;
        if entries.is_empty() {
            watch.seen(head);
            watch.changed().await;
        } else {
            publish.send_modify(|known| known.add(entries, L::supersedes));
        }
    }
}

/// One of the places of [`MAX_READERS`], given back when dropped.
struct Place<L: Log>(Arc<Inner<L>>);

impl<L: Log> Place<L> {
    fn take(inner: &Arc<Inner<L>>) -> Result<Self, Failure> {
        let place = Self(Arc::clone(inner));
        metrics::gauge!("waiting_readers").increment(1.0);
        if inner.readers.fetch_add(1, Ordering::Relaxed) < MAX_READERS {
            return Ok(place);
        }
        Err(Failure(switchhook_core::problem::Problem::unavailable(
            "Too many streams and long polls are open here; try again shortly",
        )))
    }
}

impl<L: Log> Drop for Place<L> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("waiting_readers").decrement(1.0);
    }
}

/// One reader of one key.
pub struct Reader<L: Log> {
    known: watch::Receiver<Known<L::Entry>>,
    _tail: Arc<Tail<L::Entry>>,
    place: Place<L>,
    key: String,
    position: i64,
}

impl<L: Log> Reader<L> {
    /// Waits until there is something after the reader's position, gives it in order, and moves on. May be dropped at any
    /// time without losing an entry. Waits for ever once the service stops: whoever waits watches for that himself.
    pub async fn next(&mut self) -> Vec<Placed<L::Entry>> {
        loop {
            let known = self.known.borrow_and_update().after(self.position);
            let new = match known {
                Some(new) => new,
                None => self.catch_up().await,
            };
            if let Some((last, _)) = new.last() {
                self.position = *last;
                return new;
            }
            // The sender is gone only when the service stops.
            if self.known.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reads for this reader alone, on the service's runtime: it is further behind than what the tail remembers.
    async fn catch_up(&mut self) -> Vec<Placed<L::Entry>> {
        let forgotten = self.known.borrow().from;
        let (inner, key, position) = (Arc::clone(&self.place.0), self.key.clone(), self.position);
        let stopping = inner.tasks.stopping().clone();
        let tasks = inner.tasks.clone();
        let read = async move { inner.read(&key, position).await };
        let reading = AbortOnDropHandle::new(tasks.spawn(stopping.run_until_cancelled_owned(read)));
        let Ok(Some(new)) = reading.await else {
            return std::future::pending().await;
        };
        if new.is_empty() {
            // What the tail had forgotten before this look exists no more.
            self.position = forgotten;
        }
        new
    }

    /// The entries as a stream that does not end by itself.
    pub fn entries(self) -> impl Stream<Item = Placed<L::Entry>> {
        stream::unfold((self, VecDeque::new()), |(mut reader, mut ready)| async move {
            while ready.is_empty() {
                ready = reader.next().await.into();
            }
            ready.pop_front().map(|entry| (entry, (reader, ready)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(positions: std::ops::RangeInclusive<i64>) -> Known<i64> {
        let mut known = Known {
            from: 0,
            head: 0,
            entries: VecDeque::new(),
        };
        known.add(positions.map(|at| (at, at)).collect(), |_| false);
        known
    }

    fn positions(entries: Option<Vec<Placed<i64>>>) -> Option<Vec<i64>> {
        entries.map(|entries| entries.into_iter().map(|(at, _)| at).collect())
    }

    #[test]
    fn a_reader_gets_what_is_after_its_position() {
        let known = known(1..=5);
        assert_eq!(positions(known.after(3)), Some(vec![4, 5]));
        assert_eq!(positions(known.after(5)), Some(vec![]));
        assert_eq!(positions(known.after(9)), Some(vec![]));
        assert_eq!(positions(known.after(-1)), None);
    }

    #[test]
    fn what_is_forgotten_is_told_apart_from_what_is_not_there() {
        let last = i64::try_from(REMEMBERED).unwrap() + 10;
        let known = known(1..=last);
        assert_eq!((known.from, known.head), (10, last));
        assert_eq!(positions(known.after(9)), None);
        assert_eq!(positions(known.after(10)).map(|new| new[0]), Some(11));
    }

    #[test]
    fn an_entry_that_supersedes_takes_the_earlier_ones_along() {
        let mut known = known(1..=5);
        known.add(vec![(6, 6), (7, 7)], |entry| *entry == 6);
        assert_eq!(positions(known.after(2)), Some(vec![6, 7]));
    }
}
