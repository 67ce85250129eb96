//! What can go wrong for a caller of this service, each with its status, code and sentence.

use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_core::problem::Problem;

use crate::clients::retell::ProofError;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such call, or not the caller's.
    #[error("call not found")]
    UnknownCall,
    /// Another account has the agent.
    #[error("agent already connected")]
    AgentTaken,
    /// Ownership is not proven.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A signature, or the secret, is missing or wrong.
    #[error("signature refused: {0}")]
    Signature(&'static str),
    /// More events wait for their commit than are taken.
    #[error("too many events wait")]
    Crowded,
    /// PostgreSQL was away for the whole batch; the log has its words.
    #[error("the database is away")]
    Away,
    /// PostgreSQL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownCall => Problem::not_found("Call not found"),
            Self::AgentTaken => Problem::new(
                409,
                "agent_already_connected",
                "Another account has connected this agent: prove that it is yours with an API key of its Retell workspace",
            ),
            Self::Proof(ProofError::NotProven) => Problem::new(
                403,
                "ownership_not_proven",
                "Retell does not show this agent to this API key: use a key of the workspace that the agent belongs to",
            ),
            Self::Proof(why @ ProofError::Upstream(_)) => {
                Problem::new(502, "upstream_error", why.to_string())
            }
            Self::Proof(why @ ProofError::Timeout) => Problem::new(504, "upstream_timeout", why.to_string()),
            Self::Signature(why) => Problem::unauthorized(format!("x-retell-signature {why}")),
            Self::Crowded => {
                Problem::unavailable("Too many events wait to be stored; send this one again shortly")
            }
            Self::Away => db::unavailable(),
            Self::Database(error) => db::problem(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.problem())
    }
}
