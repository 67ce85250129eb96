//! The sockets of this process, by chat: what one of them is to write lies in its [`Line`] until its own task takes it.
//!
//! Nobody waits here for a socket: what does not fit is left out, and the log has it. A line owns what is handed to one
//! connection; what the visitor is shown of it is the connection's business.

mod line;
mod standing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use line::{Inbox, Line, Piece};
pub(crate) use standing::{Changes, Known};

use crate::domain::entry::{Entry, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::ws::socket::Goodbye;
use line::Waiter;
use standing::Held;

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
