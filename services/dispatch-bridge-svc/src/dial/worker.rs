//! Whether a worker takes a dispatch. LiveKit accepts one though nobody will: then the room is deleted, so that a late
//! worker cannot dial, and number and key are free again.

use std::time::Duration;

use tokio::time::Instant;

use super::bounded;
use crate::app::AppState;
use crate::domain::dispatch::{Call, Status};
use crate::domain::ids::CallId;
use crate::domain::livekit::Job;
use crate::ending;
use crate::error::Error;
use crate::store::{calls, dial};

/// Pauses between two looks, in milliseconds; the last one stays.
const PAUSES_MS: [u64; 6] = [20, 50, 100, 200, 400, 500];
/// How often the room's deletion is tried before the dispatch is left to whoever follows it.
const DELETIONS: u32 = 5;

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
    for _ in 0..DELETIONS {
        if let Some(jobs) = appear(state, call).await {
            return take(state, call.id, &jobs).await;
        }
        if state.kit.tasks.stopping().is_cancelled() {
            // Whoever follows it next waits again.
            return Ok(());
        }
        if state.livekit.delete_room(&call.room).await.is_ok() {
            let jobs = look(state, call).await;
            return match jobs {
                Some(jobs) => take(state, call.id, &jobs).await,
                None => nobody(state, call.id).await,
            };
        }
    }
    tracing::warn!(room = %call.room, "no worker has the job, and the room cannot be deleted");
    Ok(())
}

/// The jobs, once there are any within `WORKER_WAIT`.
async fn appear(state: &AppState, call: &Call) -> Option<Vec<Job>> {
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
        if let Some(jobs) = look(state, call).await {
            return Some(jobs);
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
}

async fn look(state: &AppState, call: &Call) -> Option<Vec<Job>> {
    let listed = state.livekit.list_dispatches(&call.room).await.ok()?;
    let ours = listed
        .into_iter()
        .find(|found| Some(&found.id) == call.dispatch_id.as_ref())?;
    Some(ours.jobs).filter(|jobs| !jobs.is_empty())
}

async fn take(state: &AppState, id: CallId, jobs: &[Job]) -> Result<(), Error> {
    if bounded(calls::take_jobs(&state.kit.pool, id, jobs, state.now())).await? {
        state.announce(id);
    }
    Ok(())
}

/// The room is gone, and there was no job.
async fn nobody(state: &AppState, id: CallId) -> Result<(), Error> {
    let work = async {
        let mut tx = state.kit.pool.begin().await?;
        let Some(mut call) = calls::lock(&mut tx, id).await? else {
            return Ok(None);
        };
        if call.status != Status::Dispatched || call.job_id.is_some() {
            return Ok(None);
        }
        let before = call.status;
        call.status = Status::NoWorker;
        call.warning = Some(format!(
            "no worker of agent {} took the job within {:?}: nobody was called",
            call.agent_name, state.settings.worker_wait.0
        ));
        let after = ending::save(state, &mut tx, &mut call, before).await?;
        calls::free_key(&mut tx, id).await?;
        dial::free_window(&mut tx, id).await?;
        tx.commit().await?;
        tracing::warn!(room = %call.room, agent = %call.agent_name, "no worker took the job");
        Ok(Some(after))
    };
    if let Some(after) = bounded(work).await? {
        metrics::counter!("dispatches_without_worker_total").increment(1);
        after.done(state);
    }
    Ok(())
}
