//! A calling session: what it is, how n8n's reports move it, and how its user or time ends it.
//!
//! It owns every change of a session's status, count and recorded completion. What became of the start's delivery
//! is in [`super::delivery`]. It does not know how a session is stored or shown.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use switchhook_core::ids::{SessionId, UserId};
use switchhook_core::models::session::{DeliveryError, DeliveryState, StopReason};

use super::report::{Ending, Report, Stage};

/// Calls that a user allows in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyLimit(i32);

impl DailyLimit {
    /// A limit within `1..=max`.
    pub fn within(limit: i64, max: u32) -> Option<Self> {
        i32::try_from(limit)
            .ok()
            .filter(|limit| (1..=i64::from(max)).contains(&i64::from(*limit)))
            .map(Self)
    }

    /// A limit that was checked when it was stored.
    pub fn stored(limit: i32) -> Self {
        Self(limit)
    }

    /// Calls a day.
    pub fn get(self) -> i32 {
        self.0
    }

    /// What is left of the day after `calls_today`.
    pub fn remaining(self, calls_today: i64) -> i64 {
        (i64::from(self.0) - calls_today).max(0)
    }
}

/// Whether calls may still be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The workflow may dial.
    Active,
    /// Over.
    Stopped {
        /// Why.
        reason: StopReason,
        /// Since when.
        at: DateTime<Utc>,
    },
}

/// The completion that counts. Who says the same again is told so; who says otherwise comes too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub ending: Ending,
    /// The count it carried, if any.
    pub calls_made: Option<i32>,
}

/// What is recorded about the request that starts the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartDelivery {
    /// Where it is.
    pub state: DeliveryState,
    /// The request was held long enough to know that n8n works, and its answer will not come.
    pub answer_lost: bool,
    /// How often it was tried.
    pub attempts: i32,
    /// The last failure.
    pub error: Option<DeliveryError>,
}

impl StartDelivery {
    /// A start that is owed.
    pub fn owed() -> Self {
        Self {
            state: DeliveryState::Pending,
            answer_lost: false,
            attempts: 0,
            error: None,
        }
    }

    /// A start that n8n certainly has.
    pub fn delivered(attempts: i32) -> Self {
        Self {
            state: DeliveryState::Delivered,
            attempts,
            ..Self::owed()
        }
    }
}

/// A calling session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's address, where his token had one.
    pub user_email: Option<String>,
    /// Calls he allows in a day.
    pub limit: DailyLimit,
    /// Calls of this session; never falls.
    pub calls_made: i32,
    /// Active or stopped.
    pub state: State,
    /// What the workflow said.
    pub message: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The completion that was taken.
    pub completion: Option<Completion>,
    /// n8n has claimed, reported or answered.
    pub heard: bool,
    /// The user had the start sent again.
    pub resent: bool,
    /// How its start fared.
    pub delivery: StartDelivery,
}

/// What a report did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The session was moved.
    Moved {
        /// Calls that count for the day of the report.
        increase: i32,
    },
    /// It said what is recorded already: nothing changed.
    Repeated,
}

/// The session's completion is recorded, and this report says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyCompleted;

/// Why a start is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResend {
    /// The session is over.
    Stopped,
    /// It is known whether n8n has the start.
    Known(DeliveryState),
}

impl Session {
    /// A session that begins now.
    pub fn begin(user_id: UserId, user_email: Option<String>, limit: DailyLimit, now: DateTime<Utc>) -> Self {
        Self {
            id: SessionId::new(now),
            user_id,
            user_email,
            limit,
            calls_made: 0,
            state: State::Active,
            message: None,
            started_at: now,
            completion: None,
            heard: false,
            resent: false,
            delivery: StartDelivery::owed(),
        }
    }

    /// Whether calls may still be made.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Ends it, if it has not ended. Says whether it did.
    pub fn stop(&mut self, reason: StopReason, now: DateTime<Utc>) -> bool {
        let ends = self.is_active();
        if ends {
            self.state = State::Stopped { reason, at: now };
        }
        ends
    }

    /// Ends it when nobody completed it within `max`. Says whether it did.
    pub fn expire(&mut self, max: Duration, now: DateTime<Utc>) -> bool {
        let max = TimeDelta::from_std(max).unwrap_or(TimeDelta::MAX);
        now.signed_duration_since(self.started_at) >= max && self.stop(StopReason::Expired, now)
    }

    /// n8n gave a sign of life: what was in doubt about the start is settled.
    pub fn hear(&mut self) {
        self.heard = true;
        if self.delivery.state == DeliveryState::Unknown || self.delivery.answer_lost {
            self.delivery = StartDelivery::delivered(self.delivery.attempts);
        }
    }

    /// A second start is owed although n8n turned out to have the first: it must not be sent.
    pub fn resend_is_obsolete(&self) -> bool {
        self.resent && self.heard && self.delivery.state == DeliveryState::Pending
    }

    /// The obsolete second start was withdrawn.
    pub fn resend_withdrawn(&mut self) {
        self.delivery = StartDelivery::delivered(self.delivery.attempts);
    }

    /// The user says that n8n did not start: the start is owed again.
    pub fn resend(&mut self) -> Result<(), NoResend> {
        match (self.state, self.delivery.state) {
            (State::Stopped { .. }, _) => Err(NoResend::Stopped),
            (State::Active, DeliveryState::Unknown) => {
                self.resent = true;
                self.delivery = StartDelivery::owed();
                Ok(())
            }
            (State::Active, known) => Err(NoResend::Known(known)),
        }
    }

    /// One more call was granted.
    pub fn count_call(&mut self) {
        self.calls_made = self.calls_made.saturating_add(1);
    }

    /// Takes a progress report or a completion.
    pub fn take(&mut self, report: &Report, now: DateTime<Utc>) -> Result<Taken, AlreadyCompleted> {
        if let Some(recorded) = self.completion {
            return if report.repeats(&recorded) {
                Ok(Taken::Repeated)
            } else {
                Err(AlreadyCompleted)
            };
        }
        self.hear();
        let raised = self.calls_made.max(report.calls_made.unwrap_or(0));
        let increase = raised - self.calls_made;
        self.calls_made = raised;
        match report.stage {
            Stage::Running => self.note(report),
            Stage::Over(ending) => {
                self.completion = Some(Completion {
                    ending,
                    calls_made: report.calls_made,
                });
                if self.stop(ending.reason(), now) {
                    self.message = report.message.clone();
                } else {
                    self.note(report);
                }
            }
        }
        Ok(Taken::Moved { increase })
    }

    fn note(&mut self, report: &Report) {
        if report.message.is_some() {
            self.message.clone_from(&report.message);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
pub(crate) mod tests;
