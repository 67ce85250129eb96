//! What LiveKit shows of a call, as facts: its participants, the agent's jobs, the room. A webhook shows one of them, a look
//! all.

use chrono::{DateTime, Utc};

use super::call::{Facts, Left, Leg};
use super::livekit::{Job, KIND_SIP, Participant};

/// Longest error of a job that is taken over, in characters.
const MAX_ERROR_CHARS: usize = 500;
/// Longest identity that is taken over, in characters.
const MAX_IDENTITY_CHARS: usize = 255;
/// Attributes of a participant that is a phone.
const CALL_STATUS: &str = "sip.callStatus";
const PHONE_NUMBER: &str = "sip.phoneNumber";
/// The first number of a job's status that means that it is over, and the one that means that it failed.
const JOB_OVER: i32 = 2;
const JOB_FAILED: i32 = 3;

/// How far a phone's call has come, as `sip.callStatus` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallStatus {
    Dialing,
    Ringing,
    Active,
    Hangup,
}

/// The status of a participant; `automation` means that digits are dialled behind an exchange that took the call.
fn call_status(participant: &Participant) -> Option<CallStatus> {
    match participant.attributes.get(CALL_STATUS)?.as_str() {
        "dialing" => Some(CallStatus::Dialing),
        "ringing" | "automation" => Some(CallStatus::Ringing),
        "active" => Some(CallStatus::Active),
        "hangup" => Some(CallStatus::Hangup),
        _ => None,
    }
}

/// The meaning of LiveKit's `DisconnectReason`; nothing where it gives none.
fn left(participant: &Participant) -> Option<Left> {
    Some(match participant.disconnect_reason {
        0 => return None,
        1 => Left::HungUp,
        // Another connection took its place, the server or the connection went away.
        2 | 3 | 6 | 8 | 9 | 14 => Left::Lost,
        // Removed, room deleted, room closed.
        4 | 5 | 10 => Left::Removed,
        7 | 15 => Left::Media,
        11 => Left::Unavailable,
        12 => Left::Rejected,
        13 => Left::Trunk,
        16 => Left::AgentError,
        _ => Left::Unknown,
    })
}

/// Whether a participant that left is there again in another connection: `DUPLICATE_IDENTITY`, `MIGRATION`.
pub(crate) fn moves_on(participant: &Participant) -> bool {
    matches!(participant.disconnect_reason, 2 | 8)
}

/// Who takes part in a call: tells the callee's leg from the one to whom he is handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parties<'a> {
    /// Digits of the destination.
    pub(crate) destination: &'a str,
    /// Whom the agent hands over to, as it was given.
    pub(crate) transfer_target: Option<&'a str>,
    /// The identity of the callee's leg, once it was seen.
    pub(crate) callee: Option<&'a str>,
}

impl Parties<'_> {
    /// Whether a participant is the callee. Its number decides, where LiveKit shows it.
    pub(crate) fn is_callee(&self, participant: &Participant) -> bool {
        if participant.kind != KIND_SIP && !participant.attributes.contains_key(CALL_STATUS) {
            return false;
        }
        let number = participant
            .attributes
            .get(PHONE_NUMBER)
            .map(|number| digits(number))
            .filter(|digits| !digits.is_empty());
        match number {
            Some(number) if number == self.destination => true,
            Some(number)
                if self
                    .transfer_target
                    .map(digits)
                    .is_some_and(|target| target == number) =>
            {
                false
            }
            _ => self.callee.is_none_or(|callee| callee == participant.identity),
        }
    }
}

/// The digits of a number, without `+` or `00`.
fn digits(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map(str::to_owned).unwrap_or(digits)
}

/// The callee is in the room.
pub(crate) fn present(callee: &Participant, at: DateTime<Utc>) -> Facts {
    let status = call_status(callee);
    let rings = !matches!(status, Some(CallStatus::Dialing | CallStatus::Hangup));
    let is_over = status == Some(CallStatus::Hangup);
    Facts {
        callee: Some(leg(callee, at)),
        rang_at: rings.then_some(at),
        answered_at: (status == Some(CallStatus::Active)).then_some(at),
        left_at: is_over.then_some(at),
        left: left(callee).filter(|_| is_over),
        ..Facts::default()
    }
}

/// The callee is gone.
pub(crate) fn gone(callee: &Participant, at: DateTime<Utc>) -> Facts {
    Facts {
        callee: Some(leg(callee, at)),
        answered_at: (call_status(callee) == Some(CallStatus::Active)).then_some(at),
        left_at: Some(at),
        left: Some(left(callee).unwrap_or(Left::Unknown)),
        ..Facts::default()
    }
}

fn leg(callee: &Participant, at: DateTime<Utc>) -> Leg {
    Leg {
        seen_at: at,
        identity: callee.identity.chars().take(MAX_IDENTITY_CHARS).collect(),
    }
}

/// The callee, of whom nothing more is known, is gone.
pub(crate) fn missing(at: DateTime<Utc>) -> Facts {
    Facts {
        left_at: Some(at),
        left: Some(Left::Unknown),
        ..Facts::default()
    }
}

/// The room is closed.
pub(crate) fn closed(at: DateTime<Utc>) -> Facts {
    Facts {
        closed_at: Some(at),
        ..Facts::default()
    }
}

/// The agent is done, and no callee is there.
pub(crate) fn deserted(at: DateTime<Utc>) -> Facts {
    Facts {
        deserted_at: Some(at),
        ..Facts::default()
    }
}

/// Whether a job is over.
pub(crate) fn is_over(job: &Job) -> bool {
    job.state.status >= JOB_OVER || job.state.ended_at.is_some()
}

/// What a job says.
pub(crate) fn job(job: &Job) -> Facts {
    let error = job.state.error.trim();
    Facts {
        job_over: is_over(job),
        job_failed: job.state.status == JOB_FAILED,
        job_error: (!error.is_empty()).then(|| error.chars().take(MAX_ERROR_CHARS).collect()),
        ..Facts::default()
    }
}
