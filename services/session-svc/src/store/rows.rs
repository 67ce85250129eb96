//! How a session is stored, and the one place that lists its columns.

use chrono::{DateTime, Utc};
use serde_json::Value;
use switchhook_core::ids::{SessionId, UserId};
use switchhook_core::models::session::{DeliveryError, DeliveryState, StopReason};
use uuid::Uuid;

use crate::domain::report::Ending;
use crate::domain::session::{Completion, DailyLimit, Session, StartDelivery, State};
use crate::domain::snapshot::{OpenRequest, Progress, Snapshot};

/// Selects sessions with the user's day (`$1`) and their newest outbox row.
macro_rules! select_sessions {
    ($tail:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            crate::store::rows::SessionRow,
            r#"SELECT s.id, s.user_id, s.user_email, s.stop_reason, s.daily_call_limit, s.calls_made_today,
                s.message, s.started_at, s.stopped_at, s.completion_outcome, s.completion_calls, s.heard, s.resent,
                s.delivery_state, s.delivery_detail, s.delivery_attempts, s.delivery_error_code,
                s.delivery_error_message, d.calls AS "calls_today?", o.state AS "outbox_state?",
                o.attempts AS "outbox_attempts?", o.next_attempt_at AS "next_attempt_at?", o.sent_at AS "sent_at?",
                o.last_error AS "last_error?"
            FROM session.ai_sessions s
            LEFT JOIN session.day_counts d ON d.user_id = s.user_id AND d.day = $1
            LEFT JOIN LATERAL (
                SELECT state, attempts, next_attempt_at, sent_at, last_error FROM session.outbox
                WHERE key = s.id::text ORDER BY seq DESC LIMIT 1
            ) o ON true "# + $tail,
            $($argument),+
        )
    };
}
pub(crate) use select_sessions;

/// A session, the user's day and the newest outbox row.
#[derive(Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: Uuid,
    pub(crate) user_id: String,
    pub(crate) user_email: Option<String>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) daily_call_limit: i32,
    pub(crate) calls_made_today: i32,
    pub(crate) message: Option<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    pub(crate) completion_outcome: Option<String>,
    pub(crate) completion_calls: Option<i32>,
    pub(crate) heard: bool,
    pub(crate) resent: bool,
    pub(crate) delivery_state: String,
    pub(crate) delivery_detail: Option<String>,
    pub(crate) delivery_attempts: i32,
    pub(crate) delivery_error_code: Option<String>,
    pub(crate) delivery_error_message: Option<String>,
    pub(crate) calls_today: Option<i64>,
    pub(crate) outbox_state: Option<String>,
    pub(crate) outbox_attempts: Option<i32>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) last_error: Option<Value>,
}

impl SessionRow {
    /// The session as the domain knows it.
    pub(crate) fn into_snapshot(self) -> Result<Snapshot, sqlx::Error> {
        let open = open_request(
            self.outbox_state,
            self.outbox_attempts,
            self.next_attempt_at,
            self.sent_at,
            self.last_error,
        );
        let state = match (self.stop_reason, self.stopped_at) {
            (Some(reason), Some(at)) => State::Stopped {
                reason: word(&reason)?,
                at,
            },
            _ => State::Active,
        };
        let completion = match self.completion_outcome {
            Some(outcome) => Some(Completion {
                ending: ending_of(&outcome)?,
                calls_made: self.completion_calls,
            }),
            None => None,
        };
        let error = self.delivery_error_code.zip(self.delivery_error_message);
        let session = Session {
            id: SessionId(self.id),
            user_id: user_id(self.user_id)?,
            user_email: self.user_email,
            limit: DailyLimit::stored(self.daily_call_limit),
            calls_made: self.calls_made_today,
            state,
            message: self.message,
            started_at: self.started_at,
            completion,
            heard: self.heard,
            resent: self.resent,
            delivery: StartDelivery {
                state: word(&self.delivery_state)?,
                answer_lost: self.delivery_detail.is_some(),
                attempts: self.delivery_attempts,
                error: error.map(|(code, message)| DeliveryError { code, message }),
            },
        };
        Ok(Snapshot {
            session,
            calls_today: self.calls_today.unwrap_or(0),
            open,
        })
    }
}

/// What a session was not known to have before it was saved.
#[derive(Debug)]
pub(crate) struct SavedRow {
    pub(crate) calls_today: i64,
    pub(crate) outbox_state: Option<String>,
    pub(crate) outbox_attempts: Option<i32>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) last_error: Option<Value>,
}

impl SavedRow {
    /// The saved session as it is now.
    pub(crate) fn into_snapshot(self, session: Session) -> Snapshot {
        let open = open_request(
            self.outbox_state,
            self.outbox_attempts,
            self.next_attempt_at,
            self.sent_at,
            self.last_error,
        );
        Snapshot {
            session,
            calls_today: self.calls_today,
            open,
        }
    }
}

/// The open request that the newest outbox row is; a finished row is history, the session has its outcome.
fn open_request(
    state: Option<String>,
    attempts: Option<i32>,
    next_attempt_at: Option<DateTime<Utc>>,
    sent_at: Option<DateTime<Utc>>,
    last_error: Option<Value>,
) -> Option<OpenRequest> {
    let progress = match (state.as_deref()?, sent_at, next_attempt_at) {
        ("owed", _, Some(next)) => Progress::Owed(next),
        ("sending", None, _) => Progress::Opening,
        ("sending", Some(_), _) => Progress::Written,
        _ => return None,
    };
    let error = last_error.and_then(|error| serde_json::from_value(error).ok());
    Some(OpenRequest {
        progress,
        attempts: attempts.unwrap_or(0),
        error,
    })
}

/// The columns of a session as they are written.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) status: &'static str,
    pub(crate) stop_reason: Option<&'static str>,
    pub(crate) stopped_at: Option<DateTime<Utc>>,
    pub(crate) completion_outcome: Option<&'static str>,
    pub(crate) completion_calls: Option<i32>,
    pub(crate) delivery_state: &'static str,
    pub(crate) delivery_detail: Option<&'static str>,
}

impl Columns {
    /// The words for what changes.
    pub(crate) fn of(session: &Session) -> Self {
        let (status, stop_reason, stopped_at) = match session.state {
            State::Active => ("active", None, None),
            State::Stopped { reason, at } => ("stopped", Some(reason_word(reason)), Some(at)),
        };
        Self {
            status,
            stop_reason,
            stopped_at,
            completion_outcome: session.completion.map(|completion| match completion.ending {
                Ending::Completed => "completed",
                Ending::Failed => "failed",
            }),
            completion_calls: session.completion.and_then(|completion| completion.calls_made),
            delivery_state: delivery_word(session.delivery.state),
            delivery_detail: session.delivery.answer_lost.then_some("answer_lost"),
        }
    }
}

fn reason_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Completed => "completed",
        StopReason::StoppedByUser => "stopped_by_user",
        StopReason::Failed => "failed",
        StopReason::Expired => "expired",
    }
}

fn delivery_word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Waiting => "waiting",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Unknown => "unknown",
        DeliveryState::Failed => "failed",
        DeliveryState::Cancelled => "cancelled",
    }
}

fn ending_of(word: &str) -> Result<Ending, sqlx::Error> {
    match word {
        "completed" => Ok(Ending::Completed),
        "failed" => Ok(Ending::Failed),
        _ => Err(corrupt("completion_outcome")),
    }
}

/// Reads a word that the wire uses too.
fn word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    serde_json::from_value(Value::from(word)).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Reads whose a row is.
pub(crate) fn user_id(stored: String) -> Result<UserId, sqlx::Error> {
    UserId::parse(stored).ok_or_else(|| corrupt("user_id"))
}

fn corrupt(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} holds a value that this version does not know").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_wire() {
        use DeliveryState as D;
        use StopReason as R;
        for reason in [R::Completed, R::StoppedByUser, R::Failed, R::Expired] {
            assert_eq!(word::<R>(reason_word(reason)).unwrap(), reason);
        }
        for state in [
            D::Pending,
            D::Waiting,
            D::Delivered,
            D::Unknown,
            D::Failed,
            D::Cancelled,
        ] {
            assert_eq!(word::<D>(delivery_word(state)).unwrap(), state);
        }
        assert!(word::<R>("bored").is_err());
    }

    #[test]
    fn only_an_open_outbox_row_speaks_for_the_delivery() {
        let at = DateTime::from_timestamp(1_770_000_000, 0);
        let row =
            |state: Option<&str>, sent_at| open_request(state.map(Into::into), Some(2), at, sent_at, None);
        assert_eq!(
            row(Some("owed"), None).unwrap().progress,
            Progress::Owed(at.unwrap())
        );
        assert_eq!(row(Some("sending"), None).unwrap().progress, Progress::Opening);
        assert_eq!(row(Some("sending"), at).unwrap().progress, Progress::Written);
        for state in [
            "answered",
            "refused",
            "failed",
            "given_up",
            "unknown",
            "cancelled",
            "discarded",
        ] {
            assert_eq!(row(Some(state), at), None, "{state}");
        }
        assert_eq!(row(None, None), None);
    }
}
