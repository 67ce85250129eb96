//! What can go wrong for a caller of this service, each with its status, code and sentence.

use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_chassis::idempotency::KeyError;
use switchhook_core::problem::Problem;

use crate::domain::shown::TaskState;
use crate::domain::task::{MAX_MESSAGES, MAX_RESPONSES};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such task, or not the caller's.
    #[error("task not found")]
    UnknownTask,
    /// No webhook serves the agent.
    #[error("unknown agent")]
    UnknownAgent,
    /// The user's token does not name the agent.
    #[error("agent not allowed")]
    AgentNotAllowed,
    /// The task is with another agent.
    #[error("another agent's task")]
    OtherAgent,
    /// The task has all the messages that it may have.
    #[error("too many messages")]
    TooManyMessages,
    /// The task has all the answers that it may have.
    #[error("too many responses")]
    TooManyResponses,
    /// Only what failed is sent again.
    #[error("task not failed")]
    NotFailed(TaskState),
    /// The task has no such answer.
    #[error("unknown response")]
    UnknownResponse,
    /// An `Idempotency-Key`.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// PostgreSQL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownTask => Problem::not_found("Task not found"),
            Self::UnknownAgent => Problem::new(400, "unknown_agent", "There is no agent of this name"),
            Self::AgentNotAllowed => Problem::forbidden("You may not write to this agent"),
            Self::OtherAgent => {
                Problem::invalid_field("agentId", "is not the agent of this task: begin a new one")
            }
            Self::TooManyMessages => Problem::new(
                409,
                "too_many_messages",
                format!("A task has at most {MAX_MESSAGES} messages: begin a new one"),
            ),
            Self::TooManyResponses => Problem::new(
                409,
                "too_many_responses",
                format!("A task has at most {MAX_RESPONSES} responses"),
            ),
            Self::NotFailed(state) => Problem::new(
                409,
                "task_not_failed",
                format!("Only a failed task is sent again; this one is {}", state.word()),
            )
            .with("state", state.word()),
            Self::UnknownResponse => {
                Problem::invalid_field("after", "is not the id of a response of this task")
            }
            Self::Key(error) => error.problem(),
            Self::Database(error) => db::problem(error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.problem())
    }
}
