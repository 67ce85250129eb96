//! What is known of a call: facts that webhooks and looks at LiveKit bring in any order, several times, or never.
//!
//! Facts are joined, never overwritten: of two moments the earlier one stays, of two reasons the one that says more. So the
//! same facts remain whatever the order in which they came in, and what is shown of the call follows from them alone. It
//! does not know where facts come from.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::call_words::{self, SipStatus};
use super::dispatch::{EndReason, Status};
use super::recording::Recording;

/// What is known of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// The callee's leg, by its first appearance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callee: Option<Leg>,
    /// It rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rang_at: Option<DateTime<Utc>>,
    /// The callee has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered_at: Option<DateTime<Utc>>,
    /// The callee is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_at: Option<DateTime<Utc>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<Left>,
    /// The room is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closed_at: Option<DateTime<Utc>>,
    /// The agent is done, and no callee is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deserted_at: Option<DateTime<Utc>>,
    /// Somebody called it off: whatever ends it then, this is why.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cancelled: bool,
    /// The agent's job is over: it says no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) job_over: bool,
    /// It failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) job_failed: bool,
    /// What the job said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_error: Option<String>,
    /// The recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recording: Option<Recording>,
}

/// A leg of the call: a participant that is a phone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Leg {
    /// When it was first seen.
    pub(crate) seen_at: DateTime<Utc>,
    /// The participant's identity.
    pub(crate) identity: String,
}

/// Why the callee is gone, in LiveKit's terms; a later one says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Left {
    /// Nobody said.
    Unknown,
    /// A server stopped, or a connection was lost.
    Lost,
    /// The room was closed or deleted, or the participant removed: our side hung up.
    Removed,
    /// The media stopped, or never came.
    Media,
    /// The agent broke.
    AgentError,
    /// The caller or the callee hung up.
    HungUp,
    /// Nobody answered.
    Unavailable,
    /// The trunk refused the call, or failed.
    Trunk,
    /// The callee refused the call.
    Rejected,
}

/// What is shown of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Course {
    /// Never `NoWorker`: that is no call.
    pub(crate) status: Status,
    pub(crate) call_start: Option<DateTime<Utc>>,
    pub(crate) call_end: Option<DateTime<Utc>>,
    pub(crate) end_reason: Option<EndReason>,
    /// The carrier's words, or else the agent's.
    pub(crate) message: Option<String>,
}

impl Facts {
    /// What both know together. Commutative, associative, and the same when it is done again.
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            callee: earlier(self.callee, other.callee),
            rang_at: earlier(self.rang_at, other.rang_at),
            answered_at: earlier(self.answered_at, other.answered_at),
            left_at: earlier(self.left_at, other.left_at),
            left: self.left.max(other.left),
            closed_at: earlier(self.closed_at, other.closed_at),
            deserted_at: earlier(self.deserted_at, other.deserted_at),
            cancelled: self.cancelled || other.cancelled,
            job_over: self.job_over || other.job_over,
            job_failed: self.job_failed || other.job_failed,
            job_error: telling(self.job_error, other.job_error),
            recording: Recording::join(self.recording, other.recording),
        }
    }

    /// When the call was over, where it is.
    pub(crate) fn over_at(&self) -> Option<DateTime<Utc>> {
        let ends = [self.left_at, self.closed_at, self.deserted_at];
        ends.into_iter().flatten().min()
    }

    /// Whether it is known why the call is over: then nothing more is to be waited for. Why a call was not answered, the
    /// agent's job knows better than LiveKit.
    pub(crate) fn is_explained(&self) -> bool {
        let left = self.left.is_some_and(|left| left > Left::Removed);
        let explained = match self.answered_at {
            Some(_) => left,
            None => self.carrier_said().is_some() || (self.job_over && (left || self.job_failed)),
        };
        self.over_at().is_some() && (explained || self.cancelled)
    }

    /// What is shown.
    pub(crate) fn course(&self) -> Course {
        let over_at = self.over_at();
        let end_reason = over_at.map(|_| self.end_reason());
        // A moment that is known to the second only may lie after the end.
        let call_start = match (self.answered_at, over_at) {
            (Some(answered), Some(over)) => Some(answered.min(over)),
            (answered, _) => answered,
        };
        Course {
            status: self.status(end_reason),
            call_start: call_start.map(whole),
            call_end: over_at.map(whole),
            end_reason,
            message: over_at.and_then(|_| self.message()),
        }
    }

    /// A call that was never answered because the carrier refused it, or the agent broke, has failed.
    fn status(&self, end_reason: Option<EndReason>) -> Status {
        match end_reason {
            Some(EndReason::Refused | EndReason::TrunkFailure | EndReason::AgentError)
                if self.answered_at.is_none() =>
            {
                Status::Failed
            }
            Some(_) => Status::Ended,
            None if self.answered_at.is_some() => Status::Answered,
            None if self.rang_at.is_some() => Status::Ringing,
            None => Status::Dispatched,
        }
    }

    fn end_reason(&self) -> EndReason {
        if self.cancelled {
            return EndReason::Cancelled;
        }
        let left = self.left.unwrap_or(Left::Unknown);
        match (self.answered_at.is_some(), left) {
            (_, Left::HungUp) => EndReason::Hangup,
            (_, Left::AgentError) => EndReason::AgentError,
            (true, Left::Media | Left::Trunk) => EndReason::TrunkFailure,
            (true, Left::Lost) => EndReason::Unknown,
            (true, Left::Unknown) if self.job_failed => EndReason::AgentError,
            (true, Left::Unknown | Left::Removed | Left::Unavailable | Left::Rejected) => EndReason::Hangup,
            (false, left) => self.refusal(left),
        }
    }

    /// Why a call was never answered: the carrier's own status says most.
    fn refusal(&self, left: Left) -> EndReason {
        if let Some(status) = self.carrier_said() {
            return match status.code {
                486 | 600 => EndReason::Busy,
                603 | 607 | 608 => EndReason::Declined,
                408 | 480 | 487 => EndReason::NoAnswer,
                400..=499 | 604 | 606 => EndReason::Refused,
                _ => EndReason::TrunkFailure,
            };
        }
        match left {
            Left::Unavailable => EndReason::NoAnswer,
            Left::Rejected => EndReason::Busy,
            Left::Trunk | Left::Media => EndReason::TrunkFailure,
            _ if self.job_failed => EndReason::AgentError,
            _ => EndReason::Unknown,
        }
    }

    fn carrier_said(&self) -> Option<SipStatus> {
        self.job_error.as_deref().and_then(call_words::sip_status)
    }

    fn message(&self) -> Option<String> {
        match self.carrier_said() {
            Some(status) => Some(status.to_string()),
            None => self.job_error.clone(),
        }
    }
}

/// The moment in whole milliseconds, as the wire has it: a duration is then the difference of what is shown.
fn whole(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(3)
}

/// The earlier one; whatever there is goes before nothing.
fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Of two errors the one that has the carrier's status.
fn telling(one: Option<String>, other: Option<String>) -> Option<String> {
    let rank = |text: &String| (call_words::sip_status(text).is_some(), text.clone());
    [one, other].into_iter().flatten().max_by_key(rank)
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
