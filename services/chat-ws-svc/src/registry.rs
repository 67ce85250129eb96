//! Which replica holds a socket of which chat, and the hints that travel between replicas.
//!
//! A row (chat, replica) stands while that replica has a socket of the chat; only it writes the row, and the row is dead
//! when the replica is. One task tells the database, in batches and in order, so that a socket that comes while the last
//! one goes is never forgotten. Hints say how far a log goes and never what it says; one that is lost is made up for by
//! [`POLL`]. It does not know what is done with a hint: the hub does.

mod hints;
mod rows;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use switchhook_chassis::db;
use switchhook_chassis::kit::Kit;
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::domain::entry::Sender;
use crate::domain::ids::SessionId;
use crate::hub::{Changes, Hub, Known, Line};
use crate::operators::Operators;
use crate::store::registrations::Peer;
use crate::ws::socket::Goodbye;
use hints::entry;
pub(crate) use hints::{Hint, Told};

/// Longest wait until a socket has got an entry.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(2);
/// Hints of this process that are under way at a time; one that finds no place is left out.
const HINTS_IN_FLIGHT: usize = 1_000;
/// Longest that a socket waits until the database knows of it.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
/// How late a socket learns of an entry of which no hint came.
const POLL: Duration = Duration::from_secs(1);

const ERASED: Goodbye = Goodbye::new(CloseCode::Library(4404), "this chat was erased");

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

    /// After a commit of which the sockets here know already: every other replica that holds the chat looks; waits until a
    /// socket, here or there, flushed up to `seq`, 2 s at most.
    pub(crate) async fn tell(&self, session: &SessionId, seq: i64, held_elsewhere: bool) -> Told {
        let inner = &self.inner;
        inner.operators.changed();
        let peers = match held_elsewhere {
            true => inner.holders(session).await,
            false => Ok(Vec::new()),
        };
        let mut answers: FuturesUnordered<_> = match peers {
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
}

/// A database that hangs costs what is asked of it, and nobody his place.
async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(db::WORK_LIMIT, work).await;
    done.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()))
}

impl Inner {
    fn peers(&self) -> Arc<[Peer]> {
        Arc::clone(&self.peers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
