//! Sends webhooks as Retell does: signed, in the order of their call, three tries each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use secrecy::SecretString;
use switchhook_core::webhook::retell as signature;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::{Options, WEBHOOK_PATH};
use crate::log::Log;
use crate::outgoing;

/// Requests under way at a time, over all calls.
const MAX_REQUESTS: usize = 64;

/// A call or a chat, ready to be played.
pub(super) struct Played {
    pub(super) id: String,
    /// The webhooks' bodies in their order.
    pub(super) bodies: Vec<Bytes>,
}

pub(super) struct Webhooks {
    log: Arc<Log>,
    own_url: Mutex<String>,
    target: Mutex<Option<Url>>,
    timeout: Duration,
    tries: u32,
    between_tries: Duration,
    requests: Semaphore,
    tasks: Mutex<JoinSet<()>>,
    /// How many events of a call are neither answered 2xx nor given up.
    open: Mutex<HashMap<String, usize>>,
    closed: Notify,
}

impl Webhooks {
    pub(super) fn new(options: &Options, log: Arc<Log>) -> Self {
        Self {
            log,
            own_url: Mutex::default(),
            target: Mutex::new(options.service_url.as_deref().and_then(webhook_url)),
            timeout: options.webhook_timeout,
            tries: options.tries.max(1),
            between_tries: options.between_tries,
            requests: Semaphore::new(MAX_REQUESTS),
            tasks: Mutex::default(),
            open: Mutex::default(),
            closed: Notify::new(),
        }
    }

    pub(super) fn set_service(&self, url: &str) {
        *locked(&self.target) = webhook_url(url);
    }

    pub(super) fn set_own_url(&self, url: String) {
        *locked(&self.own_url) = url;
    }

    pub(super) fn own_url(&self) -> String {
        locked(&self.own_url).clone()
    }

    pub(super) fn target(&self) -> Option<Url> {
        locked(&self.target).clone()
    }

    /// Ends everything under way.
    pub(super) fn stop(&self) {
        locked(&self.tasks).abort_all();
    }

    /// Sends the events of a call, one pause apart. The next one goes out when the one before was tried once; what
    /// failed is tried again beside it.
    pub(super) fn play(self: &Arc<Self>, played: Played, key: String, pause: Duration) {
        let Played { id, bodies } = played;
        locked(&self.open).insert(id.clone(), bodies.len());
        let webhooks = Arc::clone(self);
        self.spawn(async move {
            for (at, body) in bodies.into_iter().enumerate() {
                if at > 0 {
                    tokio::time::sleep(pause).await;
                }
                if webhooks.attempt(&key, &body).await {
                    webhooks.close(&id);
                    continue;
                }
                let (again, key, id) = (Arc::clone(&webhooks), key.clone(), id.clone());
                webhooks.spawn(async move {
                    again.retry(&key, &body).await;
                    again.close(&id);
                });
            }
            tracing::info!(call = id, "the call was played");
        });
    }

    /// Sends one webhook beside whatever runs.
    pub(super) fn send(self: &Arc<Self>, key: String, body: Bytes) {
        let webhooks = Arc::clone(self);
        self.spawn(async move {
            webhooks.deliver(&key, body).await;
        });
    }

    /// Sends one webhook with all its tries; true for a 2xx.
    pub(super) async fn deliver(&self, key: &str, body: Bytes) -> bool {
        self.attempt(key, &body).await || self.retry(key, &body).await
    }

    async fn retry(&self, key: &str, body: &Bytes) -> bool {
        for _ in 1..self.tries {
            tokio::time::sleep(self.between_tries).await;
            if self.attempt(key, body).await {
                return true;
            }
        }
        tracing::warn!(tries = self.tries, "a webhook was given up");
        false
    }

    async fn attempt(&self, key: &str, body: &Bytes) -> bool {
        let Some(url) = self.target() else { return false };
        let Ok(_turn) = self.requests.acquire().await else {
            return false;
        };
        let at = SystemTime::now().into();
        let signed = signature::sign(&SecretString::from(key), body, at);
        let headers = [
            ("content-type", "application/json".to_owned()),
            (signature::HEADER, signed),
        ];
        let status = outgoing::post_and_note(&self.log, &url, &headers, body.clone(), self.timeout).await;
        status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Waits until no event of the call is open any more.
    pub(super) async fn settled(&self, call_id: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            // Registered before looking, so that nothing is missed in between.
            let closed = self.closed.notified();
            if !locked(&self.open).contains_key(call_id) {
                return true;
            }
            if tokio::time::timeout_at(deadline, closed).await.is_err() {
                return false;
            }
        }
    }

    fn close(&self, id: &str) {
        let mut open = locked(&self.open);
        if let Some(left) = open.get_mut(id) {
            *left -= 1;
            if *left == 0 {
                open.remove(id);
            }
        }
        drop(open);
        self.closed.notify_waiters();
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }
}

fn webhook_url(base: &str) -> Option<Url> {
    Url::parse(&format!("{}{WEBHOOK_PATH}", base.trim_end_matches('/'))).ok()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
