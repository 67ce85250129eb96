//! What runs beside the requests: each job a plan that is pure, and rounds with an interval and a bound.

pub(crate) mod follow;
mod gauges;
mod retention;

use switchhook_chassis::jobs::repeat;

use crate::app::AppState;
use crate::dial::{closing, repair};

/// Starts all jobs; they end when the service stops.
pub(crate) fn start(state: &AppState) {
    let tasks = &state.kit.tasks;
    repeat(tasks, "repair", repair::INTERVAL, state, repair::round);
    repeat(tasks, "closing", closing::INTERVAL, state, closing::round);
    repeat(tasks, "retention", retention::INTERVAL, state, retention::round);
    repeat(tasks, "gauges", gauges::INTERVAL, state, gauges::round);
    follow::start(state);
}
