//! One dial, from the request to the dispatch that is recorded: once, whatever crashes.
//!
//! Each step is committed before the next one begins: reserved, then about to be sent, then recorded. What a dead process
//! left is taken over by a caller who repeats his request, or by a job ([`repair`]). It does not follow the call.

pub(crate) mod closing;
mod commits;
mod hand;
pub(crate) mod repair;
mod repeat;
mod steps;
pub(crate) mod waiting;
pub(crate) mod worker;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use switchhook_chassis::db;
use tokio::time::Instant;

pub(crate) use commits::Commits;
pub(crate) use hand::{Hand, InHand};
use steps::{Patience, Plan, Recorded};

use crate::app::AppState;
use crate::domain::dispatch::{Call, Status, Step};
use crate::domain::ids::{CallId, Room};
use crate::domain::order::{Order, WaitFor};
use crate::domain::shown::ShownDispatch;
use crate::error::Error;
use crate::store::dial;

/// Longest that a request waits for a dial that another one began, or a crash left.
const OTHERS_LIMIT: Duration = Duration::from_secs(60);
/// Pause before a reservation that met something passing is tried again.
const AGAIN_PAUSE: Duration = Duration::from_millis(50);

/// A dial that was asked for, with its key.
pub(crate) struct Asked {
    order: Order,
    key: Option<Key>,
}

struct Key {
    key: String,
    request: Vec<u8>,
}

impl Asked {
    /// The key in the header wins over the one in the body.
    pub(crate) fn new(order: Order, header: Option<String>) -> Self {
        let key = header.or_else(|| order.key.clone()).map(|key| {
            let mut hash = Sha256::new();
            for part in order.parts() {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            Key {
                key,
                request: hash.finalize().to_vec(),
            }
        });
        Self { order, key }
    }
}

/// Dials, or finds out what became of the dial that this one repeats; gives the answer.
pub(crate) async fn dispatch(state: AppState, asked: Asked) -> Result<Value, Error> {
    let patience = Instant::now() + OTHERS_LIMIT;
    loop {
        hand::until_current(&state).await?;
        let call = Arc::new(draft(&state, &asked));
        // In hand before it is in the table: nobody may take it for lost in between.
        let hand = state.dials.begin(call.id).ok_or(Error::TooManyDials)?;
        if bounded(state.commits.reserve(&call, asked.takes_window(&state))).await? {
            let (call, told) = (Arc::unwrap_or_clone(call), asked.order.told_to_agent());
            let placed = steps::place(&state, &hand, call, told, asked.plan()).await;
            drop(hand);
            return finish(&state, &asked, placed).await;
        }
        drop(hand);
        if let Some(answer) = repeat::answer(&state, &asked).await? {
            return Ok(answer);
        }
        if Instant::now() >= patience {
            return Err(Error::StillDialling);
        }
        tokio::time::sleep(AGAIN_PAUSE).await;
    }
}

impl Asked {
    /// Whether it is dialled though the number was dialled a moment ago: a key alone says what is the same dial.
    fn takes_window(&self, state: &AppState) -> bool {
        self.key.is_some() || self.order.allow_duplicate || state.settings.duplicate_dial_window.0.is_zero()
    }

    /// How its dispatch is recorded.
    fn plan(&self) -> Plan {
        let wait = self.order.wait;
        // What is answered as soon as a worker has the job is recorded with the dispatch.
        let recorded = if self.key.is_some() && wait.until == WaitFor::Dispatched {
            Recorded::WithAnswer
        } else {
            Recorded::Alone
        };
        let patience = match wait.limit {
            Some(Duration::ZERO) => Patience::None,
            _ => Patience::Some,
        };
        Plan { recorded, patience }
    }
}

/// The answer, once what it waits for has happened.
async fn finish(
    state: &AppState,
    asked: &Asked,
    placed: Result<steps::Placed, Error>,
) -> Result<Value, Error> {
    let placed = match placed {
        Ok(placed) => placed,
        // Taken over by another replica: it knows.
        Err(Error::TakenOver(id)) => steps::Placed {
            call: waiting::settled(state, id).await?,
            answer: None,
        },
        Err(error) => return Err(error),
    };
    match placed.answer {
        Some(answer) => Ok(answer),
        None => answer(state, asked, placed.call).await,
    }
}

async fn answer(state: &AppState, asked: &Asked, call: Call) -> Result<Value, Error> {
    let call = waiting::outcome(state, call, asked.order.wait).await?;
    let id = call.id;
    let body = shown(call)?;
    if asked.key.is_none() {
        return Ok(body);
    }
    // A key that was freed meanwhile repeats nothing.
    let first = bounded(dial::record_answer(&state.kit.pool, id, &body)).await?;
    Ok(first.unwrap_or(body))
}

/// The body of an answer.
pub(crate) fn shown(call: Call) -> Result<Value, Error> {
    serde_json::to_value(ShownDispatch::of(call)).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// A call that is not reserved yet.
fn draft(state: &AppState, asked: &Asked) -> Call {
    let (now, order) = (state.now(), &asked.order);
    Call {
        id: CallId::new(now),
        room: Room::new(rand::random()),
        step: Step::Reserved,
        status: Status::Dispatched,
        holder: Some(state.kit.replica.id()),
        sending_at: None,
        dispatch_id: None,
        job_id: None,
        jobs: Vec::new(),
        agent_name: state.settings.agent_name.clone(),
        account_code: order.account_code.clone(),
        destination: order.destination.given().to_owned(),
        digits: order.destination.digits().to_owned(),
        metadata: order.metadata.clone(),
        session_options: order.session_options.clone(),
        record_call: order.record_call,
        idempotency_key: asked.key.as_ref().map(|key| key.key.clone()),
        request_hash: asked.key.as_ref().map(|key| key.request.clone()),
        answer: None,
        call_start: None,
        call_end: None,
        end_reason: None,
        message: None,
        warning: None,
        recording: None,
        observed: Value::Object(serde_json::Map::new()),
        cancel_at: None,
        result_delivery: None,
        created_at: now,
        updated_at: now,
        revision: 0,
    }
}

/// A database that hangs costs a 503, not a request that never ends.
async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(db::WORK_LIMIT, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_elapsed) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}
