//! Sends webhooks as LiveKit does: signed, those of a room or a recording one after the other, tried again on 5xx and 429.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use livekit_protocol as proto;
use rand::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

use super::delivery::{Delivery, InWhichOrder};
use super::values::{id, now_seconds};
use super::{DEFAULT_KEY, DEFAULT_SECRET, Options, WEBHOOK_PATH, token};
use crate::log::Log;
use crate::outgoing;

/// Requests under way at a time.
const MAX_REQUESTS: usize = 64;
/// Longest time in a queue, and most that wait in one: LiveKit's own numbers.
const MAX_AGE: Duration = Duration::from_secs(30);
const MAX_DEPTH: usize = 200;
/// Within which shuffled webhooks are sent.
const SHUFFLED_WITHIN_MS: u64 = 500;
/// Most that are kept to be sent in reverse order.
const MAX_HELD: usize = 10_000;

struct Queued {
    due: Instant,
    copies: u32,
    body: Bytes,
}

pub(super) struct Webhooks {
    log: Arc<Log>,
    key: (String, String),
    target: Mutex<Option<Url>>,
    timeout: Duration,
    tries: u32,
    between_tries: Duration,
    delivery: Mutex<Delivery>,
    /// What waits, by room or recording. A queue that is here has a task that empties it.
    queues: Mutex<HashMap<String, VecDeque<Queued>>>,
    /// What is kept to be sent in reverse order, by room.
    held: Mutex<HashMap<String, Vec<Queued>>>,
    requests: Semaphore,
    tasks: Mutex<JoinSet<()>>,
}

impl Webhooks {
    pub(super) fn new(options: &Options, log: Arc<Log>) -> Self {
        let usual = || (DEFAULT_KEY.to_owned(), DEFAULT_SECRET.to_owned());
        Self {
            log,
            key: options.keys.first().cloned().unwrap_or_else(usual),
            target: Mutex::new(options.service_url.as_deref().and_then(webhook_url)),
            timeout: options.webhook_timeout,
            tries: options.tries.max(1),
            between_tries: options.between_tries,
            delivery: Mutex::default(),
            queues: Mutex::default(),
            held: Mutex::default(),
            requests: Semaphore::new(MAX_REQUESTS),
            tasks: Mutex::default(),
        }
    }

    pub(super) fn set_service(&self, url: &str) {
        *locked(&self.target) = webhook_url(url);
    }

    pub(super) fn set_delivery(self: &Arc<Self>, delivery: Delivery) {
        let order = delivery.order;
        *locked(&self.delivery) = delivery;
        if order != InWhichOrder::Reversed {
            self.flush();
        }
    }

    pub(super) fn signed(&self, body: &[u8]) -> String {
        token::signature(body, &self.key)
    }

    /// Ends everything under way.
    pub(super) fn stop(&self) {
        locked(&self.tasks).abort_all();
    }

    /// Sends an event as it is told to arrive. The key is the room's or the recording's.
    pub(super) fn notify(self: &Arc<Self>, key: &str, event: proto::WebhookEvent) {
        let delivery = locked(&self.delivery).clone();
        if locked(&self.target).is_none() || !delivery.admits(&event.event) {
            return;
        }
        let event = proto::WebhookEvent {
            id: id("EV_"),
            created_at: now_seconds(),
            ..event
        };
        let queued = Queued {
            due: Instant::now() + delivery.delay,
            copies: delivery.copies,
            body: serde_json::to_vec(&event).unwrap_or_default().into(),
        };
        match delivery.order {
            InWhichOrder::InTurn => self.enqueue(key, queued),
            InWhichOrder::Shuffled => self.alone(queued),
            InWhichOrder::Reversed => {
                let room = event.room.map(|room| room.name);
                let room = room.or_else(|| Some(event.egress_info?.room_name));
                self.hold(room.unwrap_or_default(), queued);
            }
        }
    }

    fn enqueue(self: &Arc<Self>, key: &str, queued: Queued) {
        let mut queues = locked(&self.queues);
        if let Some(queue) = queues.get_mut(key) {
            if queue.len() < MAX_DEPTH {
                queue.push_back(queued);
            }
            return;
        }
        queues.insert(key.to_owned(), VecDeque::from([queued]));
        drop(queues);
        let (webhooks, key) = (Arc::clone(self), key.to_owned());
        self.spawn(async move {
            while let Some(queued) = webhooks.next(&key) {
                if queued.due.elapsed() <= MAX_AGE {
                    webhooks.send(queued).await;
                }
            }
        });
    }

    /// The next one of a queue, which is gone when it is empty.
    fn next(&self, key: &str) -> Option<Queued> {
        let mut queues = locked(&self.queues);
        let next = queues.get_mut(key)?.pop_front();
        if next.is_none() {
            queues.remove(key);
        }
        next
    }

    fn alone(self: &Arc<Self>, mut queued: Queued) {
        let within = rand::rng().random_range(0..SHUFFLED_WITHIN_MS);
        queued.due += Duration::from_millis(within);
        let webhooks = Arc::clone(self);
        self.spawn(async move { webhooks.send(queued).await });
    }

    fn hold(&self, room: String, queued: Queued) {
        let mut held = locked(&self.held);
        if held.values().map(Vec::len).sum::<usize>() < MAX_HELD {
            held.entry(room).or_default().push(queued);
        }
    }

    /// Sends what is kept of a room that is closed now, last first.
    pub(super) fn room_finished(self: &Arc<Self>, room: &str) {
        let kept = locked(&self.held).remove(room).unwrap_or_default();
        for queued in kept.into_iter().rev() {
            self.enqueue(room, queued);
        }
    }

    /// Sends all that is kept, last first.
    pub(super) fn flush(self: &Arc<Self>) {
        let rooms: Vec<String> = locked(&self.held).keys().cloned().collect();
        for room in rooms {
            self.room_finished(&room);
        }
    }

    async fn send(&self, queued: Queued) {
        tokio::time::sleep_until(queued.due.into()).await;
        for _ in 0..queued.copies {
            self.deliver(queued.body.clone()).await;
        }
    }

    /// Sends one webhook with all its tries; true for a 2xx.
    pub(super) async fn deliver(&self, body: Bytes) -> bool {
        let authorization = self.signed(&body);
        let mut wait = self.between_tries;
        for attempt in 1..=self.tries {
            match self.attempt(&authorization, &body).await {
                Some(status) if (200..300).contains(&status) => return true,
                Some(status) if status < 500 && status != 429 => break,
                _ if attempt < self.tries => tokio::time::sleep(wait).await,
                _ => {}
            }
            wait *= 2;
        }
        tracing::warn!("a webhook was given up");
        false
    }

    /// One try: the status, when there was one.
    async fn attempt(&self, authorization: &str, body: &Bytes) -> Option<u16> {
        let url = locked(&self.target).clone()?;
        let _turn = self.requests.acquire().await.ok()?;
        let headers = [
            ("user-agent", "LiveKit".to_owned()),
            ("authorization", authorization.to_owned()),
            ("content-type", "application/webhook+json".to_owned()),
        ];
        outgoing::post_and_note(&self.log, &url, &headers, body.clone(), self.timeout).await
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
