//! One connection's place in the log of its chat: what it was shown, what it is owed, and how an entry looks to it.
//!
//! There is one cursor, and every entry is judged as the cursor passes it: what is replayed, hinted at, or handed over on
//! the spot is shown in the order of the log, once. That holds for acks too: who resumes after the last id that he saw has
//! missed nothing before it. Pure: it does not know where entries come from.

use std::collections::VecDeque;

use super::entry::{Audience, Entry, EntryKind, Message, Mode, Sender};
use super::ids::MessageId;

/// How an entry looks to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Somebody else's message, or one of the visitor's own from another connection.
    Message(&'a Entry, &'a Message),
    /// The connection's own message: it is stored.
    Ack(MessageId, Option<String>),
    /// Somebody else speaks from here on.
    Status(Mode),
    /// The bot did not answer this message.
    Trouble(Option<&'a str>),
}

/// What became of a message that this connection sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in the log, at this position.
    New(i64),
    /// It was there before, at this position under this id.
    Before(i64, MessageId),
}

/// A message of this connection whose ack is owed.
#[derive(Debug)]
struct Own {
    id: MessageId,
    client_id: Option<String>,
}

/// The place of a connection in the log.
#[derive(Debug)]
pub struct Connection {
    /// Everything up to here was judged.
    cursor: i64,
    /// Where the log ended when the connection opened.
    opened_at: i64,
    /// The log goes at least up to here.
    known: i64,
    own: VecDeque<Own>,
}

impl Connection {
    /// Of a reader who has seen everything up to `cursor`, in a log that ends at `opened_at`.
    pub fn new(cursor: i64, opened_at: i64) -> Self {
        Self {
            cursor,
            opened_at,
            known: opened_at,
            own: VecDeque::new(),
        }
    }

    /// Everything up to here was judged.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Whether there is more to be read.
    pub fn is_behind(&self) -> bool {
        self.known > self.cursor
    }

    /// How many of its messages wait for their acks.
    pub fn unacked(&self) -> usize {
        self.own.len()
    }

    /// The log goes at least up to here.
    pub fn heard_of(&mut self, seq: i64) {
        self.known = self.known.max(seq);
    }

    /// An entry that was just committed: judged where it is the next one, remembered as something to read where it is not.
    pub fn offered<'a>(&mut self, entry: &'a Entry) -> Option<Shown<'a>> {
        self.heard_of(entry.seq);
        if entry.seq == self.cursor + 1 {
            self.passed(entry)
        } else {
            None
        }
    }

    /// The next entry that there is in the log: nothing stands between the cursor and it.
    pub fn passed<'a>(&mut self, entry: &'a Entry) -> Option<Shown<'a>> {
        if entry.seq <= self.cursor {
            return None;
        }
        self.reached(entry.seq);
        if entry.audience == Audience::Operators {
            return None;
        }
        match &entry.kind {
            EntryKind::Message(message) if message.sender == Sender::User => match self.own(entry.id) {
                Some(own) => Some(Shown::Ack(own.id, own.client_id)),
                None => Some(Shown::Message(entry, message)),
            },
            EntryKind::Message(message) => Some(Shown::Message(entry, message)),
            // What stood before is summed up by the mode that the connection began with.
            EntryKind::Status(_) | EntryKind::Trouble { .. } if entry.seq <= self.opened_at => None,
            EntryKind::Status(mode) => Some(Shown::Status(*mode)),
            EntryKind::Trouble { client_id } => Some(Shown::Trouble(client_id.as_deref())),
        }
    }

    /// There is nothing more up to here.
    pub fn reached(&mut self, seq: i64) {
        self.cursor = self.cursor.max(seq);
        self.heard_of(seq);
    }

    /// The connection sends a message under this id.
    pub fn sends(&mut self, id: MessageId, client_id: Option<String>) {
        self.own.push_back(Own { id, client_id });
    }

    /// What became of it: its ack, where its turn has come.
    pub fn stored(&mut self, id: MessageId, outcome: Stored) -> Option<Shown<'static>> {
        let (seq, stored_as) = match outcome {
            Stored::New(seq) => (seq, id),
            Stored::Before(seq, before) => (seq, before),
        };
        // Where the cursor passed it meanwhile, it was acked then.
        let own = self.own(id)?;
        if seq > self.cursor + 1 {
            self.heard_of(seq);
            self.own.push_back(Own { id: stored_as, ..own });
            return None;
        }
        self.reached(seq);
        Some(Shown::Ack(stored_as, own.client_id))
    }

    /// It is not stored. Gives what the client called it.
    pub fn refused(&mut self, id: MessageId) -> Option<String> {
        self.own(id)?.client_id
    }

    fn own(&mut self, id: MessageId) -> Option<Own> {
        let at = self.own.iter().position(|own| own.id == id)?;
        let own = self.own.remove(at);
        // A message that was sent twice has one ack.
        self.own.retain(|other| other.id != id);
        own
    }
}

/// Bounds how fast a visitor's frames are read: what comes faster waits in his own connection, and in his own memory.
#[derive(Debug)]
pub struct Tap {
    /// When the last frame is paid for, in milliseconds of the caller's clock.
    paid_until_ms: u64,
}

/// Frames a second that are read in the long run.
const FRAMES_PER_S: u64 = 20;
/// Frames that are read at once before that.
const FRAMES_AT_ONCE: u64 = 100;

impl Tap {
    /// An open tap.
    pub fn new() -> Self {
        Self { paid_until_ms: 0 }
    }

    /// Counts a frame that was read now.
    pub fn drew(&mut self, now_ms: u64) {
        self.paid_until_ms = self.paid_until_ms.max(now_ms) + 1000 / FRAMES_PER_S;
    }

    /// When the next frame may be read; nothing where it may be now.
    pub fn closed_until(&self, now_ms: u64) -> Option<u64> {
        let open_at = self
            .paid_until_ms
            .saturating_sub(FRAMES_AT_ONCE * 1000 / FRAMES_PER_S);
        (open_at > now_ms).then_some(open_at)
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(n: i64) -> MessageId {
        MessageId(Uuid::from_u128(n.unsigned_abs().into()))
    }

    fn entry(seq: i64, kind: EntryKind) -> Entry {
        Entry {
            seq,
            id: id(seq),
            at: DateTime::UNIX_EPOCH,
            audience: Audience::All,
            kind,
        }
    }

    fn written(seq: i64, sender: Sender) -> Entry {
        let message = Message {
            sender,
            name: None,
            text: format!("text {seq}"),
            client_id: None,
        };
        entry(seq, EntryKind::Message(message))
    }

    fn is_message(shown: Option<Shown<'_>>, seq: i64) -> bool {
        matches!(shown, Some(Shown::Message(entry, _)) if entry.seq == seq)
    }

    #[test]
    fn an_entry_looks_to_a_visitor_like_this() {
        let mut connection = Connection::new(0, 2);
        for seq in [1, 2] {
            // What stands before the connection opened is in its first frame.
            let kind = if seq == 1 {
                EntryKind::Status(Mode::Operator)
            } else {
                EntryKind::Trouble { client_id: None }
            };
            assert_eq!(connection.passed(&entry(seq, kind)), None);
        }
        assert!(is_message(connection.passed(&written(3, Sender::Bot)), 3));
        assert!(is_message(connection.passed(&written(4, Sender::Operator)), 4));
        assert!(is_message(connection.passed(&written(5, Sender::User)), 5));
        let hidden = Entry {
            audience: Audience::Operators,
            ..written(6, Sender::Bot)
        };
        assert_eq!(connection.passed(&hidden), None);
        let status = entry(7, EntryKind::Status(Mode::Operator));
        assert_eq!(connection.passed(&status), Some(Shown::Status(Mode::Operator)));
        let trouble = entry(
            8,
            EntryKind::Trouble {
                client_id: Some("c1".into()),
            },
        );
        assert_eq!(connection.passed(&trouble), Some(Shown::Trouble(Some("c1"))));
        assert_eq!(connection.passed(&trouble), None);
        assert_eq!((connection.cursor(), connection.is_behind()), (8, false));
    }

    #[test]
    fn what_is_handed_over_is_shown_only_in_its_turn() {
        let mut connection = Connection::new(3, 3);
        assert_eq!(connection.offered(&written(5, Sender::Bot)), None);
        assert!(connection.is_behind());
        assert!(is_message(connection.offered(&written(4, Sender::Bot)), 4));
        assert!(connection.is_behind());
        assert!(is_message(connection.passed(&written(5, Sender::Bot)), 5));
        assert!(!connection.is_behind());
        assert_eq!(connection.offered(&written(5, Sender::Bot)), None);
    }

    #[test]
    fn an_own_message_is_acked_when_its_turn_comes() {
        let ack = |seq| Some(Shown::Ack(id(seq), Some("c".to_owned())));
        let sending = |seq| {
            let mut connection = Connection::new(3, 3);
            connection.sends(id(seq), Some("c".into()));
            connection
        };
        // It is the next.
        assert_eq!(sending(4).stored(id(4), Stored::New(4)), ack(4));
        // Another one came before it.
        let mut late = sending(5);
        assert_eq!(late.stored(id(5), Stored::New(5)), None);
        assert!(late.is_behind() && late.unacked() == 1);
        assert!(is_message(late.passed(&written(4, Sender::Bot)), 4));
        assert_eq!(late.passed(&written(5, Sender::User)), ack(5));
        assert_eq!(late.unacked(), 0);
        // The log is read before the word comes that it is stored.
        let mut early = sending(4);
        assert_eq!(early.passed(&written(4, Sender::User)), ack(4));
        assert_eq!(early.stored(id(4), Stored::New(4)), None);
        assert_eq!(early.unacked(), 0);
        // It is not stored.
        let mut refused = sending(4);
        assert_eq!(refused.refused(id(4)).as_deref(), Some("c"));
        assert!(is_message(refused.passed(&written(4, Sender::User)), 4));
    }

    #[test]
    fn a_repeated_message_is_acked_under_its_first_id() {
        let repeating = |cursor| {
            let mut connection = Connection::new(cursor, 5);
            connection.sends(id(9), None);
            connection
        };
        // Seen long ago.
        let mut seen = repeating(5);
        assert_eq!(
            seen.stored(id(9), Stored::Before(2, id(2))),
            Some(Shown::Ack(id(2), None))
        );
        assert_eq!(seen.cursor(), 5);
        // Not replayed yet.
        let mut unseen = repeating(0);
        assert_eq!(unseen.stored(id(9), Stored::Before(2, id(2))), None);
        assert!(is_message(unseen.passed(&written(1, Sender::Bot)), 1));
        assert_eq!(
            unseen.passed(&written(2, Sender::User)),
            Some(Shown::Ack(id(2), None))
        );
    }

    #[test]
    fn positions_without_an_entry_are_passed() {
        let mut connection = Connection::new(0, 3);
        assert!(is_message(connection.passed(&written(2, Sender::Bot)), 2));
        assert!(connection.is_behind());
        connection.reached(3);
        assert!(!connection.is_behind());
    }

    #[test]
    fn a_flood_is_read_slowly_and_a_burst_at_once() {
        let mut tap = Tap::new();
        for _ in 0..FRAMES_AT_ONCE {
            assert_eq!(tap.closed_until(1_000_000), None);
            tap.drew(1_000_000);
        }
        assert_eq!(tap.closed_until(1_000_000), None);
        tap.drew(1_000_000);
        let open_at = tap.closed_until(1_000_000).unwrap();
        assert_eq!(open_at, 1_000_000 + 1000 / FRAMES_PER_S);
        assert_eq!(tap.closed_until(open_at), None);
    }

    proptest! {
        /// Whatever comes in whatever way: a connection is shown the whole log in its order, each entry once.
        #[test]
        fn the_whole_log_is_shown_once_and_in_order(
            length in 1..30_i64,
            own in proptest::collection::vec(any::<bool>(), 30),
            moves in proptest::collection::vec((0..3_u8, 1..30_i64, 1..6_i64), 0..200),
        ) {
            let is_own = |seq: i64| own[usize::try_from(seq - 1).unwrap_or_default()];
            let log: Vec<Entry> = (1..=length)
                .map(|seq| written(seq, if is_own(seq) { Sender::User } else { Sender::Bot }))
                .collect();
            let mut connection = Connection::new(0, 0);
            (1..=length).filter(|seq| is_own(*seq)).for_each(|seq| connection.sends(id(seq), None));
            let mut seen = Vec::new();
            let mut show = |shown: Option<Shown<'_>>| match shown {
                Some(Shown::Message(entry, _)) => seen.push(entry.id),
                Some(Shown::Ack(id, _)) => seen.push(id),
                _ => {}
            };
            for (kind, at, count) in moves {
                let seq = at.min(length);
                let entry = &log[usize::try_from(seq - 1).unwrap_or_default()];
                match kind {
                    0 => show(connection.offered(entry)),
                    1 if is_own(seq) => show(connection.stored(entry.id, Stored::New(seq))),
                    1 => connection.heard_of(seq),
                    _ => {
                        let from = usize::try_from(connection.cursor()).unwrap_or_default();
                        for entry in log.iter().skip(from).take(usize::try_from(count).unwrap_or_default()) {
                            show(connection.passed(entry));
                        }
                    }
                }
            }
            for entry in &log {
                show(connection.passed(entry));
            }
            prop_assert_eq!(seen, (1..=length).map(id).collect::<Vec<_>>());
            prop_assert!(!connection.is_behind() && connection.unacked() == 0);
        }
    }
}
