//! The steps of a dial: the room, the mark, the dispatch, the record.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::Instant;

use super::{Hand, bounded, closing, shown, worker};
use crate::app::AppState;
use crate::domain::dispatch::{Call, EndReason, SENT_WITHIN, Step};
use crate::domain::ids::CallId;
use crate::domain::livekit::{Dispatch, Job, taken};
use crate::domain::trouble::Trouble;
use crate::error::{Error, Stage};
use crate::jobs::follow;
use crate::store::closings;
use crate::store::dial::{self, Failing};
use crate::store::steps::Record;

/// Pauses between the looks at a job that come before the record, in milliseconds.
const PAUSES_MS: [u64; 6] = [1, 2, 4, 8, 14, 21];
/// How often it is noted that CreateDispatch is about to be sent, by a process that stands still after it.
const MARKS: u32 = 3;

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
    if !mark(state, call.id).await? {
        return Err(stood_still(state, &call).await);
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

/// Notes that CreateDispatch is about to be sent. `false`: that was always too long ago once it was noted, so that somebody else
/// may soon send in this one's place.
async fn mark(state: &AppState, id: CallId) -> Result<bool, Error> {
    for _ in 0..MARKS {
        let begun = Begun::now(state);
        if !bounded(state.commits.mark(id)).await? {
            return Err(Error::TakenOver(id));
        }
        if begun.is_fresh(state) {
            return Ok(true);
        }
        tracing::warn!(%id, "a dispatch was not sent in time after it was noted; it is noted anew");
    }
    Ok(false)
}

/// When something began, by the clock that never goes back and by the one that goes on while the machine stands still.
struct Begun {
    at: Instant,
    time: DateTime<Utc>,
}

impl Begun {
    fn now(state: &AppState) -> Self {
        Self {
            at: Instant::now(),
            time: state.kit.clock.now(),
        }
    }

    fn is_fresh(&self, state: &AppState) -> bool {
        let passed = (state.kit.clock.now() - self.time).to_std().unwrap_or_default();
        self.at.elapsed().max(passed) < SENT_WITHIN
    }
}

/// Ends a dial whose dispatch was never sent.
async fn stood_still(state: &AppState, call: &Call) -> Error {
    let end = End::Freed {
        reason: None,
        from: Step::Sending,
    };
    let ended = end_dial(
        state,
        call.id,
        call,
        end,
        "the service stood still while it dialled",
        true,
    )
    .await;
    ended.err().unwrap_or(Error::Database(sqlx::Error::PoolTimedOut))
}

/// LiveKit hands a job out beside its answer: a few looks right after it mostly find it, and save a commit. Whoever does not
/// wait for the job has the record at once.
async fn with_jobs(state: &AppState, call: &Call, mut dispatch: Dispatch, patience: Patience) -> Dispatch {
    if patience == Patience::None {
        return dispatch;
    }
    let mut pauses = PAUSES_MS.into_iter();
    while taken(&dispatch.jobs).is_none() {
        let Ok(listed) = state.livekit.list_dispatches(&call.room).await else {
            break;
        };
        if let Some(found) = listed.into_iter().find(|found| found.id == dispatch.id) {
            dispatch.jobs = found.jobs;
        }
        match pauses.next() {
            Some(pause_ms) if taken(&dispatch.jobs).is_none() => {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            _ => break,
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
    call.step = Step::Placed;
    call.updated_at = state.now();
    call.dispatch_id = Some(dispatch.id.clone());
    set_jobs(&mut call, dispatch.jobs);
    let answer = match plan.recorded {
        Recorded::WithAnswer if call.job_id.is_some() => Some(shown(call.clone())?),
        _ => None,
    };
    let row = Record {
        id: call.id,
        dispatch: dispatch.id.clone(),
        job_id: call.job_id.clone(),
        jobs: call.jobs.clone(),
        answer: answer.clone(),
        at: call.updated_at,
    };
    match bounded(state.commits.record(row)).await {
        Ok(true) => {}
        Ok(false) => return Err(Error::TakenOver(call.id)),
        Err(error) => {
            tracing::error!(dispatch = %dispatch.id, room = %call.room, %error, "a dispatch could not be recorded; it is found again");
            // It may be recorded all the same.
            follow::begin(state, &call);
            return Err(Error::OutcomeUnknown(call.room));
        }
    }
    metrics::counter!("dispatches_total", "outcome" => "dispatched").increment(1);
    tracing::info!(dispatch = %dispatch.id, room = %call.room, job = call.job_id, "dispatched");
    state.announce(call.id);
    if call.job_id.is_none() {
        worker::begin(state, &call);
    }
    follow::begin(state, &call);
    Ok(Placed { call, answer })
}

fn set_jobs(call: &mut Call, jobs: Vec<Job>) {
    call.job_id = taken(&jobs).map(str::to_owned);
    call.jobs = jobs;
}

/// Writes down what a failed step proves, and says what the caller is told.
async fn fail(state: &AppState, call: &Call, trouble: Trouble, stage: Stage) -> Error {
    let certain = stage == Stage::Room || trouble.is_certain();
    let (words, reason) = match &trouble {
        Trouble::Refused(refusal) => (refusal.to_string(), Some(EndReason::Refused)),
        other => (other.to_string(), None),
    };
    let end = match (stage, certain) {
        (Stage::Room, _) => End::Freed {
            reason,
            from: Step::Reserved,
        },
        (_, true) => End::Freed {
            reason,
            from: Step::Sending,
        },
        (_, false) => End::Unknown,
    };
    tracing::warn!(room = %call.room, %trouble, certain, "a dial failed");
    // Nothing was made where the first request was turned down, or never left.
    let room_is_left = stage == Stage::Dispatch || !trouble.is_certain();
    match end_dial(state, call.id, call, end, &words, room_is_left).await {
        Ok(()) => Error::LiveKit { trouble, stage },
        // The phone may ring: that goes before that nothing could be written. Nothing may happen in the room later.
        Err(error @ Error::Database(_)) if !certain => {
            tracing::error!(room = %call.room, %error, "that a dial may have happened could not be written");
            closing::begin_unwritten(state, call.room.clone());
            Error::LiveKit { trouble, stage }
        }
        Err(error) => error,
    }
}

/// How a dial ends that led to no dispatch that is known.
pub(super) enum End {
    /// It certainly did not happen, and had come so far.
    Freed { reason: Option<EndReason>, from: Step },
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
            End::Freed { reason, from } => {
                let failing = Failing { reason, message, at };
                metrics::counter!("dispatches_total", "outcome" => "not_dialled").increment(1);
                dial::free(&mut tx, id, me, from, &failing).await?
            }
            End::Unknown => {
                let reason = Some(EndReason::Unknown);
                let failing = Failing { reason, message, at };
                metrics::counter!("dispatches_total", "outcome" => "unknown").increment(1);
                dial::give_up(&mut tx, id, me, &failing).await?
            }
        };
        if ours && room_is_left {
            closings::owe(&mut tx, &call.room, &closing::AGAIN_S).await?;
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
