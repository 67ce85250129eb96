//! Where a list of tasks goes on: after which one, newest first.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::ids::TaskId;

/// The last task of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// Its id, for tasks of the same moment.
    pub id: TaskId,
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
        Ok(Self {
            created_at,
            id: TaskId::parse(id).ok_or(BadCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_a_url(micros in 0_i64..253_402_300_799_999_999, random: u128) {
            let created_at = DateTime::from_timestamp_micros(micros).unwrap();
            let cursor = Cursor { created_at, id: TaskId::new(created_at, random) };
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
            "x.task_1_a",
            "1.x",
            "99999999999999999999.task_1_a",
            "9223372036854775807.task_1_a",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
