//! A [`Problem`] as a response, and what errors of other origin become: the one place where a failure gets its bytes.

use std::error::Error;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use switchhook_core::problem::Problem;

use crate::db;
use crate::lifecycle::TaskLost;

/// What a handler or extractor fails with.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure(pub Problem);

impl Failure {
    /// A defect of ours: logged here, once, with its cause; the caller learns nothing of it.
    pub fn internal(cause: &dyn Error) -> Self {
        tracing::error!(error = %Chain(cause), "internal error");
        Self(Problem::internal())
    }

    /// What an error that actix made means to the caller.
    pub(crate) fn of_actix(error: &actix_web::Error) -> Self {
        match error.as_error::<Self>() {
            Some(failure) => failure.clone(),
            None => {
                let status = error.as_response_error().status_code();
                tracing::debug!(%error, %status, "request refused");
                Self(of_status(status))
            }
        }
    }
}

/// The sentence and code of a bare status.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    match status.as_u16() {
        401 => Problem::unauthorized("Credentials are missing or wrong"),
        403 => Problem::forbidden("This is not allowed"),
        404 => Problem::not_found("There is nothing at this address"),
        405 => Problem::new(
            405,
            "method_not_allowed",
            "This address does not take this method",
        ),
        408 => Problem::new(408, "request_timeout", "The request did not arrive in time"),
        413 => Problem::new(413, "payload_too_large", "The body is too large"),
        415 => Problem::new(
            415,
            "unsupported_media_type",
            "This type is not accepted: send application/json",
        ),
        429 => Problem::rate_limited(1),
        503 => Problem::unavailable("The service cannot answer now; try again shortly"),
        other if status.is_client_error() => {
            Problem::new(other, "invalid_request", "The request is malformed")
        }
        _ => Problem::internal(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status, self.0.code, self.0.message)
    }
}

impl Error for Failure {}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.0.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = self
            .0
            .allow
            .as_deref()
            .and_then(|allow| HeaderValue::from_str(allow).ok())
        {
            response.insert_header((header::ALLOW, allow));
        }
        if self.0.status == 401 {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(self.0.to_json())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(db::problem(&error))
    }
}

impl From<TaskLost> for Failure {
    fn from(lost: TaskLost) -> Self {
        Self::internal(&lost)
    }
}

/// An error with its causes in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
