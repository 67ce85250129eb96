//! A request that meets another one: the same under the same key, or the same number within its window.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Asked, Key, bounded, hand, repair, waiting};
use crate::app::AppState;
use crate::domain::dispatch::{Call, Step};
use crate::error::Error;
use crate::store::dial;

/// Longest pause between two looks at a dial of somebody else, who may have died.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest that a duplicate waits until it can name the first dispatch.
const NAME_LIMIT: Duration = Duration::from_secs(5);

/// The answer that the first request got; nothing where there is none any more, or not yet.
pub(super) async fn answer(state: &AppState, asked: &Asked) -> Result<Option<Value>, Error> {
    match &asked.key {
        Some(key) => keyed(state, asked, key).await,
        None => duplicate(state, asked).await,
    }
}

async fn keyed(state: &AppState, asked: &Asked, key: &Key) -> Result<Option<Value>, Error> {
    let account = &asked.order.account_code;
    let Some(call) = bounded(dial::of_key(&state.kit.pool, account, &key.key)).await? else {
        return Ok(None);
    };
    if call.request_hash.as_ref() != Some(&key.request) {
        return Err(Error::KeyConflict);
    }
    if call.answer.is_some() {
        return Ok(call.answer);
    }
    match call.step {
        Step::Unknown => Err(Error::OutcomeUnknown(call.room)),
        Step::Unsent => Ok(None),
        Step::Placed => super::answer(state, asked, call).await.map(Some),
        Step::Reserved | Step::Sending => inherit(state, asked, call).await,
    }
}

/// Takes over a dial that a crash left, or waits for whoever has it.
async fn inherit(state: &AppState, asked: &Asked, call: Call) -> Result<Option<Value>, Error> {
    let claimed = hand::claim(state, Some(call.id), 1).await?;
    if let Some((call, hand)) = claimed.into_iter().next() {
        let told = asked.order.told_to_agent();
        let resumed = repair::resume(state, &hand, call, told, asked.plan()).await;
        return super::finish(state, asked, resumed).await.map(Some);
    }
    let over = |call: &Call| !matches!(call.step, Step::Reserved | Step::Sending);
    match waiting::until(state, call.id, LOOK_EVERY, over).await {
        Ok(_) | Err(Error::UnknownDispatch) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number was just dialled: the caller is told which dispatch that was.
async fn duplicate(state: &AppState, asked: &Asked) -> Result<Option<Value>, Error> {
    let order = &asked.order;
    if order.allow_duplicate {
        // Only the name of its room was taken.
        return Ok(None);
    }
    let deadline = Instant::now() + NAME_LIMIT;
    loop {
        let found = dial::of_window(&state.kit.pool, &order.account_code, order.destination.digits());
        let Some(call) = bounded(found).await? else {
            return Ok(None);
        };
        let under_way = matches!(call.step, Step::Reserved | Step::Sending);
        if !under_way || Instant::now() >= deadline {
            return Err(Error::Duplicate {
                dispatch: call.dispatch_id,
                room: call.room,
            });
        }
        let over = |call: &Call| !matches!(call.step, Step::Reserved | Step::Sending);
        let left = deadline.saturating_duration_since(Instant::now());
        match waiting::until(state, call.id, left.min(LOOK_EVERY), over).await {
            // It came to nothing: the number is free again.
            Ok(call) if call.step == Step::Unsent => return Ok(None),
            Ok(_) | Err(Error::UnknownDispatch) => {}
            Err(error) => return Err(error),
        }
    }
}
