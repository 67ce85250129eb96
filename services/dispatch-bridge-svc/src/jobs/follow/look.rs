//! One look at a call: what LiveKit shows, what follows from it, and when to look again.

use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::learn::{self, News, known};
use super::{DIAL_LIMIT, Hand, Lane, record};
use crate::app::AppState;
use crate::dial::worker;
use crate::domain::call::Facts;
use crate::domain::call_look::{self, Look, asks_for_jobs, is_outlived, pause};
use crate::domain::call_seen;
use crate::domain::dispatch::{Call, Status, Step};
use crate::domain::ids::CallId;
use crate::domain::livekit::{Job, Participant};
use crate::domain::trouble::Trouble;
use crate::error::Error;
use crate::store;

/// How long the reason for the end of a call is waited for, once it is over: a webhook or the agent's job may tell.
const REASON_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks meanwhile.
const REASON_PAUSE: Duration = Duration::from_millis(250);

/// Between two looks whether a worker has the job.
const JOB_PAUSE: Duration = Duration::from_millis(500);

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    seen: call_look::Memory,
    /// Where the call waits for its turn; nothing while it is not known to have a job.
    lane: Option<Lane>,
    /// When this replica first knew that the call is over.
    over_since: Option<Instant>,
    pub(super) recording: record::Memory,
}

impl Memory {
    /// What is known before the first look.
    pub(super) fn of(call: &Call) -> Self {
        Self {
            lane: (!waits_for_job(call)).then(|| Lane::of(call)),
            ..Self::default()
        }
    }

    /// Whether the reason for the end is still waited for; the first time it is.
    fn waits_for_reason(&mut self) -> bool {
        self.over_since.get_or_insert_with(Instant::now).elapsed() < REASON_LIMIT
    }
}

/// What comes after a look.
pub(super) enum Next {
    After(Duration),
    /// Nothing: all is known, or another replica follows the call.
    Over,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    LiveKit(#[from] Trouble),
    #[error(transparent)]
    Dial(#[from] Error),
}

/// Looks once, when it is the call's turn.
pub(super) async fn once(state: &AppState, hand: &Hand, memory: &mut Memory) -> Result<Next, LookError> {
    let id = hand.call;
    let lane = match memory.lane {
        Some(lane) => lane,
        None => match held(state, id).await? {
            Some(call) if waits_for_job(&call) && !is_outlived(since(&call), state.now()) => {
                return without_job(state, &call).await;
            }
            Some(call) => Lane::of(&call),
            None => return Ok(Next::Over),
        },
    };
    let Some((_turn, call)) = turn(state, hand, lane).await? else {
        return Ok(Next::Over);
    };
    memory.lane = Some(Lane::of(&call));
    let mut facts = known(&call);
    if !call.status.is_final() {
        let news = match ask(state, &call, &facts, memory).await {
            Ok(news) => news,
            Err(trouble) => unseen(state, &call, &facts, memory).ok_or(trouble)?,
        };
        if !news.is_old(&call, &facts) {
            match learn::learn(state, id, news).await? {
                Some(all) => facts = all,
                None => return Ok(Next::Over),
            }
        }
    }
    match record::act(state, &call, facts, &mut memory.recording).await? {
        Some(facts) => next(state, id, &facts, memory).await,
        None => Ok(Next::Over),
    }
}

/// Waits for the call's turn, and gives the call as it is then. Nothing where it is over meanwhile, as webhooks tell.
async fn turn<'a>(
    state: &'a AppState,
    hand: &Hand,
    lane: Lane,
) -> Result<Option<(Option<SemaphorePermit<'a>>, Call)>, sqlx::Error> {
    let mut turn = pin!(state.following.turn(lane));
    loop {
        let has_turn = tokio::select! {
            permit = &mut turn => Some(permit),
            () = hand.hint.notified() => None,
        };
        let Some(call) = held(state, hand.call).await? else {
            return Ok(None);
        };
        if let Some(permit) = has_turn {
            return Ok(Some((permit, call)));
        }
    }
}

fn waits_for_job(call: &Call) -> bool {
    call.job_id.is_none() && call.status == Status::Dispatched
}

/// A dispatch that no worker has taken yet: whoever dialled it waits for one, and after a crash this replica does.
async fn without_job(state: &AppState, call: &Call) -> Result<Next, LookError> {
    let age = (state.now() - since(call)).to_std().unwrap_or_default();
    if age > state.settings.worker_wait.0 + DIAL_LIMIT {
        worker::settle(state, call).await?;
    }
    Ok(Next::After(JOB_PAUSE))
}

/// The call, where this replica follows it.
async fn held(state: &AppState, id: CallId) -> Result<Option<Call>, sqlx::Error> {
    let call = store::calls::get(&state.kit.pool, id).await?;
    let me = state.kit.replica.id();
    Ok(call.filter(|call| call.step == Step::Placed && call.holder == Some(me)))
}

/// What LiveKit shows, as facts.
async fn ask(state: &AppState, call: &Call, facts: &Facts, memory: &mut Memory) -> Result<News, Trouble> {
    let parties = learn::parties(call, facts);
    let participants = participants(state, call).await?;
    let jobs = match asks_for_jobs(&parties, participants.as_deref()) {
        true => jobs(state, call).await?,
        false => None,
    };
    let look = Look {
        at: state.now(),
        participants,
        jobs,
    };
    let learned = call_look::learn(facts, &parties, &look, since(call), &mut memory.seen);
    let is_over = facts.over_at().or(learned.over_at()).is_some();
    Ok(News {
        facts: learned,
        jobs: look.jobs.unwrap_or_default(),
        is_patient: !is_over || memory.waits_for_reason(),
    })
}

/// What is so without a look, where LiveKit cannot be asked: no call is followed longer, and no reason waited for.
fn unseen(state: &AppState, call: &Call, facts: &Facts, memory: &mut Memory) -> Option<News> {
    let now = state.now();
    let limits = match is_outlived(since(call), now) {
        true => call_seen::closed(now),
        false if facts.over_at().is_some() && !memory.waits_for_reason() => Facts::default(),
        false => return None,
    };
    Some(News {
        facts: limits,
        is_patient: false,
        ..News::default()
    })
}

/// When the call was dispatched.
fn since(call: &Call) -> DateTime<Utc> {
    call.sending_at.unwrap_or(call.created_at)
}

/// Who is in the room; nothing where there is no room. LiveKit answers alike for an empty room and for none, so that it is
/// asked for the room itself then.
async fn participants(state: &AppState, call: &Call) -> Result<Option<Vec<Participant>>, Trouble> {
    match state.livekit.participants(&call.room).await {
        Ok(participants) if !participants.is_empty() => return Ok(Some(participants)),
        Ok(_) => {}
        Err(trouble) if trouble.is_missing() => {}
        Err(trouble) => return Err(trouble),
    }
    let exists = state.livekit.room_exists(&call.room).await?;
    Ok(exists.then(Vec::new))
}

/// The jobs of the dispatch; nothing where LiveKit cannot tell.
async fn jobs(state: &AppState, call: &Call) -> Result<Option<Vec<Job>>, Trouble> {
    let dispatches = match state.livekit.list_dispatches(&call.room).await {
        Ok(dispatches) => dispatches,
        Err(trouble) if trouble.is_missing() => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let own = dispatches
        .into_iter()
        .find(|each| Some(&each.id) == call.dispatch_id.as_ref());
    Ok(own.map(|dispatch| dispatch.jobs))
}

async fn next(state: &AppState, id: CallId, facts: &Facts, memory: &Memory) -> Result<Next, LookError> {
    let Some(call) = held(state, id).await? else {
        return Ok(Next::Over);
    };
    let now = state.now();
    if !call.status.is_final() {
        let pause = match facts.over_at() {
            Some(_) => REASON_PAUSE,
            None => pause(facts, since(&call), now),
        };
        return Ok(Next::After(pause));
    }
    if record::is_over(&call, facts, &memory.recording, now) {
        store::follow::release(&state.kit.pool, id, state.kit.replica.id()).await?;
        return Ok(Next::Over);
    }
    Ok(Next::After(pause(facts, since(&call), now)))
}
