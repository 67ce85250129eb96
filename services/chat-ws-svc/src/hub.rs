//! The sockets of this process, by chat: what one of them is to write lies in its [`Line`] until its own task takes it.
//!
//! Nobody waits here for a socket: what does not fit is left out, and the log has it. A line owns what is handed to one
//! connection; what the visitor is shown of it is the connection's business.

mod line;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use line::{Inbox, Line, Piece};

use crate::domain::entry::{Entry, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::ws::socket::Goodbye;
use line::Waiter;

/// A socket that showed no life for this long is not said to have got anything.
const ALIVE: Duration = Duration::from_secs(60);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hand_over(lines: Vec<Arc<Line>>, entry: impl FnOnce() -> Entry) {
    if lines.is_empty() {
        return;
    }
    let entry = Arc::new(entry());
    lines.iter().for_each(|line| line.hand_over(&entry));
}

/// Whether the database says that this process holds the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unregistered,
    /// A statement is under way.
    Changing,
    Registered,
}

/// What the database knows of a chat that gets its first socket here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is to be told.
    NotYet,
    /// A statement that tells it is under way.
    Soon,
}

/// A chat that has sockets here, or had some a moment ago.
#[derive(Debug)]
struct Held {
    lines: Vec<Arc<Line>>,
    standing: Standing,
}

impl Held {
    fn is_settled(&self) -> bool {
        let wanted = if self.lines.is_empty() {
            Standing::Unregistered
        } else {
            Standing::Registered
        };
        self.standing == wanted
    }
}

/// What the database is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Chats that have a socket here now.
    pub(crate) come: Vec<SessionId>,
    /// Chats that have none any more.
    pub(crate) gone: Vec<SessionId>,
}

/// The sockets of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    held: Mutex<HashMap<SessionId, Held>>,
    connections: AtomicUsize,
    sessions: AtomicUsize,
    born: Instant,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let inner = Inner {
            held: Mutex::default(),
            connections: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            born: Instant::now(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Milliseconds since this process began: what lines are timed with.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.inner.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// That moment on tokio's clock.
    pub(crate) fn at(&self, ms: u64) -> tokio::time::Instant {
        (self.inner.born + Duration::from_millis(ms)).into()
    }

    /// Hands an entry that was just committed to the sockets of its chat here.
    pub(crate) fn publish(&self, session: &SessionId, entry: &Entry) {
        hand_over(self.lines_of(session), || entry.clone());
    }

    /// As [`Hub::publish`], but not to the socket that it came from.
    pub(crate) fn publish_beside(&self, session: &SessionId, own: &Arc<Line>, entry: impl FnOnce() -> Entry) {
        let mut lines = self.lines_of(session);
        lines.retain(|line| !Arc::ptr_eq(line, own));
        hand_over(lines, entry);
    }

    /// The log of a chat goes on up to this position: its sockets here look.
    pub(crate) fn heard_of(&self, session: &SessionId, seq: i64) {
        self.each(session, |line| line.heard_of(seq));
    }

    /// Shows a piece of a streamed answer to the sockets of its chat here.
    pub(crate) fn delta(&self, session: &SessionId, message: MessageId, piece: &Piece) {
        self.each(session, |line| line.piece(message, piece));
    }

    /// Somebody writes to the visitor, or stopped.
    pub(crate) fn typing(&self, session: &SessionId, from: Sender, active: bool) {
        self.each(session, |line| line.typing(from, active));
    }

    /// Closes the sockets of a chat here.
    pub(crate) fn close(&self, session: &SessionId, goodbye: Goodbye) {
        self.each(session, |line| line.close(goodbye));
    }

    /// Closes the sockets here one after the other, within this time.
    pub(crate) async fn close_all(&self, goodbye: Goodbye, within: Duration, step: Duration) {
        let lines: Vec<Arc<Line>> = lock(&self.inner.held)
            .values()
            .flat_map(|held| held.lines.clone())
            .collect();
        let steps = usize::try_from(within.as_millis() / step.as_millis().max(1))
            .unwrap_or(usize::MAX)
            .max(1);
        let share = |nth: usize| (lines.len() * nth).div_ceil(steps);
        for nth in 0..steps {
            let due = lines.get(share(nth)..share(nth + 1)).unwrap_or_default();
            due.iter().for_each(|line| line.close(goodbye));
            if share(nth + 1) == lines.len() {
                return;
            }
            tokio::time::sleep(step).await;
        }
    }

    /// Waits until a socket of the chat here that showed life lately has got everything up to `seq`. `false`: none has.
    pub(crate) async fn flushed(&self, session: &SessionId, seq: i64, within: Duration) -> bool {
        let lines = self.lines_of(session);
        let alive_since_ms = self.now_ms().saturating_sub(ALIVE.as_millis() as u64);
        let waiter = Waiter::among(lines, seq);
        let has = |line: &Arc<Line>| line.has_flushed(seq) && line.heard_at_ms() >= alive_since_ms;
        let any = || waiter.lines.iter().any(has);
        let flushed = async {
            while !any() {
                waiter.bell.notified().await;
            }
        };
        any() || (!waiter.lines.is_empty() && tokio::time::timeout(within, flushed).await.is_ok())
    }

    /// Sockets of visitors.
    pub(crate) fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// Chats that have one.
    pub(crate) fn sessions(&self) -> usize {
        self.inner.sessions.load(Ordering::Relaxed)
    }

    /// As [`Hub::heard_of`], for those sockets only that have not got so far.
    pub(crate) fn reminded(&self, session: &SessionId, seq: i64) {
        self.each(session, |line| {
            if !line.has_flushed(seq) {
                line.heard_of(seq);
            }
        });
    }

    fn each(&self, session: &SessionId, act: impl Fn(&Line)) {
        self.lines_of(session).iter().for_each(|line| act(line));
    }

    fn lines_of(&self, session: &SessionId) -> Vec<Arc<Line>> {
        lock(&self.inner.held)
            .get(session)
            .map(|held| held.lines.clone())
            .unwrap_or_default()
    }
}

/// How the registry keeps the database and the hub in agreement.
impl Hub {
    /// A socket comes.
    pub(crate) fn join(&self, session: &SessionId, known: Known) -> Arc<Line> {
        let line = Line::new(self.now_ms());
        let mut held = lock(&self.inner.held);
        let standing = match known {
            Known::NotYet => Standing::Unregistered,
            Known::Soon => Standing::Changing,
        };
        let own = held.entry(session.clone()).or_insert_with(|| Held {
            lines: Vec::with_capacity(1),
            standing,
        });
        if own.lines.is_empty() {
            self.inner.sessions.fetch_add(1, Ordering::Relaxed);
        }
        own.lines.push(Arc::clone(&line));
        self.inner.connections.fetch_add(1, Ordering::Relaxed);
        line
    }

    /// A socket goes. `false`: it was gone already.
    pub(crate) fn leave(&self, session: &SessionId, line: &Arc<Line>) -> bool {
        let mut held = lock(&self.inner.held);
        let Some(own) = held.get_mut(session) else {
            return false;
        };
        let before = own.lines.len();
        own.lines.retain(|other| !Arc::ptr_eq(other, line));
        if own.lines.len() == before {
            return false;
        }
        self.inner.connections.fetch_sub(1, Ordering::Relaxed);
        if own.lines.is_empty() {
            self.inner.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Whether the database says that the chat is held here.
    pub(crate) fn is_registered(&self, session: &SessionId) -> bool {
        lock(&self.inner.held)
            .get(session)
            .is_some_and(|held| held.standing == Standing::Registered)
    }

    /// What the database is to be told about these chats; until [`Hub::told`] nobody relies on what it says of them.
    pub(crate) fn begin_telling(&self, sessions: impl IntoIterator<Item = SessionId>) -> Changes {
        let mut held = lock(&self.inner.held);
        let mut changes = Changes::default();
        for session in sessions {
            let Some(own) = held.get_mut(&session) else {
                continue;
            };
            if own.is_settled() {
                if own.lines.is_empty() {
                    held.remove(&session);
                }
                continue;
            }
            if own.standing == Standing::Changing {
                continue;
            }
            own.standing = Standing::Changing;
            let list = if own.lines.is_empty() {
                &mut changes.gone
            } else {
                &mut changes.come
            };
            list.push(session);
        }
        changes
    }

    /// The database was told, or could not be. Gives the chats about which it is to be told again.
    pub(crate) fn told(&self, changes: Changes, done: bool) -> Vec<SessionId> {
        let Changes { come, gone } = changes;
        let mut held = lock(&self.inner.held);
        let mut again = Vec::new();
        let come = come.into_iter().map(|session| (session, done));
        for (session, registered) in come.chain(gone.into_iter().map(|session| (session, !done))) {
            let Some(own) = held.get_mut(&session) else {
                continue;
            };
            own.standing = if registered {
                Standing::Registered
            } else {
                Standing::Unregistered
            };
            if !own.is_settled() {
                again.push(session);
            } else if own.lines.is_empty() {
                held.remove(&session);
            }
        }
        again
    }

    /// Those of which nothing is held here.
    pub(crate) fn not_held(&self, mut sessions: Vec<SessionId>) -> Vec<SessionId> {
        let held = lock(&self.inner.held);
        sessions.retain(|session| !held.contains_key(session));
        sessions
    }

    /// All chats of which the database knows that they are held here.
    pub(crate) fn registered(&self) -> Vec<String> {
        let held = lock(&self.inner.held);
        let known = held
            .iter()
            .filter(|(_, held)| held.standing == Standing::Registered);
        known.map(|(session, _)| session.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> SessionId {
        SessionId::parse("cw-1-abcdefghijklmnop").unwrap()
    }

    fn telling(hub: &Hub) -> Changes {
        hub.begin_telling([chat()])
    }

    fn come() -> Changes {
        Changes {
            come: vec![chat()],
            gone: Vec::new(),
        }
    }

    fn gone() -> Changes {
        Changes {
            come: Vec::new(),
            gone: vec![chat()],
        }
    }

    #[test]
    fn the_database_is_told_of_the_first_socket_and_of_the_last() {
        let hub = Hub::new();
        let first = hub.join(&chat(), Known::NotYet);
        assert_eq!(telling(&hub), come());
        // A statement is under way: nobody else tells the same, and nobody relies on it.
        assert_eq!(
            (telling(&hub), hub.is_registered(&chat())),
            (Changes::default(), false)
        );
        assert!(hub.told(come(), true).is_empty() && hub.is_registered(&chat()));
        let second = hub.join(&chat(), Known::NotYet);
        assert_eq!(telling(&hub), Changes::default());
        assert_eq!((hub.connections(), hub.sessions()), (2, 1));
        assert!(hub.leave(&chat(), &first) && !hub.leave(&chat(), &first));
        assert_eq!(telling(&hub), Changes::default());
        assert!(hub.leave(&chat(), &second));
        assert_eq!((telling(&hub), hub.connections(), hub.sessions()), (gone(), 0, 0));
        assert!(hub.told(gone(), true).is_empty());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn who_comes_while_the_last_one_is_taken_off_the_list_is_told_of_again() {
        let hub = Hub::new();
        let first = hub.join(&chat(), Known::NotYet);
        hub.told(telling(&hub), true);
        hub.leave(&chat(), &first);
        let going = telling(&hub);
        let _second = hub.join(&chat(), Known::NotYet);
        assert!(!hub.is_registered(&chat()), "the row is about to go");
        assert_eq!(hub.told(going, true), [chat()]);
        assert_eq!(telling(&hub), come());
    }

    #[test]
    fn what_could_not_be_told_is_told_again() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::NotYet);
        let coming = telling(&hub);
        assert_eq!(hub.told(coming, false), [chat()]);
        hub.told(telling(&hub), true);
        hub.leave(&chat(), &line);
        let going = telling(&hub);
        assert_eq!(hub.told(going, false), [chat()]);
        assert_eq!(telling(&hub), gone());
    }

    #[test]
    fn a_chat_that_could_not_be_stored_is_held_by_nobody() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert_eq!(
            (telling(&hub), hub.registered()),
            (Changes::default(), Vec::new())
        );
        hub.leave(&chat(), &line);
        assert!(hub.told(come(), false).is_empty());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn who_leaves_once_it_is_known_that_nothing_was_stored_is_forgotten() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert_eq!(hub.told(come(), false), [chat()]);
        hub.leave(&chat(), &line);
        assert_eq!(telling(&hub), Changes::default());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn a_chat_that_may_have_been_stored_is_taken_off_the_list() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert!(hub.told(come(), true).is_empty());
        hub.leave(&chat(), &line);
        assert_eq!(telling(&hub), gone());
    }
}
