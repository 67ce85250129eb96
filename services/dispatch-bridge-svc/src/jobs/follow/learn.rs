//! What was learned of a call goes into its row: facts are joined under the row's lock, what is shown follows from them, and
//! the end is one transaction with the result that n8n is owed.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::record;
use crate::app::AppState;
use crate::domain::call::{Course, Facts};
use crate::domain::call_seen::Parties;
use crate::domain::dispatch::{Call, EndReason, Status, Step};
use crate::domain::ids::{CallId, Room};
use crate::domain::livekit::{Job, taken};
use crate::domain::webhook::{Event, Subject};
use crate::ending::{self, AfterCommit};
use crate::error::Error;
use crate::store;
use crate::store::events::Happening;

/// Most jobs that are shown of a dispatch.
const MAX_JOBS: usize = 10;

/// What was learned.
pub(super) struct News {
    pub(super) facts: Facts,
    pub(super) jobs: Vec<Job>,
    /// A call that is over for no known reason ends later.
    pub(super) is_patient: bool,
}

impl Default for News {
    fn default() -> Self {
        Self {
            facts: Facts::default(),
            jobs: Vec::new(),
            is_patient: true,
        }
    }
}

impl News {
    /// Whether all of it is in the row already, and shown.
    pub(super) fn is_old(&self, call: &Call, facts: &Facts) -> bool {
        let adds_nothing = self.facts.clone().join(facts.clone()) == *facts;
        let knows_jobs = self.jobs.iter().all(|job| call.jobs.contains(job));
        adds_nothing
            && knows_jobs
            && (self.is_patient || facts.over_at().is_none())
            && call.status == facts.course().status
    }
}

/// What is known of a call.
pub(super) fn known(call: &Call) -> Facts {
    // What an older release wrote, or a newer one, is read as far as it goes.
    let observed: Facts = serde_json::from_value(call.observed.clone()).unwrap_or_default();
    observed.join(Facts {
        cancelled: call.cancel_at.is_some(),
        ..Facts::default()
    })
}

/// Who takes part in a call.
pub(super) fn parties<'a>(call: &'a Call, facts: &'a Facts) -> Parties<'a> {
    Parties {
        destination: &call.digits,
        transfer_target: call.metadata.get("transfer_target").and_then(Value::as_str),
        callee: facts.callee.as_ref().map(|leg| leg.identity.as_str()),
    }
}

/// Takes an event of LiveKit's: known again by its id, joined to what is known, done when this returns.
pub(crate) async fn take_event(state: &AppState, event: &Event) -> Result<(), Error> {
    let Some(room) = event.room.as_deref().and_then(Room::parse) else {
        counted("other_room");
        return Ok(());
    };
    let mut tx = state.kit.pool.begin().await?;
    let Some(mut call) = store::follow::lock_room(&mut tx, &room).await? else {
        counted("other_room");
        return Ok(());
    };
    let happening = Happening {
        kind: event.name.clone(),
        at: event.at,
        detail: event.detail(),
        source_id: Some(event.id.clone()),
    };
    let is_new = store::events::insert(&mut tx, call.id, &happening).await?;
    let news = told(&call, event);
    let applied = apply(state, &mut tx, &mut call, news).await?;
    if is_new && applied.shown.is_none() {
        store::follow::touch(&mut *tx, call.id, state.now()).await?;
    }
    tx.commit().await?;
    if is_new && applied.shown.is_none() {
        state.announce(call.id);
    }
    applied.tell(state, &call);
    counted(if is_new { "taken" } else { "duplicate" });
    Ok(())
}

/// What an event tells of a call.
fn told(call: &Call, event: &Event) -> News {
    let mut facts = event.facts(&parties(call, &known(call)));
    // Others may record a room for themselves.
    facts.recording = facts.recording.filter(|_| call.record_call);
    let Subject::Job(job) = &event.subject else {
        return News {
            facts,
            ..News::default()
        };
    };
    let own = call.dispatch_id.as_ref().map(|id| id.as_str());
    // Another dispatch in the room is none of this call's.
    if own.is_some_and(|own| own != job.dispatch_id && !job.dispatch_id.is_empty()) {
        return News::default();
    }
    let mut job = job.clone();
    if job.dispatch_id.is_empty() {
        job.dispatch_id = own.unwrap_or_default().to_owned();
    }
    News {
        facts,
        jobs: vec![job],
        ..News::default()
    }
}

fn counted(result: &'static str) {
    metrics::counter!("dispatch_webhooks_total", "result" => result).increment(1);
}

/// Joins news to what is known of a call, and gives all that is known then. Nothing where another replica follows it.
pub(super) async fn learn(state: &AppState, id: CallId, news: News) -> Result<Option<Facts>, sqlx::Error> {
    let mut tx = state.kit.pool.begin().await?;
    let Some(mut call) = store::calls::lock(&mut tx, id).await? else {
        return Ok(None);
    };
    if call.holder != Some(state.kit.replica.id()) {
        return Ok(None);
    }
    let applied = apply(state, &mut tx, &mut call, news).await?;
    tx.commit().await?;
    applied.tell(state, &call);
    Ok(Some(known(&call)))
}

/// Ends a locked call that is over as far as is known, though a better reason may still come. Nothing where it goes on.
pub(crate) async fn end_as_known(
    state: &AppState,
    conn: &mut PgConnection,
    call: &mut Call,
) -> Result<Option<Applied>, sqlx::Error> {
    if known(call).over_at().is_none() {
        return Ok(None);
    }
    let news = News {
        is_patient: false,
        ..News::default()
    };
    apply(state, conn, call, news).await.map(Some)
}

/// What came of news.
pub(crate) struct Applied {
    /// Something changed that is shown.
    shown: Option<AfterCommit>,
    /// The call is over, and its recording is not: this replica follows it.
    is_recorded_still: bool,
}

impl Applied {
    /// After the commit.
    pub(crate) fn tell(self, state: &AppState, call: &Call) {
        match self.shown {
            Some(after) if self.is_recorded_still => {
                after.done_after(state, record::end(state.clone(), call.clone()));
                super::begin(state, call);
            }
            Some(after) => after.done(state),
            None => {}
        }
        state.following.hint(call.id);
    }
}

/// Joins news to a locked call, and writes what changed.
async fn apply(
    state: &AppState,
    conn: &mut PgConnection,
    call: &mut Call,
    news: News,
) -> Result<Applied, sqlx::Error> {
    let before = call.clone();
    let facts = known(call).join(news.facts);
    call.observed = json!(facts);
    merge_jobs(call, news.jobs);
    // What comes before the dispatch is recorded is remembered until it is.
    if call.step == Step::Placed && call.status != Status::NoWorker {
        call.recording = facts.recording.as_ref().map(|recording| json!(recording));
        let course = facts.course();
        if is_to_be_shown(call, &course, news.is_patient && !facts.is_explained()) {
            show(call, course);
        }
        note_steps(state, conn, &before, call).await?;
    }
    let mut applied = Applied {
        shown: None,
        is_recorded_still: false,
    };
    if is_shown_otherwise(&before, call) {
        applied.shown = Some(ending::save(state, conn, call, before.status).await?);
        let ended = call.status.is_final() && !before.status.is_final();
        applied.is_recorded_still = ended
            && facts
                .recording
                .is_some_and(|recording| !recording.state.is_over());
        if applied.is_recorded_still {
            store::follow::hold(conn, call.id, state.kit.replica.id()).await?;
        }
    } else if call.observed != before.observed {
        store::follow::remember(conn, call.id, &call.observed).await?;
    }
    Ok(applied)
}

/// Whether a call is shown as its facts have it. Its end is not, while a better reason may come; and what was ended here stays
/// as it was ended.
fn is_to_be_shown(call: &Call, course: &Course, waits: bool) -> bool {
    match (call.status.is_final(), course.status.is_final()) {
        (false, false) => true,
        (false, true) => !waits,
        (true, false) => false,
        (true, true) => call.end_reason != Some(EndReason::Cancelled),
    }
}

fn show(call: &mut Call, course: Course) {
    call.status = course.status;
    call.call_start = course.call_start;
    call.call_end = course.call_end;
    call.end_reason = course.end_reason;
    call.message = course.message;
}

/// Whether a caller sees a difference.
fn is_shown_otherwise(before: &Call, call: &Call) -> bool {
    let unseen = Call {
        observed: before.observed.clone(),
        ..call.clone()
    };
    unseen != *before
}

/// Of a job that is known already, the state that is further.
fn merge_jobs(call: &mut Call, jobs: Vec<Job>) {
    for job in jobs {
        let room = call.jobs.len() < MAX_JOBS;
        match call.jobs.iter_mut().find(|known| known.id == job.id) {
            Some(known)
                if (job.state.status, job.state.ended_at) >= (known.state.status, known.state.ended_at) =>
            {
                let started_at = job.state.started_at.or(known.state.started_at);
                *known = job;
                known.state.started_at = started_at;
            }
            Some(_) => {}
            None if room => call.jobs.push(job),
            None => {}
        }
    }
    if call.job_id.is_none() {
        call.job_id = taken(&call.jobs).map(str::to_owned);
    }
}

/// Enters into the timeline how far the call has come.
async fn note_steps(
    state: &AppState,
    conn: &mut PgConnection,
    before: &Call,
    call: &Call,
) -> Result<(), sqlx::Error> {
    let now = state.now();
    if call.status != before.status {
        let (at, detail) = match call.status {
            Status::Answered => (call.call_start, json!({})),
            Status::Ended | Status::Failed => (
                call.call_end,
                json!({"reason": call.end_reason, "message": call.message}),
            ),
            Status::Dispatched | Status::Ringing | Status::NoWorker => (None, json!({})),
        };
        note(conn, call, call.status.word(), at.unwrap_or(now), detail).await?;
    }
    if call.recording != before.recording
        && let Some(recording) = &call.recording
    {
        let state = recording
            .get("state")
            .and_then(Value::as_str)
            .unwrap_or("unknown");
        note(conn, call, &format!("recording_{state}"), now, recording.clone()).await?;
    }
    Ok(())
}

async fn note(
    conn: &mut PgConnection,
    call: &Call,
    kind: &str,
    at: DateTime<Utc>,
    detail: Value,
) -> Result<(), sqlx::Error> {
    let happening = Happening {
        kind: kind.to_owned(),
        at,
        detail,
        source_id: Some(format!("{}:{kind}", call.id)),
    };
    store::events::insert(conn, call.id, &happening).await?;
    Ok(())
}
