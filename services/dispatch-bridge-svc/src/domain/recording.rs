//! The recording of a call: what is known of its egress, and what is to be done about it. Nothing here ends a call.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::call::Facts;
use super::livekit::Egress;
use super::words::words;

/// How often the start is tried.
pub(crate) const MAX_STARTS: u32 = 3;
/// How long after the end of a call its recording is waited for.
pub(crate) const SETTLES_WITHIN: TimeDelta = TimeDelta::minutes(10);

words! {
    /// How far a recording has come; a later one says more.
    pub enum RecordingState {
        /// It was asked for.
        Starting = "starting",
        /// It records.
        Active = "active",
        /// The file is being written.
        Ending = "ending",
        /// It was stopped before it began.
        Aborted = "aborted",
        /// It was longer than the project allows.
        LimitReached = "limit_reached",
        /// It failed, or never began.
        Failed = "failed",
        /// The file is there.
        Complete = "complete",
    }
}

impl RecordingState {
    /// The state behind a number of LiveKit's.
    pub(crate) fn of_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Starting,
            1 => Self::Active,
            2 => Self::Ending,
            3 => Self::Complete,
            4 => Self::Failed,
            5 => Self::Aborted,
            6 => Self::LimitReached,
            _ => return None,
        })
    }

    /// Nothing follows.
    pub(crate) fn is_over(self) -> bool {
        self > Self::Ending
    }
}

/// What is known of the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recording {
    /// The egress; nothing where none could be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) egress_id: Option<String>,
    pub(crate) state: RecordingState,
    /// Where the file is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Recording {
    /// What LiveKit says of an egress; nothing where its state is unknown.
    pub(crate) fn of(egress: &Egress) -> Option<Self> {
        let filled = |text: &String| !text.is_empty();
        Some(Self {
            egress_id: Some(egress.id.clone()),
            state: RecordingState::of_number(egress.status)?,
            location: egress
                .location
                .clone()
                .filter(filled)
                .or(egress.filename.clone().filter(filled)),
            error: Some(egress.error.clone()).filter(filled),
        })
    }

    /// A start is about to be tried.
    pub(crate) fn beginning() -> Self {
        Self {
            egress_id: None,
            state: RecordingState::Starting,
            location: None,
            error: None,
        }
    }

    /// No egress could be started.
    pub(crate) fn not_started(why: impl Into<String>) -> Self {
        Self {
            egress_id: None,
            state: RecordingState::Failed,
            location: None,
            error: Some(why.into()),
        }
    }

    /// What both know together. Of two egresses of a room one is shown, always the same.
    pub(crate) fn join(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (one, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.or(other),
        };
        Some(match (&one.egress_id, &other.egress_id) {
            (Some(_), None) => one,
            (None, Some(_)) => other,
            (mine, theirs) if mine == theirs => Self {
                state: one.state.max(other.state),
                location: one.location.max(other.location),
                error: one.error.max(other.error),
                egress_id: one.egress_id,
            },
            (mine, theirs) if mine < theirs => one,
            _ => other,
        })
    }
}

/// What is to be done about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    Start,
    Stop,
    /// See what became of it.
    Look,
}

/// What is to be done now. `starts` and `stopped` are what was tried already.
pub(crate) fn plan(wanted: bool, facts: &Facts, starts: u32, stopped: bool, now: DateTime<Utc>) -> Act {
    if !wanted || facts.answered_at.is_none() {
        return Act::Nothing;
    }
    match (&facts.recording, facts.over_at()) {
        (Some(recording), _) if recording.state.is_over() => Act::Nothing,
        (Some(recording), None) if recording.egress_id.is_some() => Act::Look,
        (_, None) if starts < MAX_STARTS => Act::Start,
        (None, _) | (_, None) => Act::Nothing,
        (Some(_), Some(over)) if now > over + SETTLES_WITHIN => Act::Nothing,
        (Some(recording), Some(_)) => {
            let runs = recording.egress_id.is_some() && recording.state < RecordingState::Ending;
            if runs && !stopped { Act::Stop } else { Act::Look }
        }
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
