//! What can go wrong for a caller of this service, each with its status, code and sentence.

use serde_json::{Value, json};
use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_chassis::idempotency::KeyError;
use switchhook_core::problem::Problem;

use crate::domain::ids::{CallId, DispatchId, Room};
use crate::domain::trouble::{Refusal, Trouble, hint};

/// Seconds after which a dial that is under way may be asked about again.
const RETRY_AFTER_S: u32 = 5;

/// What a request to LiveKit was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before anything can have been dialled.
    Room,
    /// While the dispatch is made: what is not certain may have been dialled.
    Dispatch,
    /// After a dial: the call is taken back.
    HangUp,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such dispatch.
    #[error("dispatch not found")]
    UnknownDispatch,
    /// The number was dialled for the account a moment ago.
    #[error("duplicate dial")]
    Duplicate {
        /// The first one.
        dispatch: Option<DispatchId>,
        /// Its room.
        room: Room,
    },
    /// The key was used with another request.
    #[error("idempotency conflict")]
    KeyConflict,
    /// The dial of this key may have happened.
    #[error("outcome unknown")]
    OutcomeUnknown(Room),
    /// Another request dials under this key, and takes long.
    #[error("still dialling")]
    StillDialling,
    /// This replica has all the dials in hand that it can.
    #[error("too many dials")]
    TooManyDials,
    /// Another replica took the dial over. Never told to a caller: what became of it is.
    #[error("taken over by another replica")]
    TakenOver(CallId),
    /// LiveKit did not do what it was asked.
    #[error("{trouble}")]
    LiveKit {
        /// Why.
        trouble: Trouble,
        /// Where.
        stage: Stage,
    },
    /// PostgreSQL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownDispatch => Problem::not_found("Dispatch not found"),
            Self::Duplicate { dispatch, room } => Problem::new(
                409,
                "duplicate_dial",
                "This number was dialled for this account a moment ago; to dial it again send \"allow_duplicate\": true",
            )
            .with("dispatch_id", dispatch.as_ref().map(DispatchId::as_str).map_or(Value::Null, Value::from))
            .with("room", room.as_str()),
            Self::KeyConflict => KeyError::Conflict.problem(),
            Self::OutcomeUnknown(room) => outcome_unknown(Some(room)),
            Self::StillDialling | Self::TakenOver(_) => Problem::new(
                503,
                "still_dialling",
                "Another request with this key is still dialling; ask again shortly",
            )
            .retry_after(RETRY_AFTER_S),
            Self::TooManyDials => {
                Problem::unavailable("Too many calls are being dialled at once; try again shortly")
            }
            Self::LiveKit { trouble, stage } => livekit(trouble, *stage),
            Self::Database(error) => db::problem(error),
        }
    }
}

fn outcome_unknown(room: Option<&Room>) -> Problem {
    let problem = Problem::new(
        502,
        "outcome_unknown",
        "The dial was interrupted, and nobody can tell whether the phone rang; it is not dialled again under this key",
    )
    .with("outcome", "unknown");
    match room {
        Some(room) => problem.with("room", room.as_str()),
        None => problem,
    }
}

/// LiveKit's own answer, or what stands in its place.
fn livekit(trouble: &Trouble, stage: Stage) -> Problem {
    match stage {
        Stage::Room => before_dispatch(trouble),
        Stage::Dispatch if trouble.is_certain() => before_dispatch(trouble),
        Stage::Dispatch => perhaps_dispatched(trouble),
        Stage::HangUp => not_hung_up(trouble),
    }
}

/// Nothing was dialled.
fn before_dispatch(trouble: &Trouble) -> Problem {
    match trouble {
        Trouble::Refused(refusal) => {
            let words = refusal.to_string();
            let problem = Problem::new(
                502,
                "livekit_error",
                format!("LiveKit refused the dispatch: {words}"),
            );
            in_its_words(problem, refusal)
        }
        Trouble::Unreachable => unreachable("LiveKit cannot be reached; nothing was sent"),
        Trouble::Late => late(
            "LiveKit did not answer in time; nothing was dialled yet, and the same request may be sent again",
        )
        .with("outcome", "unknown"),
        Trouble::Broken => {
            unreachable("The connection to LiveKit broke before its answer was whole; nothing was dialled")
        }
        Trouble::NotLiveKit => not_livekit("What answers at LIVEKIT_URL is not LiveKit; nothing was dialled"),
        Trouble::Unusable(why) => unusable(why),
    }
}

/// What was asked for may have happened.
fn perhaps_dispatched(trouble: &Trouble) -> Problem {
    match trouble {
        Trouble::Late => late(
            "LiveKit did not answer in time; the room is deleted, but the phone may have rung in between",
        )
        .with("outcome", "unknown"),
        Trouble::Refused(refusal) => in_its_words(outcome_unknown(None), refusal),
        Trouble::Broken | Trouble::NotLiveKit | Trouble::Unreachable | Trouble::Unusable(_) => {
            outcome_unknown(None)
        }
    }
}

/// A call that was taken back goes on for now; its room is deleted as soon as LiveKit does it.
fn not_hung_up(trouble: &Trouble) -> Problem {
    match trouble {
        Trouble::Refused(refusal) => {
            let words = refusal.to_string();
            let problem = Problem::new(502, "livekit_error", format!("LiveKit did not hang up: {words}"));
            in_its_words(problem, refusal)
        }
        Trouble::Unreachable => {
            unreachable("LiveKit cannot be reached; the call is hung up as soon as it answers")
        }
        Trouble::Late => late("LiveKit did not answer in time; it is asked again until the call is hung up"),
        Trouble::Broken => unreachable(
            "The connection to LiveKit broke before its answer was whole; it is asked again until the call is hung up",
        ),
        Trouble::NotLiveKit => not_livekit(
            "What answers at LIVEKIT_URL is not LiveKit; the call is hung up as soon as LiveKit answers",
        ),
        Trouble::Unusable(why) => unusable(why),
    }
}

fn unreachable(words: &str) -> Problem {
    Problem::new(502, "livekit_unreachable", words)
}

fn late(words: &str) -> Problem {
    Problem::new(504, "upstream_timeout", words)
}

fn unusable(why: &str) -> Problem {
    not_livekit(&format!("No request to LiveKit can be made: {why}"))
}

fn not_livekit(words: &str) -> Problem {
    Problem::new(502, "livekit_error", words)
        .with("message", words)
        .with(
            "livekit",
            json!({"code": "not_livekit", "msg": words, "meta": {}}),
        )
}

/// With what LiveKit said.
fn in_its_words(problem: Problem, refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    let problem = problem
        .with("livekit", json!(refusal))
        .with("message", words.as_str());
    match hint(&words) {
        Some(hint) => problem.with("hint", hint),
        None => problem,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.problem())
    }
}
