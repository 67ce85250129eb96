//! Percentiles, and how a bench tells what it found.

use std::time::Duration;

use crate::report::{self, Bar, Entry, Figure};

/// Durations of one kind of work.
#[derive(Default)]
pub(crate) struct Series(Vec<Duration>);

impl Series {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The duration below which this share of all lies, `share` in 0..=1.
    pub(crate) fn quantile_ms(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Begins a section of the report.
pub(crate) fn heading(text: &str) {
    report::begin(text);
}

/// A finding in words.
pub(crate) fn row(name: &str, value: &str) {
    report::add(Entry::Line {
        name: name.to_owned(),
        value: value.to_owned(),
    });
}

/// A figure with its rounds, ours first.
pub(crate) fn figure(name: &str, unit: &'static str, bars: Vec<Bar>) {
    report::add(Entry::Figure(Figure {
        name: name.to_owned(),
        unit,
        bars,
    }));
}

/// A goal, met or not.
pub(crate) fn goal(name: &str, met: bool) {
    report::add(Entry::Goal {
        name: name.to_owned(),
        met,
    });
}
