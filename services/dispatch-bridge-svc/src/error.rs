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

/// Where a request to LiveKit stands in a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before anything can have been dialled.
    Room,
    /// While the dispatch is made: what is not certain may have been dialled.
    Dispatch,
    /// Besides a dial.
    Beside,
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
    match (trouble, stage) {
        (Trouble::Refused(refusal), _) => {
            let problem = refused(refusal, stage);
            if stage == Stage::Dispatch && !trouble.is_certain() {
                problem.with("outcome", "unknown")
            } else {
                problem
            }
        }
        (Trouble::Unreachable, _) => Problem::new(
            502,
            "livekit_unreachable",
            "LiveKit cannot be reached; nothing was sent",
        ),
        (Trouble::Late, Stage::Room) => Problem::new(
            504,
            "upstream_timeout",
            "LiveKit did not answer in time; nothing was dialled yet, and the same request may be sent again",
        )
        .with("outcome", "unknown"),
        (Trouble::Late, _) => Problem::new(
            504,
            "upstream_timeout",
            "LiveKit did not answer in time; the room is deleted, but the phone may have rung in between",
        )
        .with("outcome", "unknown"),
        (Trouble::Broken | Trouble::NotLiveKit, Stage::Dispatch) => outcome_unknown(None),
        (Trouble::Broken, _) => Problem::new(
            502,
            "livekit_unreachable",
            "The connection to LiveKit broke before its answer was whole; nothing was dialled",
        ),
        (Trouble::NotLiveKit, _) => {
            not_livekit("What answers at LIVEKIT_URL is not LiveKit; nothing was dialled")
        }
        (Trouble::Unusable(why), _) => not_livekit(&format!("No request to LiveKit can be made: {why}")),
    }
}

fn not_livekit(words: &str) -> Problem {
    Problem::new(502, "livekit_error", words)
        .with("message", words)
        .with(
            "livekit",
            json!({"code": "not_livekit", "msg": words, "meta": {}}),
        )
}

fn refused(refusal: &Refusal, stage: Stage) -> Problem {
    let what = match stage {
        Stage::Room | Stage::Dispatch => "the dispatch",
        Stage::Beside => "the request",
    };
    let words = refusal.to_string();
    let problem = Problem::new(502, "livekit_error", format!("LiveKit refused {what}: {words}"))
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
