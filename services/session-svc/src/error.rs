//! What can go wrong for a caller of this service, each with its status, code and sentence.

use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_core::models::session::Session;
use switchhook_core::problem::Problem;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such session, not the caller's, or its completion is recorded.
    #[error("session not found")]
    UnknownSession,
    /// The limit is below 1 or above the installation's maximum.
    #[error("limit out of range")]
    LimitOutOfRange {
        /// `MAX_DAILY_CALL_LIMIT`.
        max: u32,
    },
    /// The user has an active session.
    #[error("session already active")]
    AlreadyActive(Box<Session>),
    /// Nothing is left of the day's limit.
    #[error("daily limit reached")]
    DailyLimitReached {
        /// Calls of the user today.
        calls_today: i64,
        /// What he would allow.
        limit: i32,
    },
    /// There is nothing to stop.
    #[error("no active session")]
    NoActiveSession,
    /// What is over is not sent again.
    #[error("session stopped")]
    Stopped(Box<Session>),
    /// It is known whether n8n has the start.
    #[error("delivery not in doubt")]
    DeliveryKnown(Box<Session>),
    /// Sessions of the user began and ended faster than one could begin.
    #[error("busy")]
    Busy,
    /// PostgreSQL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    fn problem(&self) -> Problem {
        match self {
            Self::UnknownSession => Problem::not_found("Session not found"),
            Self::LimitOutOfRange { max } => {
                Problem::invalid_field("dailyCallLimit", format!("must be a whole number from 1 to {max}"))
            }
            Self::AlreadyActive(session) => with_session(
                Problem::new(409, "session_already_active", "A session is active already: stop it first"),
                session,
            ),
            Self::DailyLimitReached { calls_today, limit } => Problem::new(
                409,
                "daily_limit_reached",
                format!("{calls_today} calls were made today, and the limit is {limit}: nothing is left of the day"),
            )
            .with("callsMadeToday", *calls_today)
            .with("dailyCallLimit", *limit),
            Self::NoActiveSession => Problem::new(409, "no_active_session", "There is no active session to stop"),
            Self::Stopped(session) => with_session(
                Problem::new(409, "session_stopped", "The session is over: start a new one"),
                session,
            ),
            Self::DeliveryKnown(session) => with_session(
                Problem::new(
                    409,
                    "delivery_not_unknown",
                    "The start is sent again only while it is unknown whether n8n has it",
                ),
                session,
            ),
            Self::Busy => Problem::unavailable("Sessions begin and end too fast; try again shortly"),
            Self::Database(error) => db::problem(error),
        }
    }
}

fn with_session(problem: Problem, session: &Session) -> Problem {
    problem.with("session", serde_json::to_value(session).unwrap_or_default())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.problem())
    }
}
