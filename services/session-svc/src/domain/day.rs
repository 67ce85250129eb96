//! Which day a moment belongs to. A day is a calendar day of one time zone: 23 or 25 hours long where clocks change.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

/// The day of a moment.
pub fn day_of(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// The last `count` days up to `today`, newest first, each with its calls.
pub fn last_days(today: NaiveDate, count: u32, calls: &BTreeMap<NaiveDate, i64>) -> Vec<(NaiveDate, i64)> {
    (0..count)
        .filter_map(|back| today.checked_sub_days(Days::new(u64::from(back))))
        .map(|day| (day, calls.get(&day).copied().unwrap_or(0)))
        .collect()
}

/// The first of the last `count` days.
pub fn first_of(today: NaiveDate, count: u32) -> NaiveDate {
    today
        .checked_sub_days(Days::new(u64::from(count.saturating_sub(1))))
        .unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let zone = chrono_tz::Europe::Berlin;
        for (moment, expected) in [
            ("2026-01-14T22:59:59.999Z", "2026-01-14"),
            ("2026-01-14T23:00:00Z", "2026-01-15"),
            ("2026-07-14T21:59:59.999Z", "2026-07-14"),
            ("2026-07-14T22:00:00Z", "2026-07-15"),
        ] {
            assert_eq!(day_of(at(moment), zone), day(expected), "{moment}");
        }
        assert_eq!(
            day_of(at("2026-01-14T23:59:59Z"), chrono_tz::UTC),
            day("2026-01-14")
        );
        assert_eq!(
            day_of(at("2026-01-15T05:00:00Z"), chrono_tz::America::Los_Angeles),
            day("2026-01-14")
        );
    }

    /// 29 March 2026 has 23 hours in Berlin, 25 October 2026 has 25.
    #[test]
    fn days_of_clock_changes_are_shorter_and_longer() {
        let zone = chrono_tz::Europe::Berlin;
        let hours = |from: &str, date: &str| {
            (0..48)
                .filter(|hour| day_of(at(from) + chrono::TimeDelta::hours(*hour), zone) == day(date))
                .count()
        };
        assert_eq!(hours("2026-03-28T12:00:00Z", "2026-03-29"), 23);
        assert_eq!(hours("2026-10-24T12:00:00Z", "2026-10-25"), 25);
        // The hour that comes twice belongs to the same day both times.
        assert_eq!(
            day_of(at("2026-10-25T00:30:00Z"), zone),
            day_of(at("2026-10-25T01:30:00Z"), zone)
        );
    }

    #[test]
    fn every_day_of_a_range_is_there_newest_first() {
        let calls = BTreeMap::from([(day("2026-03-01"), 7), (day("2025-01-01"), 9)]);
        let days = last_days(day("2026-03-02"), 4, &calls);
        assert_eq!(
            days,
            [
                (day("2026-03-02"), 0),
                (day("2026-03-01"), 7),
                (day("2026-02-28"), 0),
                (day("2026-02-27"), 0)
            ]
        );
        assert_eq!(first_of(day("2026-03-02"), 4), day("2026-02-27"));
        assert_eq!(first_of(day("2026-03-02"), 1), day("2026-03-02"));
    }
}
