//! Which replica holds a socket of which chat, and the hints that travel between replicas.
//!
//! A row (chat, replica) stands while that replica has a socket of the chat; only it writes the row, and the row is dead
//! when the replica is. One task tells the database, in batches and in order, so that a socket that comes while the last
//! one goes is never forgotten. Hints say how far a log goes and never what it says; one that is lost is made up for by
//! [`POLL`]. It does not know what is done with a hint: the hub does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use switchhook_chassis::db;
use switchhook_chassis::kit::Kit;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::domain::entry::Sender;
use crate::domain::ids::SessionId;
use crate::hub::{Changes, Hub, Known, Line};
use crate::operators::Operators;
use crate::store::registrations::{self, Peer};
use crate::ws::socket::Goodbye;

/// Longest wait until a socket has got an entry.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// What a hint and its answer may take on their way, beside that wait.
const WAY_LIMIT: Duration = Duration::from_millis(500);
/// Hints of this process that are under way at a time; one that finds no place is left out.
const HINTS_IN_FLIGHT: usize = 1_000;
/// Longest that a socket waits until the database knows of it.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
/// Chats in one statement.
const BATCH: usize = 1_000;
/// Pause after a statement that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How late a socket learns of an entry of which no hint came.
const POLL: Duration = Duration::from_secs(1);
/// How often this process compares what the database says of it with what it holds.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

const ERASED: Goodbye = Goodbye::new(CloseCode::Library(4404), "this chat was erased");

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// A socket that showed life lately has flushed up to the position.
    pub(crate) flushed: bool,
}

/// What travels between replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Hint {
    /// The chat's log goes on up to this position.
    Entry { session_id: SessionId, seq: i64 },
    /// Somebody writes, or stopped.
    Typing {
        session_id: SessionId,
        from: Sender,
        active: bool,
    },
    /// The chat is erased.
    Erased { session_id: SessionId },
}

/// Who holds which chat. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    kit: Kit,
    hub: Hub,
    operators: Operators,
    /// Replicas that live, as of the last poll.
    peers: Mutex<Arc<[Peer]>>,
    hints: Arc<Semaphore>,
    /// Chats about which the database is to be told.
    dirty: Mutex<Vec<SessionId>>,
    call: Notify,
    /// A batch was told.
    round: Notify,
}

impl Registry {
    pub(crate) fn new(kit: &Kit, hub: &Hub, operators: &Operators) -> Self {
        let inner = Inner {
            kit: kit.clone(),
            hub: hub.clone(),
            operators: operators.clone(),
            peers: Mutex::new(Arc::from([])),
            hints: Arc::new(Semaphore::new(HINTS_IN_FLIGHT)),
            dirty: Mutex::default(),
            call: Notify::new(),
            round: Notify::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs until the last socket is gone.
    pub(crate) fn start(&self) {
        let tasks = &self.inner.kit.tasks;
        tasks.keep("registry of sockets", Arc::clone(&self.inner).tell_database());
        tasks.keep("safety poll of sockets", Arc::clone(&self.inner).poll());
    }

    /// The first socket of a chat that is being written: the same statement tells the database that it is held here.
    pub(crate) fn join_new(&self, session: &SessionId) -> Arc<Line> {
        self.inner.hub.join(session, Known::Soon)
    }

    /// That statement is over. `done`: it was carried out, or may have been.
    pub(crate) fn joined_new(&self, session: &SessionId, done: bool) {
        let come = vec![session.clone()];
        for again in self.inner.hub.told(
            Changes {
                come,
                gone: Vec::new(),
            },
            done,
        ) {
            self.inner.tell_of(again);
        }
    }

    /// A socket of a chat comes; done once the database knows. Nothing where it does not learn of it in time.
    pub(crate) async fn join(&self, session: &SessionId) -> Option<Arc<Line>> {
        let line = self.inner.hub.join(session, Known::NotYet);
        let known = async {
            loop {
                let round = self.inner.round.notified();
                tokio::pin!(round);
                round.as_mut().enable();
                if self.inner.hub.is_registered(session) {
                    return;
                }
                self.inner.tell_of(session.clone());
                round.await;
            }
        };
        match tokio::time::timeout(REGISTER_LIMIT, known).await {
            Ok(()) => Some(line),
            Err(_elapsed) => {
                self.leave(session, &line);
                None
            }
        }
    }

    /// A socket goes.
    pub(crate) fn leave(&self, session: &SessionId, line: &Arc<Line>) {
        if self.inner.hub.leave(session, line) {
            self.inner.tell_of(session.clone());
        }
    }

    /// After a commit: every replica that holds the chat looks; waits until a socket flushed up to `seq`, 2 s at most.
    pub(crate) async fn tell(&self, session: &SessionId, seq: i64) -> Told {
        let inner = &self.inner;
        inner.operators.changed();
        inner.hub.heard_of(session, seq);
        let mut answers: FuturesUnordered<_> = match inner.holders(session).await {
            Ok(peers) => peers
                .into_iter()
                .map(|peer| inner.send(peer, entry(session, seq)))
                .collect(),
            Err(error) => {
                tracing::debug!(%error, "hints are left out; the safety poll makes up for them");
                FuturesUnordered::new()
            }
        };
        let here = inner.hub.flushed(session, seq, FLUSH_LIMIT);
        let there = async {
            while let Some(answer) = answers.next().await {
                if matches!(answer, Ok(Some(Told { flushed: true }))) {
                    return true;
                }
            }
            false
        };
        tokio::pin!(here, there);
        let flushed = tokio::select! {
            flushed = &mut here => flushed || there.await,
            flushed = &mut there => flushed || here.await,
        };
        Told { flushed }
    }

    /// After a visitor's message was committed, whose sockets here know already. Nobody waits for what the others do.
    pub(crate) fn announce(&self, session: &SessionId, seq: i64, held_elsewhere: bool) {
        self.inner.operators.changed();
        if held_elsewhere {
            self.to_holders(session, entry(session, seq));
        }
    }

    /// Shows that somebody writes: bot and operator to the visitor, the visitor to operators, wherever they are.
    pub(crate) fn typing(&self, session: &SessionId, from: Sender, active: bool) {
        let hint = Hint::Typing {
            session_id: session.clone(),
            from,
            active,
        };
        self.inner.obey(&hint);
        match from {
            Sender::User => self.to_all(&hint),
            Sender::Bot | Sender::Operator => self.to_holders(session, hint),
        }
    }

    /// Closes the sockets of an erased chat, wherever they are.
    pub(crate) fn erased(&self, session: &SessionId) {
        let hint = Hint::Erased {
            session_id: session.clone(),
        };
        self.inner.obey(&hint);
        self.to_all(&hint);
    }

    /// A hint of another replica.
    pub(crate) async fn receive(&self, hint: Hint) -> Told {
        self.inner.obey(&hint);
        let flushed = match &hint {
            Hint::Entry { session_id, seq } => self.inner.hub.flushed(session_id, *seq, FLUSH_LIMIT).await,
            Hint::Typing { .. } | Hint::Erased { .. } => false,
        };
        Told { flushed }
    }

    fn to_all(&self, hint: &Hint) {
        for peer in self.inner.peers().iter() {
            drop(self.inner.send(peer.clone(), hint.clone()));
        }
    }

    /// Asks the database only where there is anybody else; whoever has just come finds it by his poll.
    fn to_holders(&self, session: &SessionId, hint: Hint) {
        if self.inner.peers().is_empty() {
            return;
        }
        let (inner, session) = (Arc::clone(&self.inner), session.clone());
        self.inner.kit.tasks.spawn(async move {
            for peer in inner.holders(&session).await.unwrap_or_default() {
                drop(inner.send(peer, hint.clone()));
            }
        });
    }
}

/// A database that hangs costs what is asked of it, and nobody his place.
async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(db::WORK_LIMIT, work).await;
    done.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()))
}

fn entry(session: &SessionId, seq: i64) -> Hint {
    Hint::Entry {
        session_id: session.clone(),
        seq,
    }
}

impl Inner {
    fn obey(&self, hint: &Hint) {
        match hint {
            Hint::Entry { session_id, seq } => {
                self.operators.changed();
                self.hub.heard_of(session_id, *seq);
            }
            Hint::Typing {
                session_id,
                from: Sender::User,
                active,
            } => {
                self.operators.typing(session_id, Sender::User, *active);
            }
            Hint::Typing {
                session_id,
                from,
                active,
            } => self.hub.typing(session_id, *from, *active),
            Hint::Erased { session_id } => {
                self.operators.changed();
                self.hub.close(session_id, ERASED);
            }
        }
    }

    /// Sends a hint in a task of its own; the task's result is the other replica's answer.
    fn send(self: &Arc<Self>, peer: Peer, hint: Hint) -> tokio::task::JoinHandle<Option<Told>> {
        let inner = Arc::clone(self);
        self.kit.tasks.spawn(async move {
            let _place = inner.hints.try_acquire().ok()?;
            let url = format!("{}/internal/hints", peer.url.trim_end_matches('/'));
            let request = inner
                .kit
                .outbound
                .client()
                .post(url)
                .bearer_auth(peer.token)
                .json(&hint);
            let answer = request.timeout(FLUSH_LIMIT + WAY_LIMIT).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => answer.json().await.ok(),
                _ => None,
            }
        })
    }

    fn peers(&self) -> Arc<[Peer]> {
        Arc::clone(&self.peers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_of(&self, session: SessionId) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(session);
        self.call.notify_one();
    }

    async fn tell_database(self: Arc<Self>) {
        let stopping = self.kit.tasks.stopping();
        let mut again = Vec::new();
        let mut compare_at = Instant::now() + COMPARE_EVERY;
        loop {
            // Between two batches: neither undoes what the other has just written.
            if Instant::now() >= compare_at {
                if let Err(error) = bounded(self.compare()).await {
                    tracing::debug!(%error, "what is held here could not be compared with the database");
                }
                compare_at = Instant::now() + COMPARE_EVERY;
            }
            let mut sessions = std::mem::take(&mut again);
            sessions.append(&mut self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
            if sessions.is_empty() {
                // Whoever leaves during the stop is still taken off the list; then it is over.
                if stopping.is_cancelled() && self.hub.connections() == 0 {
                    return;
                }
                tokio::select! {
                    () = self.call.notified() => {}
                    () = tokio::time::sleep_until(compare_at) => {}
                    () = stopping.cancelled(), if !stopping.is_cancelled() => {}
                    () = tokio::time::sleep(POLL), if stopping.is_cancelled() => {}
                }
                continue;
            }
            let rest = sessions.split_off(sessions.len().min(BATCH));
            let changes = self.hub.begin_telling(sessions);
            let done = bounded(self.write(&changes)).await;
            if let Err(error) = &done {
                tracing::warn!(%error, "the database could not be told which chats are held here; it is tried again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            again = self.hub.told(changes, done.is_ok());
            again.extend(rest);
            self.round.notify_waiters();
        }
    }

    async fn write(&self, changes: &Changes) -> Result<(), sqlx::Error> {
        if *changes == Changes::default() {
            return Ok(());
        }
        let words = |list: &[SessionId]| list.iter().map(SessionId::to_string).collect::<Vec<_>>();
        let (come, gone) = (words(&changes.come), words(&changes.gone));
        let mut conn = self.kit.pool.acquire().await?;
        registrations::tell(&mut conn, self.kit.replica.id(), &come, &gone).await?;
        self.operators.changed();
        Ok(())
    }

    /// The other replicas that hold a chat and live.
    async fn holders(&self, session: &SessionId) -> Result<Vec<Peer>, sqlx::Error> {
        bounded(async {
            let mut conn = self.kit.pool.acquire().await?;
            registrations::holders(&mut conn, session, self.kit.replica.id()).await
        })
        .await
    }

    /// Once a second: who else is there, and how far the logs of the chats go that are held here.
    async fn poll(self: Arc<Self>) {
        let stopping = self.kit.tasks.stopping().clone();
        let mut every = tokio::time::interval(POLL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !(stopping.is_cancelled() && self.hub.connections() == 0) {
            every.tick().await;
            let looked = bounded(async {
                self.look_for_peers().await?;
                self.look_for_news().await
            });
            if let Err(error) = looked.await {
                tracing::debug!(%error, "the safety poll of sockets failed");
            }
        }
    }

    async fn look_for_peers(&self) -> Result<(), sqlx::Error> {
        let mut conn = self.kit.pool.acquire().await?;
        let peers = registrations::peers(&mut conn, self.kit.replica.id()).await?;
        *self.peers.lock().unwrap_or_else(PoisonError::into_inner) = peers.into();
        Ok(())
    }

    async fn look_for_news(&self) -> Result<(), sqlx::Error> {
        for held in self.hub.registered().chunks(BATCH) {
            let mut conn = self.kit.pool.acquire().await?;
            for (session, last_seq) in registrations::positions(&mut conn, held).await? {
                match last_seq {
                    Some(seq) => self.hub.reminded(&session, seq),
                    None => self.hub.close(&session, ERASED),
                }
            }
        }
        Ok(())
    }

    /// Sets right what a failure, or a sibling that took this process for dead, left in the table; and removes the rows of
    /// replicas that are no more.
    async fn compare(&self) -> Result<(), sqlx::Error> {
        let mut conn = self.kit.pool.acquire().await?;
        let (me, held) = (self.kit.replica.id(), self.hub.registered());
        registrations::restore(&mut conn, me, &held).await?;
        let strays = registrations::strays(&mut conn, me, &held, BATCH as i64).await?;
        let strays: Vec<String> = self
            .hub
            .not_held(strays)
            .iter()
            .map(SessionId::to_string)
            .collect();
        if strays.is_empty() {
            return Ok(());
        }
        registrations::tell(&mut conn, me, &[], &strays).await
    }
}
