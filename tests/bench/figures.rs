//! Percentiles and rows.

use std::time::Duration;

/// Durations of one kind of work.
#[derive(Default)]
pub(crate) struct Series(Vec<Duration>);

impl Series {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
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

#[allow(clippy::print_stdout, reason = "the figures are the output")]
pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

#[allow(clippy::print_stdout, reason = "the figures are the output")]
pub(crate) fn row(name: &str, value: &str) {
    println!("  {name:<52} {value}");
}

/// A goal, printed as met or not.
pub(crate) fn goal(name: &str, met: bool) {
    row(name, if met { "met" } else { "NOT MET" });
}
