//! The steps of a dial: the room, the mark, the dispatch, the record.

use std::time::Duration;

use serde_json::Value;

use super::{Hand, bounded, closing, shown, worker};
use crate::app::AppState;
use crate::domain::dispatch::{Call, EndReason, Step};
use crate::domain::ids::CallId;
use crate::domain::livekit::{Dispatch, Job};
use crate::domain::trouble::Trouble;
use crate::error::{Error, Stage};
use crate::jobs::follow;
use crate::store::closings;
use crate::store::dial::{self, Failing, Record};

/// When a room is deleted again, in seconds after the first time: what is still on its way finds it gone.
const AGAIN_S: [i32; 2] = [15, 60];
/// Pauses before the looks at a job that come before the record, in milliseconds.
const LOOKS_MS: [u64; 7] = [0, 1, 2, 4, 8, 14, 21];

/// What is recorded with a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The dispatch.
    Alone,
    /// The answer to its caller too, where a worker has the job by then.
    WithAnswer,
}

/// Whether a look at the job comes before the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// The caller waits for the job anyway.
    Some,
    /// The caller does not.
    None,
}

/// How a dispatch is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) recorded: Recorded,
    pub(super) patience: Patience,
}

/// A dispatch that is recorded.
pub(super) struct Placed {
    pub(super) call: Call,
    /// What the caller is answered, where that was recorded.
    pub(super) answer: Option<Value>,
}

/// From the reservation to the record.
pub(super) async fn place(
    state: &AppState,
    hand: &Hand,
    call: Call,
    told: String,
    plan: Plan,
) -> Result<Placed, Error> {
    if let Err(trouble) = state.livekit.create_room(&call.room).await {
        return Err(fail(state, &call, trouble, Stage::Room).await);
    }
    send(state, hand, call, told, plan).await
}

/// From the room to the record.
pub(super) async fn send(
    state: &AppState,
    _hand: &Hand,
    call: Call,
    told: String,
    plan: Plan,
) -> Result<Placed, Error> {
    super::hand::until_current(state).await?;
    let me = state.kit.replica.id();
    if !bounded(dial::mark_sending(&state.kit.pool, call.id, me)).await? {
        return Err(Error::TakenOver(call.id));
    }
    let made = state
        .livekit
        .create_dispatch(&call.room, &call.agent_name, told)
        .await;
    match made {
        Ok(dispatch) => {
            let dispatch = with_jobs(state, &call, dispatch, plan.patience).await;
            record(state, call, dispatch, plan).await
        }
        Err(trouble) => Err(fail(state, &call, trouble, Stage::Dispatch).await),
    }
}

/// LiveKit hands a job out beside its answer: a few looks right after it mostly find it, and save a commit. Whoever does not
/// wait for the job has the record at once.
async fn with_jobs(state: &AppState, call: &Call, mut dispatch: Dispatch, patience: Patience) -> Dispatch {
    if patience == Patience::None {
        return dispatch;
    }
    for pause_ms in LOOKS_MS {
        if !dispatch.jobs.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let Ok(listed) = state.livekit.list_dispatches(&call.room).await else {
            break;
        };
        if let Some(found) = listed.into_iter().find(|found| found.id == dispatch.id) {
            dispatch.jobs = found.jobs;
        }
    }
    dispatch
}

/// Records a dispatch, and begins to follow it.
pub(super) async fn record(
    state: &AppState,
    mut call: Call,
    dispatch: Dispatch,
    plan: Plan,
) -> Result<Placed, Error> {
    let me = state.kit.replica.id();
    call.step = Step::Placed;
    call.updated_at = state.now();
    call.dispatch_id = Some(dispatch.id.clone());
    set_jobs(&mut call, dispatch.jobs);
    let answer = match plan.recorded {
        Recorded::WithAnswer if call.job_id.is_some() => Some(shown(call.clone())?),
        _ => None,
    };
    let row = Record {
        dispatch: &dispatch.id,
        jobs: &call.jobs,
        answer: answer.as_ref(),
        at: call.updated_at,
    };
    if !bounded(dial::record(&state.kit.pool, call.id, me, &row)).await? {
        return Err(Error::TakenOver(call.id));
    }
    metrics::counter!("dispatches_total", "outcome" => "dispatched").increment(1);
    tracing::info!(dispatch = %dispatch.id, room = %call.room, job = call.job_id, "dispatched");
    state.announce(call.id);
    if call.job_id.is_none() {
        worker::begin(state, &call);
    }
    follow::begin(state, call.id);
    Ok(Placed { call, answer })
}

fn set_jobs(call: &mut Call, jobs: Vec<Job>) {
    call.job_id = jobs.first().map(|job| job.id.clone());
    call.jobs = jobs;
}

/// Writes down what a failed step proves, and says what the caller is told.
async fn fail(state: &AppState, call: &Call, trouble: Trouble, stage: Stage) -> Error {
    let certain = stage == Stage::Room || trouble.is_certain();
    let (words, reason) = match &trouble {
        Trouble::Refused(refusal) => (refusal.to_string(), Some(EndReason::Refused)),
        other => (other.to_string(), None),
    };
    let end = if certain {
        End::Freed { reason }
    } else {
        End::Unknown
    };
    tracing::warn!(room = %call.room, %trouble, certain, "a dial failed");
    // Nothing was made where the first request was turned down, or never left.
    let room_is_left = stage == Stage::Dispatch || !trouble.is_certain();
    match end_dial(state, call.id, call, end, &words, room_is_left).await {
        Ok(()) => Error::LiveKit { trouble, stage },
        Err(error) => error,
    }
}

/// How a dial ends that led to no dispatch that is known.
pub(super) enum End {
    /// It certainly did not happen.
    Freed { reason: Option<EndReason> },
    /// Nobody can tell.
    Unknown,
}

/// Ends a dial: key and window are freed, or never again; its room is deleted.
pub(super) async fn end_dial(
    state: &AppState,
    id: CallId,
    call: &Call,
    end: End,
    message: &str,
    room_is_left: bool,
) -> Result<(), Error> {
    let me = state.kit.replica.id();
    let work = async {
        let mut tx = state.kit.pool.begin().await?;
        let at = state.now();
        let ours = match end {
            End::Freed { reason } => {
                let failing = Failing { reason, message, at };
                metrics::counter!("dispatches_total", "outcome" => "not_dialled").increment(1);
                dial::free(&mut tx, id, me, &failing).await?
            }
            End::Unknown => {
                let reason = Some(EndReason::Unknown);
                let failing = Failing { reason, message, at };
                metrics::counter!("dispatches_total", "outcome" => "unknown").increment(1);
                dial::give_up(&mut tx, id, me, &failing).await?
            }
        };
        if ours && room_is_left {
            closings::owe(&mut tx, &call.room, &AGAIN_S).await?;
        }
        tx.commit().await?;
        Ok(ours)
    };
    if !bounded(work).await? {
        return Err(Error::TakenOver(id));
    }
    state.announce(id);
    if room_is_left {
        closing::begin(state, call.room.clone());
    }
    Ok(())
}
