//! What a stand-in got and what it answered, and what it sent and was answered, for tests to read.
//!
//! Bounded in entries and in bytes: the oldest go first. A request is written down when it has been read, so that one
//! which still waits for its answer is listed too; its `answered` is then empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::control::Break;

/// Most entries that are kept.
pub const MAX_ENTRIES: usize = 20_000;
/// Most bytes of request and answer text that are kept over all entries.
pub const MAX_BYTES: usize = 64 << 20;
/// Most bytes that are kept of one text.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Who made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Somebody asked the stand-in.
    Received,
    /// The stand-in asked somebody, as the real system does by itself.
    Sent,
}

impl Direction {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whether it came or went.
    pub direction: Direction,
    /// Rises by one with every request, also over entries that were dropped.
    pub seq: u64,
    /// When the request had been read.
    pub at: DateTime<Utc>,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query without the question mark; empty when there is none.
    pub query: String,
    /// Header names in lower case with their values; a repeated header keeps each value.
    pub headers: Vec<(String, String)>,
    /// The body as text (bytes that are not UTF-8 are replaced), cut after 1 MiB.
    pub text: String,
    /// What was answered; none while the request waits.
    pub answered: Option<Answered>,
    received: Instant,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status, unless the connection was closed without one.
    pub status: Option<u16>,
    /// The answer's body as text.
    pub text: String,
    /// Where the connection was closed on purpose.
    pub dropped: Option<Break>,
    /// Milliseconds between the request and its end.
    pub after_ms: u64,
}

impl Entry {
    /// The body as JSON; none when it is not JSON.
    #[must_use]
    pub fn body(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }

    /// The first value of a header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.answered.as_ref().map_or(0, |answered| answered.text.len())
    }

    fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            match headers.get_mut(name) {
                Some(Value::String(known)) => {
                    known.push_str(", ");
                    known.push_str(value);
                }
                _ => {
                    headers.insert(name.clone(), Value::String(value.clone()));
                }
            }
        }
        let answered = self.answered.as_ref().map(|answered| {
            json!({
                "status": answered.status,
                "body": serde_json::from_str::<Value>(&answered.text).ok(),
                "text": answered.text,
                "dropped": answered.dropped.map(Break::word),
                "afterMs": answered.after_ms,
            })
        });
        json!({
            "direction": self.direction.word(),
            "seq": self.seq,
            "at": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "atMicros": self.at.timestamp_micros(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "body": self.body(),
            "text": self.text,
            "answered": answered,
        })
    }
}

/// A request about to be written down.
pub(crate) struct Arrival {
    pub(crate) direction: Direction,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

/// The bounded list of requests.
#[derive(Default)]
pub(crate) struct Log {
    kept: Mutex<Kept>,
    closed: AtomicBool,
    grew: Notify,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    next_seq: u64,
    bytes: usize,
}

impl Kept {
    fn make_room(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Log {
    /// Whether requests are written down from now on: it costs more than to answer them.
    pub(crate) fn set_open(&self, open: bool) {
        self.closed.store(!open, Ordering::Relaxed);
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Writes a request down; the number is for [`Log::answered`].
    pub(crate) fn arrived(&self, arrival: Arrival) -> u64 {
        let mut kept = self.locked();
        let seq = kept.next_seq;
        kept.next_seq += 1;
        let entry = Entry {
            direction: arrival.direction,
            seq,
            at: now(),
            method: arrival.method,
            path: arrival.path,
            query: arrival.query,
            headers: arrival.headers,
            text: cut(arrival.text),
            answered: None,
            received: Instant::now(),
        };
        kept.bytes += entry.bytes();
        kept.entries.push_back(entry);
        kept.make_room();
        drop(kept);
        self.grew.notify_waiters();
        seq
    }

    /// Adds what became of a request; nothing when the entry is gone by now.
    pub(crate) fn answered(&self, seq: u64, status: Option<u16>, text: String, dropped: Option<Break>) {
        let mut kept = self.locked();
        let Ok(at) = kept.entries.binary_search_by_key(&seq, |entry| entry.seq) else {
            return;
        };
        let Some(entry) = kept.entries.get_mut(at) else {
            return;
        };
        let after_ms = u64::try_from(entry.received.elapsed().as_millis()).unwrap_or(u64::MAX);
        let text = cut(text);
        let more = text.len();
        entry.answered = Some(Answered {
            status,
            text,
            dropped,
            after_ms,
        });
        kept.bytes += more;
        kept.make_room();
    }

    /// The entries, oldest first: those of `path` when given, of them the last `limit`.
    pub(crate) fn list(&self, path: Option<&str>, limit: Option<usize>) -> Vec<Entry> {
        let kept = self.locked();
        let mut found: Vec<Entry> = kept
            .entries
            .iter()
            .rev()
            .filter(|entry| path.is_none_or(|path| entry.path == path))
            .take(limit.unwrap_or(MAX_ENTRIES))
            .cloned()
            .collect();
        found.reverse();
        found
    }

    /// The same as JSON.
    pub(crate) fn list_json(&self, path: Option<&str>, limit: Option<usize>) -> Value {
        let items: Vec<Value> = self.list(path, limit).iter().map(Entry::to_json).collect();
        json!({ "items": items })
    }

    /// Waits until at least `count` requests to `path` are listed; then, or when the time is up, gives them.
    pub(crate) async fn wait_for(&self, path: Option<&str>, count: usize, within: Duration) -> Vec<Entry> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            // Registered before looking, so that nothing is missed in between.
            let grew = self.grew.notified();
            let found = self.list(path, None);
            if found.len() >= count || tokio::time::timeout_at(deadline, grew).await.is_err() {
                return found;
            }
        }
    }

    /// Forgets everything; the numbers go on.
    pub(crate) fn clear(&self) {
        let mut kept = self.locked();
        kept.entries.clear();
        kept.bytes = 0;
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(path: &str, text: &str) -> Arrival {
        Arrival {
            direction: Direction::Received,
            method: "POST".into(),
            path: path.into(),
            query: String::new(),
            headers: vec![("x-a".into(), "1".into()), ("x-a".into(), "2".into())],
            text: text.into(),
        }
    }

    #[test]
    fn the_oldest_entries_leave_when_the_log_is_full() {
        let log = Log::default();
        for _ in 0..MAX_ENTRIES + 5 {
            log.arrived(arrival("/webhook/a", "{}"));
        }
        let entries = log.list(None, None);
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!(entries[0].seq, 5);
    }

    #[test]
    fn large_bodies_push_out_older_ones() {
        let log = Log::default();
        let large = "x".repeat(MAX_TEXT_BYTES);
        for _ in 0..100 {
            log.arrived(arrival("/webhook/a", &large));
        }
        let kept: usize = log.list(None, None).iter().map(Entry::bytes).sum();
        assert_eq!(kept, MAX_BYTES);
    }

    #[test]
    fn an_answer_finds_its_entry_after_others_left() {
        let log = Log::default();
        let first = log.arrived(arrival("/webhook/a", "{}"));
        log.clear();
        let second = log.arrived(arrival("/webhook/b", "not json"));
        log.answered(first, Some(200), "lost".into(), None);
        log.answered(
            second,
            Some(500),
            r#"{"message":"Error in workflow"}"#.into(),
            None,
        );
        let listed = log.list_json(None, None);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            listed["items"][0]["answered"]["body"]["message"],
            "Error in workflow"
        );
        assert_eq!(listed["items"][0]["body"], Value::Null);
        assert_eq!(listed["items"][0]["text"], "not json");
        assert_eq!(listed["items"][0]["headers"]["x-a"], "1, 2");
    }

    #[test]
    fn the_limit_keeps_the_newest_of_a_path_in_order() {
        let log = Log::default();
        for n in 0..6 {
            log.arrived(arrival(if n % 2 == 0 { "/a" } else { "/b" }, &n.to_string()));
        }
        let texts: Vec<String> = log
            .list(Some("/a"), Some(2))
            .into_iter()
            .map(|entry| entry.text)
            .collect();
        assert_eq!(texts, ["2", "4"]);
    }
}
