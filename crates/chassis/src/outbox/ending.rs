//! The end of a row that its owner writes in a statement of its own, beside the consequence: where one round trip counts.

use serde_json::{Value, json};
use uuid::Uuid;

use super::worker::reason_json;
use super::{After, Outcome, Reason};

/// How a row ends. The owner's statement updates it where `id` and `replica` are these and `state` is still `sending`, sets
/// `finished_at`, and empties `headers`, `body` and `replica`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// `id`.
    pub id: Uuid,
    /// `replica`, as it is now.
    pub replica: Uuid,
    /// `state`.
    pub state: &'static str,
    /// `outcome`.
    pub outcome: Option<Value>,
    /// `last_error`, where there is one.
    pub last_error: Option<Value>,
}

impl Ending {
    pub(super) fn of(id: Uuid, replica: Uuid, outcome: &Outcome) -> Self {
        Self {
            id,
            replica,
            state: word(outcome),
            outcome: record(outcome),
            last_error: reason(outcome).map(|reason| reason_json(reason.clone()).0),
        }
    }
}

/// What an owner made of the chance to record everything in one statement.
pub enum AtOnce {
    /// It is committed; watchers have nothing to be told besides this.
    Recorded(After),
    /// Nothing was changed.
    No,
}

/// The state of a finished row.
pub(super) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(_) => "answered",
        Outcome::Refused(_) => "refused",
        Outcome::Failed(_) => "failed",
        Outcome::GivenUp(_) => "given_up",
        Outcome::Unknown(_) => "unknown",
    }
}

/// What is kept of an answer.
pub(super) fn record(outcome: &Outcome) -> Option<Value> {
    match outcome {
        Outcome::Answered(body) => Some(json!({ "answerBytes": body.len() })),
        _ => None,
    }
}

/// Why there is none.
pub(super) fn reason(outcome: &Outcome) -> Option<&Reason> {
    match outcome {
        Outcome::Answered(_) => None,
        Outcome::Refused(reason)
        | Outcome::Failed(reason)
        | Outcome::GivenUp(reason)
        | Outcome::Unknown(reason) => Some(reason),
    }
}
