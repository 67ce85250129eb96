//! What a person or a program is shown of a session: the session itself, the user's day, and the open request to n8n,
//! which is the truth about the delivery for as long as it is open.

use chrono::{DateTime, Utc};
use switchhook_core::models::session::{
    self as wire, DeliveryError, DeliveryState, SessionStatus, StartWebhook, StopReason,
};

use super::session::{Session, StartDelivery, State};

/// The request to n8n, while nothing final is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// Written to n8n, or not yet.
    pub progress: Progress,
    /// Tries so far.
    pub attempts: i32,
    /// The last failure.
    pub error: Option<DeliveryError>,
}

/// How far an open request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// To be sent at that time.
    Owed(DateTime<Utc>),
    /// Being opened.
    Opening,
    /// Written; n8n has not answered.
    Written,
}

/// A session at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The session.
    pub session: Session,
    /// Calls of all of the user's sessions today.
    pub calls_today: i64,
    /// The open request, if any.
    pub open: Option<OpenRequest>,
}

impl Snapshot {
    /// The session as the wire shows it.
    pub fn wire(&self) -> wire::Session {
        let session = &self.session;
        let (status, stop_reason, stopped_at) = self.standing();
        wire::Session {
            id: session.id,
            user_id: session.user_id.as_str().to_owned(),
            user_email: session.user_email.clone(),
            status,
            stop_reason,
            daily_call_limit: session.limit.get(),
            calls_made: session.calls_made,
            calls_made_today: self.calls_today,
            message: session.message.clone(),
            started_at: session.started_at.into(),
            stopped_at: stopped_at.map(Into::into),
            delivery: self.delivery(),
        }
    }

    /// The start was called off before it was sent.
    pub fn start_cancelled(&mut self) {
        let recorded = &self.session.delivery;
        let (attempts, error) = match self.open.take() {
            Some(open) => (open.attempts, open.error),
            None => (recorded.attempts, recorded.error.clone()),
        };
        self.session.delivery = StartDelivery {
            state: DeliveryState::Cancelled,
            answer_lost: false,
            attempts,
            error,
        };
    }

    /// How the start fares.
    pub fn delivery(&self) -> wire::Delivery {
        let Some(open) = &self.open else {
            return self.recorded_delivery();
        };
        let (state, next_attempt_at) = match open.progress {
            Progress::Owed(at) => (DeliveryState::Pending, Some(at.into())),
            Progress::Opening => (DeliveryState::Pending, None),
            Progress::Written => (DeliveryState::Waiting, None),
        };
        wire::Delivery {
            state,
            detail: None,
            attempts: open.attempts,
            next_attempt_at,
            last_error: open.error.clone(),
        }
    }

    /// The webhook that starts the session, written at `now`.
    pub fn start_webhook(&self, now: DateTime<Utc>) -> StartWebhook {
        let session = &self.session;
        StartWebhook {
            user_id: session.user_id.as_str().to_owned(),
            user_email: session.user_email.clone(),
            session_id: session.id,
            daily_call_limit: session.limit.get(),
            calls_made_today: self.calls_today,
            session_status: SessionStatus::Active,
            started_at: session.started_at.into(),
            timestamp: now.into(),
        }
    }

    fn standing(&self) -> (SessionStatus, Option<StopReason>, Option<DateTime<Utc>>) {
        match self.session.state {
            State::Active => (SessionStatus::Active, None, None),
            State::Stopped { reason, at } => (SessionStatus::Stopped, Some(reason), Some(at)),
        }
    }

    fn recorded_delivery(&self) -> wire::Delivery {
        let recorded = &self.session.delivery;
        wire::Delivery {
            state: recorded.state,
            detail: recorded.answer_lost.then(|| "answer_lost".to_owned()),
            attempts: recorded.attempts,
            next_attempt_at: None,
            last_error: recorded.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::{moment, session};

    fn shown(open: Option<OpenRequest>) -> wire::Delivery {
        let mut session = session();
        session.delivery.state = DeliveryState::Unknown;
        Snapshot {
            session,
            calls_today: 3,
            open,
        }
        .delivery()
    }

    #[test]
    fn an_open_request_is_the_truth_about_the_delivery() {
        let error = Some(DeliveryError {
            code: "n8n_unreachable".into(),
            message: "refused".into(),
        });
        let open = |progress| {
            Some(OpenRequest {
                progress,
                attempts: 2,
                error: error.clone(),
            })
        };
        let owed = shown(open(Progress::Owed(moment(9))));
        assert_eq!((owed.state, owed.attempts), (DeliveryState::Pending, 2));
        assert_eq!(owed.next_attempt_at, Some(moment(9).into()));
        assert_eq!(owed.last_error, error);
        assert_eq!(shown(open(Progress::Opening)).state, DeliveryState::Pending);
        assert_eq!(shown(open(Progress::Opening)).next_attempt_at, None);
        assert_eq!(shown(open(Progress::Written)).state, DeliveryState::Waiting);
        assert_eq!(shown(None).state, DeliveryState::Unknown);
    }

    #[test]
    fn a_lost_answer_has_its_detail() {
        let mut session = session();
        session.delivery.state = DeliveryState::Delivered;
        session.delivery.answer_lost = true;
        let shown = Snapshot {
            session,
            calls_today: 0,
            open: None,
        }
        .delivery();
        assert_eq!(
            (shown.state, shown.detail.as_deref()),
            (DeliveryState::Delivered, Some("answer_lost"))
        );
    }

    #[test]
    fn a_cancelled_start_keeps_its_tries_and_its_last_failure() {
        let error = Some(DeliveryError {
            code: "n8n_unreachable".into(),
            message: "refused".into(),
        });
        let open = OpenRequest {
            progress: Progress::Owed(moment(9)),
            attempts: 3,
            error: error.clone(),
        };
        let mut snapshot = Snapshot {
            session: session(),
            calls_today: 0,
            open: Some(open),
        };
        snapshot.start_cancelled();
        let shown = snapshot.delivery();
        assert_eq!(
            (shown.state, shown.attempts, shown.last_error),
            (DeliveryState::Cancelled, 3, error)
        );
        assert_eq!(shown.next_attempt_at, None);
    }

    #[test]
    fn the_start_webhook_has_exactly_the_promised_fields() {
        let snapshot = Snapshot {
            session: session(),
            calls_today: 3,
            open: None,
        };
        let body = serde_json::to_value(snapshot.start_webhook(moment(1))).unwrap();
        let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "userId",
            "userEmail",
            "sessionId",
            "dailyCallLimit",
            "callsMadeToday",
            "sessionStatus",
            "startedAt",
            "timestamp",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(body["sessionStatus"], "active");
        assert_eq!(body["callsMadeToday"], 3);
    }
}
