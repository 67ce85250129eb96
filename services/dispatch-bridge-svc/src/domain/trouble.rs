//! What can go wrong with a request to LiveKit, and what that proves.

use serde::Serialize;
use serde_json::{Map, Value};

/// Why LiveKit did not do what it was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// LiveKit said no, in its own words.
    #[error("LiveKit refused: {0}")]
    Refused(Refusal),
    /// No connection came about: nothing was sent.
    #[error("LiveKit cannot be reached")]
    Unreachable,
    /// No answer within the time.
    #[error("LiveKit did not answer in time")]
    Late,
    /// The connection broke, or the answer is not whole.
    #[error("the connection to LiveKit broke")]
    Broken,
    /// What answered is not LiveKit: a proxy's page, say.
    #[error("what answers at LIVEKIT_URL is not LiveKit")]
    NotLiveKit,
    /// No request could be made: the credentials cannot sign, say.
    #[error("no request to LiveKit can be made: {0}")]
    Unusable(String),
}

/// An error of LiveKit's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its code, such as `permission_denied`.
    pub code: String,
    /// Its words.
    pub msg: String,
    /// What it adds, such as `sip_status`.
    pub meta: Map<String, Value>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.msg.is_empty() {
            &self.code
        } else {
            &self.msg
        })
    }
}

impl Refusal {
    /// LiveKit judged the request and turned it down before it did anything. Its other codes say that something broke on the
    /// way.
    fn is_a_verdict(&self) -> bool {
        matches!(
            self.code.as_str(),
            "invalid_argument"
                | "malformed"
                | "not_found"
                | "bad_route"
                | "already_exists"
                | "permission_denied"
                | "unauthenticated"
                | "resource_exhausted"
                | "failed_precondition"
                | "out_of_range"
                | "unimplemented"
        )
    }
}

impl Trouble {
    /// Whether what was asked for certainly did not happen.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_a_verdict(),
            Self::Unreachable | Self::Unusable(_) => true,
            Self::Late | Self::Broken | Self::NotLiveKit => false,
        }
    }

    /// Whether the room that was asked about is not there. A server without the room answers `unavailable`, as one that
    /// cannot tell does.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.code.as_str(), "not_found" | "unavailable"))
    }
}

/// What the carrier says to a caller id that it does not know.
const REFUSED_CALLER: &str = "403 Forbidden auth ID";

/// What to do about a refusal, where that is known.
pub fn hint(words: &str) -> Option<&'static str> {
    let known = words
        .to_ascii_lowercase()
        .contains(&REFUSED_CALLER.to_ascii_lowercase());
    known.then_some("the carrier refused the caller id: set caller_id / caller_number to an approved number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Trouble {
        Trouble::Refused(Refusal {
            code: code.into(),
            msg: String::new(),
            meta: Map::new(),
        })
    }

    #[test]
    fn only_a_verdict_or_no_connection_proves_that_nothing_happened() {
        for code in [
            "permission_denied",
            "not_found",
            "resource_exhausted",
            "unauthenticated",
            "invalid_argument",
        ] {
            assert!(refused(code).is_certain(), "{code}");
        }
        for code in [
            "internal",
            "unknown",
            "unavailable",
            "deadline_exceeded",
            "canceled",
            "aborted",
            "dataloss",
            "new",
        ] {
            assert!(!refused(code).is_certain(), "{code}");
        }
        assert!(Trouble::Unreachable.is_certain());
        for trouble in [Trouble::Late, Trouble::Broken, Trouble::NotLiveKit] {
            assert!(!trouble.is_certain(), "{trouble}");
        }
    }

    #[test]
    fn a_missing_room_and_a_server_that_cannot_tell_answer_alike() {
        assert!(refused("unavailable").is_missing() && refused("not_found").is_missing());
        assert!(!refused("internal").is_missing() && !Trouble::Unreachable.is_missing());
    }

    #[test]
    fn a_refused_caller_id_has_a_hint() {
        assert!(hint("SIP 403 Forbidden auth ID").is_some());
        assert!(hint("486 Busy Here").is_none());
    }
}
