//! What runs beside the requests: each job a plan that is pure, and rounds with an interval and a bound.

mod gauges;
mod retention;

use switchhook_chassis::jobs::repeat;

use crate::app::AppState;

/// Starts all jobs; they end when the service stops.
pub(crate) fn start(state: &AppState) {
    let tasks = &state.kit.tasks;
    repeat(tasks, "retention", retention::INTERVAL, state, retention::round);
    repeat(tasks, "gauges", gauges::INTERVAL, state, gauges::round);
}
