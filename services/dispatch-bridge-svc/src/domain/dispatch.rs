//! How far a dial has come, and what a call is: the states of a row.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ids::{CallId, DispatchId, Room};
use super::livekit::Job;
use super::words::words;

words! {
    /// How far a dial has come. Only `Placed` is a dispatch that is known.
    pub enum Step {
        /// The room's name is taken; nothing can have been dialled.
        Reserved = "reserved",
        /// CreateDispatch may be on its way.
        Sending = "sending",
        /// LiveKit has the dispatch.
        Placed = "placed",
        /// Certainly not dialled: key and window are free.
        Unsent = "unsent",
        /// May have been dialled: nobody can tell. Never sent again under its key.
        Unknown = "unknown",
    }
}

words! {
    /// How a call stands.
    pub enum Status {
        /// LiveKit has the dispatch.
        Dispatched = "dispatched",
        /// The phone rings.
        Ringing = "ringing",
        /// Somebody has answered.
        Answered = "answered",
        /// It is over.
        Ended = "ended",
        /// No worker took it; nobody was called.
        NoWorker = "no_worker",
        /// It did not come about.
        Failed = "failed",
    }
}

impl Status {
    /// Nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Ended | Self::NoWorker | Self::Failed)
    }
}

words! {
    /// Why a call is over.
    pub enum EndReason {
        /// Nobody answered.
        NoAnswer = "no_answer",
        /// The line was busy.
        Busy = "busy",
        /// The callee declined.
        Declined = "declined",
        /// The carrier refused.
        Refused = "refused",
        /// The trunk failed.
        TrunkFailure = "trunk_failure",
        /// Somebody hung up.
        Hangup = "hangup",
        /// It was cancelled here.
        Cancelled = "cancelled",
        /// The agent broke.
        AgentError = "agent_error",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

/// A call, as its row holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The row.
    pub id: CallId,
    /// Its room.
    pub room: Room,
    /// How far the dial has come.
    pub step: Step,
    /// How it stands.
    pub status: Status,
    /// The replica that dials or follows it.
    pub holder: Option<Uuid>,
    /// When CreateDispatch was about to be sent, by the database's clock.
    pub sending_at: Option<DateTime<Utc>>,
    /// LiveKit's id, once it is placed.
    pub dispatch_id: Option<DispatchId>,
    /// The job of the worker that took it.
    pub job_id: Option<String>,
    /// The jobs as they are shown.
    pub jobs: Vec<Job>,
    /// The agent.
    pub agent_name: String,
    /// Whose call it is.
    pub account_code: String,
    /// The number as given.
    pub destination: String,
    /// Its digits.
    pub digits: String,
    /// The answer's `metadata`.
    pub metadata: Map<String, Value>,
    /// Normalised.
    pub session_options: Map<String, Value>,
    /// Whether it is to be recorded.
    pub record_call: bool,
    /// The key that it was asked for with.
    pub idempotency_key: Option<String>,
    /// The request of the key.
    pub request_hash: Option<Vec<u8>>,
    /// What the request of the key was answered.
    pub answer: Option<Value>,
    /// When it was answered.
    pub call_start: Option<DateTime<Utc>>,
    /// When somebody hung up.
    pub call_end: Option<DateTime<Utc>>,
    /// Why it is over.
    pub end_reason: Option<EndReason>,
    /// The carrier's words, or ours.
    pub message: Option<String>,
    /// What a caller should know besides.
    pub warning: Option<String>,
    /// What is shown of the recording.
    pub recording: Option<Value>,
    /// What the fold of observations remembers.
    pub observed: Value,
    /// When somebody asked to cancel it.
    pub cancel_at: Option<DateTime<Utc>>,
    /// The result that is owed or was sent.
    pub result_delivery: Option<Uuid>,
    /// When it was reserved.
    pub created_at: DateTime<Utc>,
    /// Of the last change that is shown.
    pub updated_at: DateTime<Utc>,
    /// The transaction of that change.
    pub revision: i64,
}

/// How long after it was noted that CreateDispatch is about to be sent it may be sent. A process that stood still for longer
/// notes it anew, which shows whether somebody else has taken the dial over.
pub const SENT_WITHIN: Duration = Duration::from_secs(3);
/// Longest that LiveKit may take for an answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Seconds after CreateDispatch was about to be sent, after which a missing dispatch is not on its way any more.
pub const SETTLED_AFTER_S: i64 = 15;
// Whoever sends again finds nothing of the first one on its way.
const _: () = assert!(SENT_WITHIN.as_secs() + ANSWER_LIMIT.as_secs() < SETTLED_AFTER_S as u64);
/// Seconds after which a dial that nobody asks for again is given up.
pub const GIVEN_UP_AFTER_S: i64 = 60;
/// Seconds after which LiveKit has closed an empty room by itself.
pub const ROOM_EMPTY_S: u32 = 600;

/// What a room says about a dial whose CreateDispatch may be on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witness {
    /// The room holds these dispatches, the first one first.
    Holds(usize),
    /// The room is there, and empty.
    Empty,
    /// There is no room, or LiveKit cannot tell.
    Missing,
    /// LiveKit cannot be asked just now.
    Silent,
}

/// Who looks after a dial that a crash left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// A caller who repeats his request with the key: he may have it sent again.
    Caller,
    /// The job: it never sends.
    Job,
}

/// What is to be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Take the dispatch as ours, and remove what is too much.
    Adopt,
    /// Look again later.
    Wait,
    /// Send it into the same room.
    SendAgain,
    /// Nobody can tell: never again under this key.
    GiveUp,
}

/// What becomes of a dial in `sending` whose process died, `age_s` after CreateDispatch was about to be sent. A missing
/// dispatch proves nothing before it cannot be on its way any more, and nothing at all without the room.
pub fn repair(witness: &Witness, heir: Heir, age_s: i64) -> Repair {
    match (witness, heir) {
        (Witness::Holds(_), _) => Repair::Adopt,
        (Witness::Missing, _) => Repair::GiveUp,
        (Witness::Empty, Heir::Caller) if age_s >= SETTLED_AFTER_S => Repair::SendAgain,
        (Witness::Empty, Heir::Job) if age_s >= GIVEN_UP_AFTER_S => Repair::GiveUp,
        (Witness::Silent, _) if age_s >= i64::from(ROOM_EMPTY_S) => Repair::GiveUp,
        (Witness::Empty | Witness::Silent, _) => Repair::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for step in Step::ALL {
            assert_eq!(Step::of(step.word()), Some(*step));
        }
        for status in Status::ALL {
            assert_eq!(Status::of(status.word()), Some(*status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
        assert_eq!(EndReason::of("nothing"), None);
    }

    #[test]
    fn a_dispatch_in_the_room_is_adopted_by_whoever_finds_it() {
        for heir in [Heir::Caller, Heir::Job] {
            for age in [0, 14, 15, 60, 10_000] {
                assert_eq!(repair(&Witness::Holds(1), heir, age), Repair::Adopt);
                assert_eq!(repair(&Witness::Holds(3), heir, age), Repair::Adopt);
            }
        }
    }

    #[test]
    fn without_its_room_nobody_can_tell() {
        for heir in [Heir::Caller, Heir::Job] {
            for age in [0, 15, 60] {
                assert_eq!(repair(&Witness::Missing, heir, age), Repair::GiveUp);
            }
        }
    }

    #[test]
    fn an_empty_room_is_a_proof_after_a_while_and_only_a_caller_sends_again() {
        for (heir, age, expected) in [
            (Heir::Caller, 0, Repair::Wait),
            (Heir::Caller, 14, Repair::Wait),
            (Heir::Caller, 15, Repair::SendAgain),
            (Heir::Caller, 500, Repair::SendAgain),
            (Heir::Job, 15, Repair::Wait),
            (Heir::Job, 59, Repair::Wait),
            (Heir::Job, 60, Repair::GiveUp),
        ] {
            assert_eq!(repair(&Witness::Empty, heir, age), expected, "{heir:?} {age}");
        }
    }

    #[test]
    fn while_livekit_is_silent_nothing_is_decided_until_the_room_must_be_gone() {
        for heir in [Heir::Caller, Heir::Job] {
            assert_eq!(repair(&Witness::Silent, heir, 599), Repair::Wait);
            assert_eq!(repair(&Witness::Silent, heir, 600), Repair::GiveUp);
        }
    }
}
