//! What PostgreSQL saw at a moment, as text: `xmin:xmax:in progress`. It is where an operator's stream stands, and the id of
//! its events.

use std::fmt;

/// A snapshot. Written as PostgreSQL reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    text: String,
    xmin: u64,
}

impl Snapshot {
    /// Longest text that is an event's id.
    const MAX_BYTES: usize = 255;

    /// Takes what PostgreSQL wrote, or a client brings back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax, running) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
        let mut last = None;
        for id in running.split(',').filter(|_| !running.is_empty()) {
            let id = number(id)?;
            if id < xmin || id >= xmax || last.is_some_and(|last| last >= id) {
                return None;
            }
            last = Some(id);
        }
        let sound = parts.next().is_none() && xmin > 0 && xmin <= xmax;
        sound.then(|| Self {
            text: text.to_owned(),
            xmin,
        })
    }

    /// The text, for PostgreSQL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id of an event. Where too much was in progress to name it, an earlier moment: better twice than never.
    pub fn event_id(&self) -> String {
        if self.text.len() <= Self::MAX_BYTES {
            self.text.clone()
        } else {
            format!("{0}:{0}:", self.xmin)
        }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// A transaction's number; PostgreSQL knows 63 bits of it.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())??;
    i64::try_from(number).ok()?;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_postgres_reads_is_a_snapshot() {
        for text in ["10:10:", "10:20:", "10:20:10,14,15", "1:9223372036854775807:"] {
            assert_eq!(Snapshot::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "10",
            "10:20",
            "10:20:9",
            "10:20:20",
            "10:20:14,13",
            "10:20:13,13",
            "20:10:",
            "0:10:",
            "a:b:",
            "10:20::",
            "10:20:,",
            "+1:2:",
            "1:9223372036854775808:",
            "-1:2:",
        ] {
            assert!(Snapshot::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_id_that_would_be_too_long_goes_back_to_what_is_surely_seen() {
        let running: Vec<String> = (1_000_000..1_000_050).map(|id| id.to_string()).collect();
        let snapshot = Snapshot::parse(&format!("1000000:1000060:{}", running.join(","))).unwrap();
        assert_eq!(snapshot.event_id(), "1000000:1000000:");
        assert_eq!(Snapshot::parse("10:20:14").unwrap().event_id(), "10:20:14");
    }
}
