//! Waits for news of a call, on whichever replica it is followed.

use std::time::Duration;

use tokio::time::Instant;

use super::bounded;
use crate::app::AppState;
use crate::domain::dispatch::{ANSWER_LIMIT, Call, Status, Step};
use crate::domain::ids::CallId;
use crate::domain::order::{Wait, WaitFor};
use crate::error::Error;
use crate::store::calls;

/// Longest that another replica may take over a dial.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// Whether what an answer waits for has happened, or never will.
fn has_come(call: &Call, until: WaitFor) -> bool {
    let reached = match until {
        WaitFor::Dispatched => call.job_id.is_some() || call.status != Status::Dispatched,
        WaitFor::Answered => call.status == Status::Answered,
        WaitFor::Ended => false,
    };
    reached || call.status.is_final()
}

/// The call once what is waited for has happened, or as it is when the time is up or the service stops.
pub(super) async fn outcome(state: &AppState, call: Call, wait: Wait) -> Result<Call, Error> {
    if has_come(&call, wait.until) {
        return Ok(call);
    }
    // A room that must be deleted takes LiveKit's time on top.
    let worker = || state.settings.worker_wait.0 + 2 * ANSWER_LIMIT;
    let limit = wait.limit.unwrap_or_else(worker);
    until(state, call.id, limit, |call| has_come(call, wait.until)).await
}

/// The call once its dial is not under way any more.
pub(super) async fn settled(state: &AppState, id: CallId) -> Result<Call, Error> {
    let over = |call: &Call| !matches!(call.step, Step::Reserved | Step::Sending);
    let call = until(state, id, SETTLED_LIMIT, over).await?;
    match call.step {
        Step::Placed => Ok(call),
        Step::Unknown => Err(Error::OutcomeUnknown(call.room)),
        Step::Reserved | Step::Sending | Step::Unsent => Err(Error::StillDialling),
    }
}

/// The call once it is as described, or as it is when the time is up or the service stops.
pub(super) async fn until(
    state: &AppState,
    id: CallId,
    limit: Duration,
    described: impl Fn(&Call) -> bool,
) -> Result<Call, Error> {
    let deadline = Instant::now() + limit;
    let stopping = state.kit.tasks.stopping();
    // Registered before the first look, so that nothing falls between the two.
    let mut watch = state.kit.wake.watch(&id.to_string());
    loop {
        let call = bounded(calls::get(&state.kit.pool, id))
            .await?
            .ok_or(Error::UnknownDispatch)?;
        if described(&call) || Instant::now() >= deadline || stopping.is_cancelled() {
            return Ok(call);
        }
        watch.seen(call.revision);
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = stopping.cancelled() => {}
        }
    }
}
