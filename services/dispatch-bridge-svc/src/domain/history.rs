//! Where a list of calls goes on: after which one, newest first.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ids::CallId;

/// The last call of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When it was reserved.
    pub created_at: DateTime<Utc>,
    /// Its id, for calls of the same moment.
    pub id: CallId,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for Cursor {
    /// `<microseconds>.<id>`: PostgreSQL keeps microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at.timestamp_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (micros, id) = text.split_once('.').ok_or(BadCursor)?;
        let micros: i64 = micros.parse().map_err(|_| BadCursor)?;
        // Years 0 to 9999: outside of it PostgreSQL cannot follow.
        let bounded = (-62_167_219_200_000_000..=253_402_300_799_999_999).contains(&micros);
        let created_at = DateTime::from_timestamp_micros(micros)
            .filter(|_| bounded)
            .ok_or(BadCursor)?;
        let id: Uuid = id.parse().map_err(|_| BadCursor)?;
        Ok(Self {
            created_at,
            id: CallId(id),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_a_url(micros in 0_i64..253_402_300_799_999_999, id: u128) {
            let created_at = DateTime::from_timestamp_micros(micros).unwrap();
            let cursor = Cursor { created_at, id: CallId(Uuid::from_u128(id)) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn other_text_is_refused(text in "[a-z0-9.-]{0,40}") {
            prop_assert!(text.parse::<Cursor>().is_err() || text.contains('.'));
        }
    }
}
