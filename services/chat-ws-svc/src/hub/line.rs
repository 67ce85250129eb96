//! Between the hub and one connection: what lies ready for it, and how far it has come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::lock;
use crate::domain::entry::{Entry, Sender};
use crate::domain::ids::MessageId;
use crate::ws::socket::Goodbye;

/// Entries that lie ready for one socket; of more than these it is only told where they end.
const ENTRIES: usize = 16;
/// Pieces of streamed answers that lie ready for one socket; after that it waits for the whole answer.
const PIECES: usize = 64;

/// A piece of an answer that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The next piece of the text, counted from 0.
    Text { index: u32, text: String },
    /// What was shown of it is void.
    Reset,
}

/// What lies ready for one connection.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The log goes at least up to here.
    pub(crate) known: i64,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) pieces: VecDeque<(MessageId, Piece)>,
    pub(crate) typing: Vec<(Sender, bool)>,
    /// The answer of which a piece did not fit.
    torn: Option<MessageId>,
    pub(crate) goodbye: Option<Goodbye>,
}

/// One connection, as the others see it. Times are milliseconds of the hub's clock.
#[derive(Debug)]
pub(crate) struct Line {
    ready: Mutex<Ready>,
    rung: AtomicBool,
    bell: AtomicWaker,
    heard_at_ms: AtomicU64,
    flushed: AtomicI64,
}

/// What most lines do not have most of the time.
#[derive(Debug, Default)]
struct Ready {
    inbox: Option<Box<Inbox>>,
    waiting: Vec<(i64, Arc<Notify>)>,
}

/// For those who have something for the connection. None of them waits.
impl Line {
    pub(super) fn new(now_ms: u64) -> Arc<Self> {
        Arc::new(Self {
            ready: Mutex::default(),
            rung: AtomicBool::new(false),
            bell: AtomicWaker::new(),
            heard_at_ms: AtomicU64::new(now_ms),
            flushed: AtomicI64::new(0),
        })
    }

    fn put(&self, change: impl FnOnce(&mut Inbox)) {
        change(lock(&self.ready).inbox.get_or_insert_default());
        self.rung.store(true, Ordering::Release);
        self.bell.wake();
    }

    pub(super) fn hand_over(&self, entry: &Arc<Entry>) {
        self.put(|inbox| {
            inbox.known = inbox.known.max(entry.seq);
            if inbox.entries.len() < ENTRIES {
                inbox.entries.push(Arc::clone(entry));
            }
        });
    }

    pub(super) fn heard_of(&self, seq: i64) {
        self.put(|inbox| inbox.known = inbox.known.max(seq));
    }

    pub(super) fn piece(&self, message: MessageId, piece: &Piece) {
        self.put(|inbox| {
            let is_reset = *piece == Piece::Reset;
            if is_reset {
                inbox.torn = None;
                inbox.pieces.retain(|(other, _)| *other != message);
            }
            if inbox.torn == Some(message) {
                return;
            }
            if is_reset || inbox.pieces.len() < PIECES {
                inbox.pieces.push_back((message, piece.clone()));
            } else {
                // Pieces with a hole between them say nothing: the whole message comes at the end.
                inbox.torn = Some(message);
            }
        });
    }

    pub(super) fn typing(&self, from: Sender, active: bool) {
        self.put(|inbox| {
            inbox.typing.retain(|(other, _)| *other != from);
            inbox.typing.push((from, active));
        });
    }

    /// Tells it to close.
    pub(crate) fn close(&self, goodbye: Goodbye) {
        self.put(|inbox| inbox.goodbye = Some(goodbye));
    }

    pub(super) fn has_flushed(&self, seq: i64) -> bool {
        self.flushed.load(Ordering::Acquire) >= seq
    }
}

/// For the connection's own task, and nobody else.
impl Line {
    /// What lies ready, once something does.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Inbox> {
        self.bell.register(cx.waker());
        if !self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let taken = *lock(&self.ready).inbox.take().unwrap_or_default();
        if taken.torn.is_some() {
            // It stays torn until it begins again, whatever is taken meanwhile.
            lock(&self.ready).inbox.get_or_insert_default().torn = taken.torn;
        }
        Poll::Ready(taken)
    }

    /// Whether it is told to close, where it can take nothing else.
    pub(crate) fn poll_goodbye(&self, cx: &Context<'_>) -> Poll<Goodbye> {
        self.bell.register(cx.waker());
        let goodbye = lock(&self.ready).inbox.as_ref().and_then(|inbox| inbox.goodbye);
        goodbye.map_or(Poll::Pending, Poll::Ready)
    }

    /// The peer showed life.
    pub(crate) fn heard(&self, now_ms: u64) {
        self.heard_at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the peer showed life last.
    pub(crate) fn heard_at_ms(&self) -> u64 {
        self.heard_at_ms.load(Ordering::Relaxed)
    }

    /// Everything up to here was written to the peer.
    pub(crate) fn flushed(&self, seq: i64) {
        if self.flushed.swap(seq, Ordering::AcqRel) == seq {
            return;
        }
        lock(&self.ready).waiting.retain(|(wanted, waiter)| {
            if *wanted <= seq {
                waiter.notify_one();
            }
            *wanted > seq
        });
    }
}

/// Waits at several lines at once until one has got everything up to a position; gone from them when dropped.
pub(super) struct Waiter {
    pub(super) lines: Vec<Arc<Line>>,
    pub(super) bell: Arc<Notify>,
}

impl Waiter {
    pub(super) fn among(lines: Vec<Arc<Line>>, seq: i64) -> Self {
        let bell = Arc::new(Notify::new());
        for line in &lines {
            lock(&line.ready).waiting.push((seq, Arc::clone(&bell)));
        }
        Self { lines, bell }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for line in &self.lines {
            lock(&line.ready)
                .waiting
                .retain(|(_, other)| !Arc::ptr_eq(other, &self.bell));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use uuid::Uuid;

    use super::*;

    fn taken(line: &Line) -> Option<Inbox> {
        match line.poll_take(&Context::from_waker(Waker::noop())) {
            Poll::Ready(inbox) => Some(inbox),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_lies_ready_is_taken_once() {
        let line = Line::new(0);
        assert!(taken(&line).is_none());
        line.heard_of(7);
        line.heard_of(3);
        line.typing(Sender::Bot, true);
        line.typing(Sender::Bot, false);
        let inbox = taken(&line).unwrap();
        assert_eq!((inbox.known, inbox.typing), (7, vec![(Sender::Bot, false)]));
        assert!(taken(&line).is_none());
    }

    #[test]
    fn pieces_that_do_not_fit_end_the_preview_until_it_begins_again() {
        let line = Line::new(0);
        let message = MessageId(Uuid::from_u128(1));
        let text = |index| Piece::Text {
            index,
            text: "a".into(),
        };
        for index in 0..100 {
            line.piece(message, &text(index));
        }
        assert_eq!(taken(&line).unwrap().pieces.len(), PIECES);
        line.piece(message, &text(100));
        assert!(taken(&line).unwrap().pieces.is_empty());
        line.piece(message, &Piece::Reset);
        line.piece(message, &text(0));
        assert_eq!(
            taken(&line).unwrap().pieces,
            [(message, Piece::Reset), (message, text(0))]
        );
    }
}
