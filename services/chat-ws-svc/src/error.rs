//! What can go wrong for a caller of this service, each with its status, code and sentence.

use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_chassis::idempotency::KeyError;
use switchhook_core::problem::Problem;

use crate::domain::ids::SessionId;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such chat, or of a channel that the caller does not reach.
    #[error("session not found")]
    UnknownSession,
    /// The same, of a message.
    #[error("session not found")]
    NobodyToTell {
        /// What the caller called it.
        session: String,
        /// How many chats are connected.
        active: i64,
    },
    /// The visitor is connected nowhere.
    #[error("connection closed")]
    ConnectionClosed(SessionId),
    /// The message has more than this many characters.
    #[error("message too long")]
    MessageTooLong(u32),
    /// Too many messages; the next one in so many seconds.
    #[error("too many messages")]
    RateLimited(f64),
    /// Another operator has the chat.
    #[error("taken over")]
    TakenOver(String),
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
            Self::UnknownSession => Problem::new(404, "session_not_found", "Session not found"),
            Self::NobodyToTell { session, active } => {
                Problem::new(404, "session_not_found", "Session not found")
                    .with("sessionId", session.as_str())
                    .with("activeSessions", *active)
            }
            Self::ConnectionClosed(session) => Problem::new(404, "connection_closed", "Connection closed")
                .with("sessionId", session.as_str()),
            Self::MessageTooLong(limit) => Problem::new(
                400,
                "message_too_long",
                format!("text has more than {limit} characters: send it in parts"),
            )
            .with("maxChars", *limit),
            Self::RateLimited(wait_s) => Problem::rate_limited(wait_s.ceil().clamp(1.0, 3600.0) as u32),
            Self::TakenOver(name) => Problem::new(
                409,
                "taken_over",
                format!("{name} has this chat; force takes it from them"),
            )
            .with("mode", "operator")
            .with("operator", name.as_str()),
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
