//! What runs beside the requests.

pub(crate) mod adopt;
mod digest;
mod gauges;
mod retention;

use switchhook_chassis::jobs::repeat;

use crate::app::AppState;

/// Starts all jobs; they end when the service stops.
pub(crate) fn start(state: &AppState) {
    let tasks = &state.kit.tasks;
    repeat(tasks, "adopt", adopt::INTERVAL, state, adopt::round);
    repeat(tasks, "digest", digest::INTERVAL, state, digest::round);
    repeat(tasks, "gauges", gauges::INTERVAL, state, gauges::round);
    repeat(tasks, "retention", retention::INTERVAL, state, retention::round);
}
