//! What a crash left of a dial. The room is the witness: what it holds is adopted, what it does not hold is sent again only for
//! a caller who repeats his request, and only once nothing can be on its way any more.

use std::time::Duration;

use tokio::time::Instant;

use super::steps::{self, End, Patience, Placed, Plan, Recorded};
use super::{Hand, OTHERS_LIMIT, bounded, hand};
use crate::app::AppState;
use crate::domain::dispatch::{Call, Heir, Repair, Step, Witness, repair};
use crate::domain::livekit::{Dispatch, taken};
use crate::error::Error;
use crate::store::dial;

/// Time between two rounds of the job.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);
/// Dials of one round.
const BATCH: i64 = 20;
/// Pause between two looks at a room.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How the job records what it adopts.
const ALONE: Plan = Plan {
    recorded: Recorded::Alone,
    patience: Patience::None,
};
/// What is said of a dial that nobody can tell about.
const UNKNOWN: &str = "the service was interrupted while it dialled: nobody can tell whether it did";
/// What is said of a dial that was not begun.
const NOT_BEGUN: &str = "the service was interrupted before it dialled";

/// Goes on with a dial for a caller who repeats his request.
pub(super) async fn resume(
    state: &AppState,
    hand: &Hand,
    call: Call,
    told: String,
    plan: Plan,
) -> Result<Placed, Error> {
    if call.step == Step::Reserved {
        return steps::place(state, hand, call, told, plan).await;
    }
    let patience = Instant::now() + OTHERS_LIMIT;
    loop {
        let (witness, held) = look(state, &call).await;
        let age_s = bounded(dial::age_s(&state.kit.pool, call.id)).await?;
        match repair(&witness, Heir::Caller, age_s) {
            Repair::Adopt => return adopt(state, call, held, plan).await,
            Repair::SendAgain => {
                let placed = steps::send(state, hand, call, told, plan).await?;
                remove_others(state, &placed.call).await;
                return Ok(placed);
            }
            Repair::GiveUp => return Err(give_up(state, &call).await),
            Repair::Wait if Instant::now() >= patience => {
                bounded(dial::release(&state.kit.pool, call.id, state.kit.replica.id())).await?;
                return Err(Error::StillDialling);
            }
            Repair::Wait => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

async fn give_up(state: &AppState, call: &Call) -> Error {
    match steps::end_dial(state, call.id, call, End::Unknown, UNKNOWN, true).await {
        Ok(()) => Error::OutcomeUnknown(call.room.clone()),
        Err(error) => error,
    }
}

async fn look(state: &AppState, call: &Call) -> (Witness, Vec<Dispatch>) {
    match state.livekit.list_dispatches(&call.room).await {
        Ok(held) if held.is_empty() => (Witness::Empty, held),
        Ok(held) => (Witness::Holds(held.len()), held),
        Err(trouble) if trouble.is_missing() => (Witness::Missing, Vec::new()),
        Err(_) => (Witness::Silent, Vec::new()),
    }
}

/// Takes the dispatch that works already, else the oldest, and removes the others.
async fn adopt(state: &AppState, call: Call, mut held: Vec<Dispatch>, plan: Plan) -> Result<Placed, Error> {
    let at = held
        .iter()
        .position(|found| taken(&found.jobs).is_some())
        .unwrap_or(0);
    let ours = held.swap_remove(at);
    for other in &held {
        remove(state, &call, other).await;
    }
    tracing::warn!(room = %call.room, dispatch = %ours.id, others = held.len(), "adopted what a crash left");
    steps::record(state, call, ours, plan).await
}

async fn remove_others(state: &AppState, call: &Call) {
    let held = state
        .livekit
        .list_dispatches(&call.room)
        .await
        .unwrap_or_default();
    for other in held
        .iter()
        .filter(|found| Some(&found.id) != call.dispatch_id.as_ref())
    {
        remove(state, call, other).await;
    }
}

async fn remove(state: &AppState, call: &Call, other: &Dispatch) {
    if let Err(trouble) = state.livekit.delete_dispatch(&other.id, &call.room).await {
        tracing::error!(room = %call.room, dispatch = %other.id, %trouble, "a dispatch too much could not be removed");
    }
}

/// The job: adopts what it finds, ends what nobody asks for again. It never sends.
pub(crate) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let claimed = hand::claim(&state, None, BATCH).await?;
    let work = claimed.into_iter().map(|(call, hand)| settle(&state, call, hand));
    futures_util::future::join_all(work).await;
    Ok(())
}

async fn settle(state: &AppState, call: Call, _hand: Hand) {
    let room = call.room.clone();
    match decide(state, call).await {
        Ok(()) | Err(Error::TakenOver(_) | Error::OutcomeUnknown(_)) => {}
        Err(error) => tracing::warn!(%room, %error, "a dial that was left is looked at again soon"),
    }
}

async fn decide(state: &AppState, call: Call) -> Result<(), Error> {
    if call.step == Step::Reserved {
        let end = End::Freed {
            reason: None,
            from: Step::Reserved,
        };
        return steps::end_dial(state, call.id, &call, end, NOT_BEGUN, true).await;
    }
    let (witness, held) = look(state, &call).await;
    let age_s = bounded(dial::age_s(&state.kit.pool, call.id)).await?;
    match repair(&witness, Heir::Job, age_s) {
        Repair::Adopt => adopt(state, call, held, ALONE).await.map(drop),
        Repair::GiveUp => Err(give_up(state, &call).await),
        Repair::Wait | Repair::SendAgain => {
            bounded(dial::release(&state.kit.pool, call.id, state.kit.replica.id())).await
        }
    }
}
