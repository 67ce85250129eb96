//! Days of `DAY_TIMEZONE`, ranges of time that are asked for, and what calls add up to.
//!
//! A day is a calendar day of one time zone: 23 or 25 hours long where clocks change. Time zones are reckoned here and not by
//! PostgreSQL, which may know other rules, or the zone by no name.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::shown::Sentiment;

/// Most characters of a reason that are told apart.
const REASON_MAX_CHARS: usize = 100;

/// The day of a moment.
pub fn day_of(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// When a day begins: at midnight, or where clocks skip it as soon as they show a later time.
pub fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let shown = |minutes: i64| {
        let local = midnight.checked_add_signed(TimeDelta::minutes(minutes))?;
        zone.from_local_datetime(&local).earliest()
    };
    // Clocks skip a day at most, in steps of a quarter of an hour.
    let first = (0..=100).find_map(|quarters| shown(quarters * 15));
    first.map_or_else(|| midnight.and_utc(), |at| at.with_timezone(&Utc))
}

/// Before every call, and where PostgreSQL can follow: the year 1.
fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(-62_135_596_800, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

/// After every call: the year 9999.
fn end() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_214_400, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn after(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(NaiveDate::MAX)
}

/// An end of a range: a whole day, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `2026-03-01`.
    Day(NaiveDate),
    /// `2026-03-01T12:00:00Z`.
    Moment(DateTime<Utc>),
}

impl Limit {
    /// Reads either.
    ///
    /// # Errors
    /// It is neither; the reason completes the sentence `<field> …`.
    pub fn read(text: &str) -> Result<Self, String> {
        let moment = |text: &str| {
            let at = DateTime::parse_from_rfc3339(text).ok()?;
            Some(Self::Moment(at.to_utc().trunc_subsecs(6)))
        };
        let day = || {
            let plain = text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit());
            let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            plain.then_some(Self::Day(day))
        };
        // The plus sign of an offset that nobody escaped arrives as a space.
        let unescaped = || moment(&text.replace(' ', "+"));
        let read = moment(text).or_else(day).or_else(unescaped);
        read.ok_or_else(|| {
            "must be a date such as 2026-03-01 or a time such as 2026-03-01T12:00:00Z".to_owned()
        })
    }
}

/// A time that is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Until just before this one.
    pub until: Option<DateTime<Utc>>,
}

impl Range {
    /// From `from`, inclusive, to `to`: a day is asked for as a whole, a moment is not part of it. None where it ends
    /// before it begins.
    pub fn new(from: Option<Limit>, to: Option<Limit>, zone: Tz) -> Option<Self> {
        let from = from.map(|from| match from {
            Limit::Day(day) => start_of(day, zone),
            Limit::Moment(at) => at,
        });
        let until = to.map(|to| match to {
            Limit::Day(day) => start_of(after(day), zone),
            Limit::Moment(at) => at,
        });
        let backwards = from.zip(until).is_some_and(|(from, until)| match to {
            Some(Limit::Day(_)) => from >= until,
            _ => from > until,
        });
        (!backwards).then_some(Self { from, until })
    }

    /// Both ends as moments: the beginning and the end of time where the range is open.
    pub fn moments(self) -> (DateTime<Utc>, DateTime<Utc>) {
        (
            self.from.unwrap_or_else(beginning),
            self.until.unwrap_or_else(end),
        )
    }

    /// Whole days, and the pieces of days at both ends.
    pub fn parts(self, zone: Tz) -> Parts {
        let (first, head) = match self.from {
            None => (None, None),
            Some(from) => {
                let day = day_of(from, zone);
                let whole = start_of(day, zone) >= from;
                let next = start_of(after(day), zone);
                let head = (!whole).then(|| Piece {
                    day,
                    from,
                    until: self.until.map_or(next, |until| until.min(next)),
                });
                (Some(if whole { day } else { after(day) }), head)
            }
        };
        let (last, tail) = match self.until {
            None => (None, None),
            Some(until) => {
                let day = day_of(until, zone);
                let start = start_of(day, zone);
                let from = self.from.map_or(start, |from| from.max(start));
                (day.pred_opt(), Some(Piece { day, from, until }))
            }
        };
        // Where the range lies within one day, that piece is both.
        let tail = tail.filter(|tail| head.is_none_or(|head| head.day != tail.day));
        let pieces = [head, tail].into_iter().flatten();
        Parts {
            first,
            last,
            pieces: pieces.filter(|piece| piece.from < piece.until).collect(),
        }
    }
}

/// A range cut at midnights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The first whole day; none: from the beginning.
    pub first: Option<NaiveDate>,
    /// The last whole day; none: to the end. Before the first where there are none.
    pub last: Option<NaiveDate>,
    /// Pieces of days.
    pub pieces: Vec<Piece>,
}

impl Parts {
    /// Both ends as days: the beginning and the end of time where the range is open.
    pub fn days(&self) -> (NaiveDate, NaiveDate) {
        (
            self.first.unwrap_or_else(|| beginning().date_naive()),
            self.last.unwrap_or_else(|| end().date_naive()),
        )
    }

    /// Whether a day is asked for as a whole.
    pub fn has(&self, day: NaiveDate) -> bool {
        self.first.is_none_or(|first| first <= day) && self.last.is_none_or(|last| day <= last)
    }
}

/// A piece of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The day.
    pub day: NaiveDate,
    /// From this moment on.
    pub from: DateTime<Utc>,
    /// Until just before this one.
    pub until: DateTime<Utc>,
}

/// What calls are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The day on which they began.
    pub day: NaiveDate,
    /// How the person felt.
    pub sentiment: Sentiment,
    /// Whether they reached their goal, where that is known.
    pub successful: Option<bool>,
    /// Why they ended; empty where that is not known.
    pub reason: String,
}

impl Kind {
    /// The kind of a call.
    pub fn new(
        day: NaiveDate,
        sentiment: Option<&str>,
        successful: Option<bool>,
        reason: Option<&str>,
    ) -> Self {
        Self {
            day,
            sentiment: Sentiment::of(sentiment),
            successful,
            reason: reason
                .unwrap_or_default()
                .chars()
                .take(REASON_MAX_CHARS)
                .collect(),
        }
    }
}

/// What calls add up to, exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub calls: i64,
    /// Hundredths of a minute.
    pub centiminutes: i64,
    /// Thousandths of a cent.
    pub millicents: i64,
}

impl Sums {
    /// One call.
    pub fn of_call(minutes: Option<f64>, cents: Option<f64>) -> Self {
        Self {
            calls: 1,
            // As PostgreSQL rounds, which adds up pieces of days.
            centiminutes: (minutes.unwrap_or(0.0) * 100.0).round_ties_even() as i64,
            millicents: (cents.unwrap_or(0.0) * 1000.0).round_ties_even() as i64,
        }
    }

    /// Takes these away.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            calls: -self.calls,
            centiminutes: -self.centiminutes,
            millicents: -self.millicents,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.centiminutes += other.centiminutes;
        self.millicents += other.millicents;
    }

    /// Whether nothing is left.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Minutes with two decimals.
    pub fn minutes(self) -> f64 {
        self.centiminutes as f64 / 100.0
    }

    /// Cents with three decimals.
    pub fn cents(self) -> f64 {
        self.millicents as f64 / 1000.0
    }
}

/// Calls added up in all the ways that are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub all: Sums,
    /// By how the person felt.
    pub sentiments: BTreeMap<Sentiment, Sums>,
    /// By whether they reached their goal.
    pub outcomes: BTreeMap<Option<bool>, Sums>,
    /// By why they ended.
    pub reasons: BTreeMap<String, Sums>,
    /// By day.
    pub days: BTreeMap<NaiveDate, Sums>,
}

impl Totals {
    /// Adds calls of a kind.
    pub fn add(&mut self, kind: &Kind, sums: Sums) {
        self.all.add(sums);
        self.sentiments.entry(kind.sentiment).or_default().add(sums);
        self.outcomes.entry(kind.successful).or_default().add(sums);
        self.days.entry(kind.day).or_default().add(sums);
        match self.reasons.get_mut(&kind.reason) {
            Some(known) => known.add(sums),
            None => drop(self.reasons.insert(kind.reason.clone(), sums)),
        }
    }

    /// Reasons that are known, the most frequent first.
    pub fn frequent_reasons(&self) -> Vec<(&str, i64)> {
        let known = self
            .reasons
            .iter()
            .filter(|(reason, sums)| !reason.is_empty() && sums.calls > 0);
        let mut reasons: Vec<_> = known
            .map(|(reason, sums)| (reason.as_str(), sums.calls))
            .collect();
        reasons.sort_by_key(|(_, calls)| -calls);
        reasons
    }
}

#[cfg(test)]
#[path = "day_tests.rs"]
mod tests;
