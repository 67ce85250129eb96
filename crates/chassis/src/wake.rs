//! Wakes waiters on every replica after a commit.
//!
//! It carries hints, never data: a waiter registers, looks, waits, and looks again. Ids go to one announcer per
//! process, which sends at most one `NOTIFY` each [`GROUPING`]; one listener per replica hears the others. A
//! notification may be lost: a poll each [`SAFETY_POLL`] over the distinct ids waited for finds what changed, and a
//! lost listener wakes everybody. `LISTEN` needs a session, so it has a connection of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::lifecycle::Tasks;
use crate::service::Service;

/// Ids that come within this time share a notification.
pub const GROUPING: Duration = Duration::from_millis(10);
/// How late a waiter learns of a change whose notification was lost.
pub const SAFETY_POLL: Duration = Duration::from_secs(1);
/// PostgreSQL takes 8000 bytes a notification.
const PAYLOAD_BYTES: usize = 7_000;
const LISTENER_PAUSE: Duration = Duration::from_secs(1);
/// Time over which everybody is woken where nobody knows who is concerned.
const SPREAD: Duration = Duration::from_millis(500);
const SPREAD_GROUPS: u32 = 20;

/// Tells how far each thing has come.
#[async_trait]
pub trait Revisions: Send + Sync + 'static {
    /// The present revision of each id that exists.
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error>;
}

/// Registers waiters and wakes them. Cheap to clone.
#[derive(Clone)]
pub struct Wake {
    inner: Arc<Inner>,
}

struct Inner {
    channel: String,
    pool: PgPool,
    /// A direct connection: LISTEN needs a session.
    listen: PgConnectOptions,
    process: Uuid,
    waited: Mutex<HashMap<String, Waited>>,
    pending: Mutex<BTreeSet<String>>,
    announce: Notify,
}

struct Waited {
    hint: watch::Sender<Hint>,
    waiters: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hint {
    /// Raised by every announcement.
    announced: u64,
    /// The revision that the safety poll has seen last.
    polled: i64,
}

#[derive(Serialize, Deserialize)]
struct Notification {
    from: Uuid,
    /// `None`: too many to name.
    ids: Option<BTreeSet<String>>,
}

impl Wake {
    /// Nothing runs yet; `process` tells this process's own notifications apart.
    pub fn new(service: &Service, pool: PgPool, listen: PgConnectOptions, process: Uuid) -> Self {
        let inner = Inner {
            channel: format!("{}_wake", service.schema),
            pool,
            listen,
            process,
            waited: Mutex::default(),
            pending: Mutex::default(),
            announce: Notify::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Registers a waiter for one id. Register first, then look, then wait.
    pub fn watch(&self, id: &str) -> Watch {
        let mut waited = self.inner.waited();
        let entry = waited.entry(id.to_owned()).or_insert_with(|| Waited {
            hint: watch::Sender::new(Hint {
                announced: 0,
                polled: i64::MIN,
            }),
            waiters: 0,
        });
        entry.waiters += 1;
        let hint = entry.hint.subscribe();
        let last = *hint.borrow();
        Watch {
            wake: self.clone(),
            id: id.to_owned(),
            hint,
            last,
            seen: i64::MIN,
        }
    }

    /// Says that these changed; call it after the commit. Waiters of this process are woken at once.
    pub fn announce(&self, ids: impl IntoIterator<Item = String>) {
        let mut pending = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            self.inner.hint(&id);
            pending.insert(id);
        }
        drop(pending);
        self.inner.announce.notify_one();
    }

    /// How many distinct ids are waited for.
    pub fn waited_for(&self) -> usize {
        self.inner.waited().len()
    }

    /// Runs announcer, listener and safety poll until the service stops.
    pub fn start(&self, tasks: &Tasks, revisions: Arc<dyn Revisions>) {
        let inner = &self.inner;
        tasks.keep(
            "announcer of changes",
            until_stopping(tasks, announcer(Arc::clone(inner))),
        );
        tasks.keep(
            "listener for changes",
            until_stopping(tasks, listener(Arc::clone(inner))),
        );
        tasks.keep(
            "safety poll",
            until_stopping(tasks, poller(Arc::clone(inner), revisions)),
        );
    }
}

fn until_stopping<F: Future + Send>(tasks: &Tasks, work: F) -> impl Future<Output = ()> + Send + use<F> {
    let stopping = tasks.stopping().clone();
    async move {
        stopping.run_until_cancelled_owned(work).await;
    }
}

impl Inner {
    fn waited(&self) -> MutexGuard<'_, HashMap<String, Waited>> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hint(&self, id: &str) {
        if let Some(entry) = self.waited().get(id) {
            entry.hint.send_modify(|hint| hint.announced += 1);
        }
    }

    /// Hints to everybody, spread over [`SPREAD`]: they all look at once otherwise, and hold up who has work to do.
    async fn hint_all(&self) {
        let ids: Vec<String> = self.waited().keys().cloned().collect();
        let groups = ids.chunks(ids.len().div_ceil(SPREAD_GROUPS as usize).max(1));
        for group in groups {
            group.iter().for_each(|id| self.hint(id));
            tokio::time::sleep((SPREAD / SPREAD_GROUPS).mul_f64(rand::random())).await;
        }
    }
}

/// A registered waiter. Gone when dropped.
pub struct Watch {
    wake: Wake,
    id: String,
    hint: watch::Receiver<Hint>,
    last: Hint,
    seen: i64,
}

impl Watch {
    /// Tells how far the reader has come, so that the safety poll does not wake it for that.
    pub fn seen(&mut self, revision: i64) {
        self.seen = revision;
    }

    /// Waits until there may be something new. May be dropped at any time without losing a hint.
    pub async fn changed(&mut self) {
        loop {
            let hint = *self.hint.borrow_and_update();
            let announced = hint.announced != self.last.announced;
            let polled = hint.polled != self.last.polled && hint.polled != self.seen;
            self.last = hint;
            if announced || polled {
                return;
            }
            // The sender lives as long as a waiter is registered, which this one is.
            if self.hint.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waited = self.wake.inner.waited();
        if let Some(entry) = waited.get_mut(&self.id) {
            entry.waiters -= 1;
            if entry.waiters == 0 {
                waited.remove(&self.id);
            }
        }
    }
}

async fn announcer(inner: Arc<Inner>) {
    loop {
        inner.announce.notified().await;
        tokio::time::sleep(GROUPING).await;
        let ids = std::mem::take(&mut *inner.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if ids.is_empty() {
            continue;
        }
        let payload = payload(inner.process, ids);
        // Not in the transaction of the change: there, NOTIFY makes all commits of the database queue up.
        // A hint need not survive a crash, so its commit does not wait for the disk.
        let sent = sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
            .bind(&inner.channel)
            .bind(payload)
            .execute(&inner.pool)
            .await;
        if let Err(error) = sent {
            tracing::debug!(%error, "notification lost; the safety poll covers it");
        }
    }
}

fn payload(from: Uuid, ids: BTreeSet<String>) -> String {
    let size: usize = ids.iter().map(|id| id.len() + 3).sum();
    let named = if size <= PAYLOAD_BYTES { Some(ids) } else { None };
    let text = serde_json::to_string(&Notification { from, ids: named }).unwrap_or_default();
    if text.len() <= PAYLOAD_BYTES + 100 {
        return text;
    }
    // Escapes made it longer than the ids are.
    serde_json::to_string(&Notification { from, ids: None }).unwrap_or_default()
}

async fn listener(inner: Arc<Inner>) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(inner.listen.clone());
    loop {
        if let Err(error) = listen(&inner, &pool).await {
            tracing::warn!(%error, "listener lost; waiters are woken and poll meanwhile");
        }
        inner.hint_all().await;
        tokio::time::sleep(LISTENER_PAUSE).await;
    }
}

async fn listen(inner: &Inner, pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(&inner.channel).await?;
    // What was announced before this moment was not heard.
    inner.hint_all().await;
    while let Some(notification) = listener.try_recv().await? {
        match serde_json::from_str::<Notification>(notification.payload()) {
            Ok(heard) if heard.from == inner.process => {}
            Ok(Notification { ids: Some(ids), .. }) => ids.iter().for_each(|id| inner.hint(id)),
            _ => inner.hint_all().await,
        }
    }
    Ok(())
}

async fn poller(inner: Arc<Inner>, revisions: Arc<dyn Revisions>) {
    let mut tick = tokio::time::interval(SAFETY_POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let ids: Vec<String> = inner.waited().keys().cloned().collect();
        if ids.is_empty() {
            continue;
        }
        match tokio::time::timeout(crate::db::WORK_LIMIT, revisions.of(&ids)).await {
            Ok(Ok(found)) => {
                let waited = inner.waited();
                for (id, revision) in found {
                    if let Some(entry) = waited.get(&id) {
                        entry.hint.send_if_modified(|hint| {
                            let news = revision != hint.polled;
                            hint.polled = revision;
                            news
                        });
                    }
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "safety poll failed"),
            Err(_elapsed) => tracing::debug!("safety poll took too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> BTreeSet<String> {
        (0..count).map(|n| format!("user-{n:06}")).collect()
    }

    #[test]
    fn few_ids_are_named_and_many_are_not() {
        let few: Notification = serde_json::from_str(&payload(Uuid::nil(), ids(100))).unwrap();
        assert_eq!(few.ids.map(|ids| ids.len()), Some(100));
        let many = payload(Uuid::nil(), ids(5_000));
        assert!(many.len() < 8_000);
        assert!(serde_json::from_str::<Notification>(&many).unwrap().ids.is_none());
    }

    #[test]
    fn ids_that_grow_by_escaping_still_fit() {
        let nasty: BTreeSet<String> = (0..600).map(|n| format!("\n\"\\{n}\u{1}\u{1}")).collect();
        assert!(payload(Uuid::nil(), nasty).len() < 8_000);
    }
}
