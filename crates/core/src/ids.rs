//! Typed ids. No bare `Uuid` or `String` id stands in a signature.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

/// A UUID v7 for the given moment: ids sort by the time they were made at.
pub fn uuid_v7(at: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        at.timestamp_subsec_nanos(),
    ))
}

/// The id of an AI calling session (UUID v7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// A new id for a session that starts at `at`.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(uuid_v7(at))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    /// Takes the hyphenated form only, in either case: one session has one address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<uuid::fmt::Hyphenated>()
            .map(|id| Self(id.into_uuid()))
    }
}

/// A user's id: the `sub` claim of his token, any string of 1..=255 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// Longest id, in characters.
    pub const MAX_CHARS: usize = 255;

    /// Checks the length; refuses U+0000, which PostgreSQL cannot store.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let chars = text.chars().count();
        ((1..=Self::MAX_CHARS).contains(&chars) && !text.contains('\0')).then_some(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_sort_by_their_moment() {
        let early = SessionId::new(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let late = SessionId::new(DateTime::from_timestamp(1_700_000_001, 0).unwrap());
        assert!(early < late);
        assert_eq!(early.0.get_version_num(), 7);
    }

    #[test]
    fn a_session_id_has_one_written_form() {
        assert!(
            "0197a9f2-0000-7000-8000-000000000000"
                .parse::<SessionId>()
                .is_ok()
        );
        assert!("0197a9f20000700080000000000000".parse::<SessionId>().is_err());
        assert!(
            "{0197a9f2-0000-7000-8000-000000000000}"
                .parse::<SessionId>()
                .is_err()
        );
        assert!("".parse::<SessionId>().is_err());
    }

    #[test]
    fn user_ids_have_bounds() {
        assert!(UserId::parse("").is_none());
        assert!(UserId::parse("é".repeat(255)).is_some());
        assert!(UserId::parse("é".repeat(256)).is_none());
        assert!(UserId::parse("a\0b").is_none());
    }
}
