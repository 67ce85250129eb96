//! Recording a call: its egress begins with the answer and ends with the call. What fails here is told, and harms no call.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::learn::{self, News};
use crate::app::AppState;
use crate::domain::call::Facts;
use crate::domain::dispatch::Call;
use crate::domain::recording::{Act, MAX_STARTS, Recording, RecordingState, plan};
use crate::domain::trouble::Trouble;

/// Between two looks at a recording that starts or ends, and at one that goes well.
const CHANGING: Duration = Duration::from_secs(2);
const STEADY: Duration = Duration::from_secs(15);

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    starts: u32,
    stopped: bool,
    looked_at: Option<Instant>,
}

impl Memory {
    /// Whether it is time to look again; if so, that counts as a look.
    fn looks(&mut self, facts: &Facts) -> bool {
        let recording = facts.recording.as_ref();
        let is_steady = recording.is_some_and(|recording| recording.state == RecordingState::Active);
        let pause = if is_steady && facts.over_at().is_none() {
            STEADY
        } else {
            CHANGING
        };
        let due = self.looked_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.looked_at = Some(Instant::now());
        }
        due
    }
}

/// Whether nothing more is to be done.
pub(super) fn is_over(call: &Call, facts: &Facts, memory: &Memory, now: DateTime<Utc>) -> bool {
    plan(call.record_call, facts, memory.starts, memory.stopped, now) == Act::Nothing
}

/// Does what is to be done now, and gives what is known of the call then; nothing where another replica follows it.
pub(super) async fn act(
    state: &AppState,
    call: &Call,
    facts: Facts,
    memory: &mut Memory,
) -> Result<Option<Facts>, sqlx::Error> {
    let now = state.now();
    let learned = match plan(call.record_call, &facts, memory.starts, memory.stopped, now) {
        Act::Nothing => None,
        Act::Start => {
            // Noted before the request: whoever follows the call after a crash looks first whether there is an egress.
            if learn::learn(state, call.id, recorded(Recording::beginning()))
                .await?
                .is_none()
            {
                return Ok(None);
            }
            start(state, call, memory).await
        }
        Act::Stop => stop(state, call, &facts, memory).await,
        Act::Look if memory.looks(&facts) => look(state, call, &facts).await,
        Act::Look => None,
    };
    match learned {
        Some(recording) => learn::learn(state, call.id, recorded(recording)).await,
        None => Ok(Some(facts)),
    }
}

fn recorded(recording: Recording) -> News {
    News {
        facts: Facts {
            recording: Some(recording),
            ..Facts::default()
        },
        ..News::default()
    }
}

async fn start(state: &AppState, call: &Call, memory: &mut Memory) -> Option<Recording> {
    memory.starts += 1;
    if state.settings.recording_provider.is_none() {
        return Some(not_started(
            call,
            "RECORDING_PROVIDER is not set: nothing can be recorded",
        ));
    }
    match find_or_start(state, call).await {
        Ok(recording) => {
            tracing::info!(room = %call.room, egress = recording.egress_id, "recording");
            Some(recording)
        }
        // An answer that was lost may have begun one: the next try looks first.
        Err(trouble) if memory.starts < MAX_STARTS && !is_verdict(&trouble) => {
            tracing::debug!(room = %call.room, %trouble, "the recording did not start; it is tried again");
            None
        }
        Err(trouble) => Some(not_started(call, &trouble.to_string())),
    }
}

/// Whether LiveKit turned it down, and would again.
fn is_verdict(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused(_)) && trouble.is_certain()
}

fn not_started(call: &Call, why: &str) -> Recording {
    metrics::counter!("dispatch_recordings_failed_total").increment(1);
    tracing::warn!(room = %call.room, why, "a call is not recorded");
    Recording::not_started(why)
}

/// The egress of the room where there is one already, as after a crash; else a new one.
async fn find_or_start(state: &AppState, call: &Call) -> Result<Recording, Trouble> {
    let found = state.livekit.list_recordings(&call.room).await?;
    let egress = match found.into_iter().next() {
        Some(egress) => egress,
        None => {
            let file = format!("{}.ogg", call.room);
            state.livekit.start_recording(&call.room, &file).await?
        }
    };
    Recording::of(&egress).ok_or(Trouble::Broken)
}

/// Stops the recording of a call that has just ended, before its room is deleted. Where that fails, whoever follows the
/// call tries again.
pub(super) async fn end(state: AppState, call: Call) {
    let facts = learn::known(&call);
    let mut memory = Memory::default();
    if let Some(recording) = stop(&state, &call, &facts, &mut memory).await
        && let Err(error) = learn::learn(&state, call.id, recorded(recording)).await
    {
        tracing::debug!(room = %call.room, %error, "that a recording ends could not be noted");
    }
}

async fn stop(state: &AppState, call: &Call, facts: &Facts, memory: &mut Memory) -> Option<Recording> {
    let egress = facts.recording.as_ref()?.egress_id.as_deref()?;
    match state.livekit.stop_recording(egress).await {
        Ok(egress) => {
            memory.stopped = true;
            Recording::of(&egress)
        }
        Err(trouble) => {
            // One that is over already cannot be stopped; what became of it is looked up.
            memory.stopped = is_verdict(&trouble);
            tracing::debug!(room = %call.room, %trouble, "the recording could not be stopped");
            None
        }
    }
}

/// What became of the recording.
async fn look(state: &AppState, call: &Call, facts: &Facts) -> Option<Recording> {
    let own = facts
        .recording
        .as_ref()
        .and_then(|recording| recording.egress_id.as_deref());
    let found = match state.livekit.list_recordings(&call.room).await {
        Ok(found) => found,
        Err(trouble) => {
            tracing::debug!(room = %call.room, %trouble, "what became of a recording could not be looked up");
            return None;
        }
    };
    match found.iter().find(|egress| own.is_none_or(|own| own == egress.id)) {
        Some(egress) => Recording::of(egress),
        // None was begun, and none will be: the room is gone.
        None if own.is_none() => Some(not_started(call, "the call was over before the recording began")),
        None => None,
    }
}
