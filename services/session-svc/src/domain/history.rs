//! Where a list of sessions goes on: after which one, newest first.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use switchhook_core::ids::SessionId;

/// The last session of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Its id, for sessions of the same moment.
    pub id: SessionId,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for Cursor {
    /// `<microseconds>.<id>`: PostgreSQL keeps microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.started_at.timestamp_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (micros, id) = text.split_once('.').ok_or(BadCursor)?;
        let micros: i64 = micros.parse().map_err(|_| BadCursor)?;
        // Years 0 to 9999: outside of it PostgreSQL cannot follow.
        let bounded = (-62_167_219_200_000_000..=253_402_300_799_999_999).contains(&micros);
        let started_at = DateTime::from_timestamp_micros(micros)
            .filter(|_| bounded)
            .ok_or(BadCursor)?;
        Ok(Self {
            started_at,
            id: id.parse().map_err(|_| BadCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_a_url(micros in 0_i64..253_402_300_799_999_999) {
            let started_at = DateTime::from_timestamp_micros(micros).unwrap();
            let cursor = Cursor { started_at, id: SessionId::new(started_at) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_is_refused(text in ".{0,60}") {
            let _ = text.parse::<Cursor>();
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            ".",
            "1",
            "x.0197a9f2-0000-7000-8000-000000000000",
            "1.x",
            "99999999999999999999.x",
            "9223372036854775807.0197a9f2-0000-7000-8000-000000000000",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
