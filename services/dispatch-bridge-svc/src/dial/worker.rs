//! Whether a worker takes a dispatch. LiveKit accepts one though nobody will: then dispatch and room are deleted, so that a late
//! worker cannot dial, and number and key are free again.
//!
//! That there was no job is believed only where LiveKit showed the dispatch without one; that it could not be asked, or shows
//! nothing any more, proves nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::bounded;
use crate::app::AppState;
use crate::domain::dispatch::{Call, EndReason, Status};
use crate::domain::ids::CallId;
use crate::domain::livekit::{Job, taken};
use crate::ending;
use crate::error::Error;
use crate::store::{calls, dial};

/// Pauses between two looks, in milliseconds; the last one stays.
const PAUSES_MS: [u64; 6] = [20, 50, 100, 200, 400, 500];
/// How often whoever dialled tries to record what came of it, and the pause before each try: whoever follows the dispatch goes
/// on after that.
const TRIES: u32 = 60;
const AGAIN_PAUSE: Duration = Duration::from_secs(1);
/// How often `WORKER_WAIT` is waited for while LiveKit cannot be asked, before whoever follows the dispatch goes on.
const ROUNDS: u32 = 5;

/// What a look shows of the dispatch.
enum Seen {
    /// Workers have these.
    Jobs(Vec<Job>),
    /// It is there, and nobody has it.
    NoJob,
    /// It is not there any more.
    Gone,
    /// LiveKit could not be asked.
    Nothing,
}

/// Waits beside the request for a worker.
pub(crate) fn begin(state: &AppState, call: &Call) {
    let (owned, call) = (state.clone(), call.clone());
    drop(state.kit.tasks.spawn(async move {
        if let Err(error) = settle(&owned, &call).await {
            tracing::warn!(room = %call.room, %error, "whether a worker has the job could not be recorded");
        }
    }));
}

/// Records the job once there is one, or that there is none within `WORKER_WAIT`. Whoever takes over a dispatch that has no
/// job calls it again.
pub(crate) async fn settle(state: &AppState, call: &Call) -> Result<(), Error> {
    let Some(verdict) = judge(state, call).await else {
        return Ok(());
    };
    let stopping = state.kit.tasks.stopping();
    // What was found out cannot always be found out again: of a dispatch that was deleted nothing is left.
    for _ in 0..TRIES {
        let recorded = match &verdict {
            Verdict::Taken(jobs) => take(state, call.id, jobs).await,
            Verdict::Lost => lost(state, call.id).await,
            Verdict::Nobody => nobody(state, call.id).await,
        };
        let Err(error) = recorded else { return Ok(()) };
        tracing::warn!(room = %call.room, %error, "what became of a job is recorded again soon");
        let pause = tokio::time::sleep(AGAIN_PAUSE);
        if stopping.run_until_cancelled(pause).await.is_none() {
            break;
        }
    }
    Err(sqlx::Error::PoolTimedOut.into())
}

/// What became of a dispatch.
enum Verdict {
    /// A worker has one of these jobs.
    Taken(Vec<Job>),
    /// It is gone, and nobody saw whether a worker had it.
    Lost,
    /// Nobody has it, and nobody will.
    Nobody,
}

/// Finds out whether a worker has the job; a dispatch that nobody has is deleted. Nothing where somebody else knows, or nobody.
async fn judge(state: &AppState, call: &Call) -> Option<Verdict> {
    let dispatch = call.dispatch_id.as_ref()?;
    for _ in 0..ROUNDS {
        // Whoever follows it next waits again.
        match appear(state, call).await? {
            Seen::Jobs(jobs) => return Some(Verdict::Taken(jobs)),
            Seen::Gone => return Some(Verdict::Lost),
            Seen::Nothing => continue,
            Seen::NoJob => match goes_on(state, call.id).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(room = %call.room, %error, "whether a call goes on is not known");
                    continue;
                }
            },
        }
        // Its last state is the proof: a worker may have taken it since the look.
        if let Ok(Some(last)) = state.livekit.delete_dispatch(dispatch, &call.room).await {
            return Some(match taken(&last.jobs) {
                Some(_) => Verdict::Taken(last.jobs),
                None => Verdict::Nobody,
            });
        }
    }
    tracing::warn!(room = %call.room, "whether a worker has the job cannot be found out");
    None
}

/// What LiveKit shows: jobs as soon as there are any, anything else once `WORKER_WAIT` is over. Nothing where the service stops.
async fn appear(state: &AppState, call: &Call) -> Option<Seen> {
    let deadline = Instant::now() + state.settings.worker_wait.0;
    let last = *PAUSES_MS.last().unwrap_or(&500);
    let mut pauses = PAUSES_MS.into_iter();
    loop {
        let pause = Duration::from_millis(pauses.next().unwrap_or(last));
        let until = (Instant::now() + pause).min(deadline);
        let stopping = state.kit.tasks.stopping();
        stopping
            .run_until_cancelled(tokio::time::sleep_until(until))
            .await?;
        let is_last = Instant::now() >= deadline;
        let seen = look(state, call).await;
        if is_last || matches!(seen, Seen::Jobs(_)) {
            return Some(seen);
        }
    }
}

async fn look(state: &AppState, call: &Call) -> Seen {
    match state.livekit.list_dispatches(&call.room).await {
        Ok(listed) => {
            let mut own = listed
                .into_iter()
                .filter(|found| Some(&found.id) == call.dispatch_id.as_ref());
            match own.next() {
                Some(own) if taken(&own.jobs).is_some() => Seen::Jobs(own.jobs),
                Some(_) => Seen::NoJob,
                None => Seen::Gone,
            }
        }
        // LiveKit says the same of a room that is gone and of one that it cannot reach.
        Err(trouble) if trouble.is_missing() => match state.livekit.room_exists(&call.room).await {
            Ok(false) => Seen::Gone,
            Ok(true) | Err(_) => Seen::Nothing,
        },
        Err(_) => Seen::Nothing,
    }
}

/// Whether webhooks have told meanwhile that the call goes on, or is over.
async fn goes_on(state: &AppState, id: CallId) -> Result<bool, Error> {
    let call = bounded(calls::get(&state.kit.pool, id)).await?;
    Ok(call.is_none_or(|call| call.job_id.is_some() || call.status != Status::Dispatched))
}

async fn take(state: &AppState, id: CallId, jobs: &[Job]) -> Result<(), Error> {
    let Some(job) = taken(jobs) else { return Ok(()) };
    if bounded(calls::take_jobs(&state.kit.pool, id, job, jobs, state.now())).await? {
        state.announce(id);
    }
    Ok(())
}

/// The dispatch is gone, and nobody saw whether a worker had it: the call is over, and may have happened.
async fn lost(state: &AppState, id: CallId) -> Result<(), Error> {
    end(state, id, |call| {
        call.status = Status::Ended;
        call.call_end = Some(call.updated_at);
        call.end_reason = Some(EndReason::Unknown);
        call.message = Some("the room was closed before anybody saw whether a worker had the job".to_owned());
        Freed::Nothing
    })
    .await
}

/// There was no job, and there will be none.
async fn nobody(state: &AppState, id: CallId) -> Result<(), Error> {
    let wait = humantime::format_duration(state.settings.worker_wait.0);
    end(state, id, |call| {
        if call.cancel_at.is_some() {
            call.status = Status::Ended;
            call.call_end = Some(call.updated_at);
            return Freed::Nothing;
        }
        call.status = Status::NoWorker;
        call.warning = Some(format!(
            "no worker of agent {} took the job within {wait}: nobody was called",
            call.agent_name
        ));
        Freed::KeyAndWindow
    })
    .await
}

/// What is free again after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freed {
    KeyAndWindow,
    Nothing,
}

/// Ends a call that has no job, unless somebody has learned more of it.
async fn end(state: &AppState, id: CallId, how: impl FnOnce(&mut Call) -> Freed) -> Result<(), Error> {
    let work = async {
        let mut tx = state.kit.pool.begin().await?;
        let Some(mut call) = calls::lock(&mut tx, id).await? else {
            return Ok(None);
        };
        if call.status != Status::Dispatched || call.job_id.is_some() {
            return Ok(None);
        }
        let before = call.status;
        call.updated_at = state.now();
        let freed = how(&mut call);
        let after = ending::save(state, &mut tx, &mut call, before).await?;
        if freed == Freed::KeyAndWindow {
            calls::free_key(&mut tx, id).await?;
            dial::free_window(&mut tx, id).await?;
        }
        tx.commit().await?;
        tracing::warn!(room = %call.room, agent = %call.agent_name, status = call.status.word(), "no worker was seen with the job");
        Ok(Some((after, freed)))
    };
    if let Some((after, freed)) = bounded(work).await? {
        if freed == Freed::KeyAndWindow {
            metrics::counter!("dispatches_without_worker_total").increment(1);
        }
        after.done(state);
    }
    Ok(())
}
