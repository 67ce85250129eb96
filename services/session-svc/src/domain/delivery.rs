//! What becomes of the request that starts a session, and what that means for the session.
//!
//! A start is sent at most once, so an answer that is lost on the way leaves a question; time held and later signs of
//! life answer it. It does not know how the request is made.

use std::time::Duration;

use chrono::{DateTime, Utc};
use switchhook_core::models::session::{DeliveryError, DeliveryState, StopReason};
use switchhook_core::n8n::reply::Reason;

use super::report::{Answer, Report};
use super::session::{AlreadyCompleted, Session, StartDelivery, Taken};

/// A request held this long without an answer was certainly taken by n8n, which answers at once or works.
pub const EVIDENTLY_WORKING: Duration = Duration::from_secs(30);

/// Code of a start that never got through.
pub const UNREACHABLE: &str = "n8n_unreachable";

/// What became of the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// A 2xx.
    Answered(Answer),
    /// n8n will never take it as it is.
    Refused(Reason),
    /// The workflow ran and broke.
    Failed(Reason),
    /// It could not be delivered in time.
    GivenUp(Reason),
    /// The answer was lost on the way.
    AnswerLost {
        /// How.
        reason: Reason,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// Whether the request that ended is the one that the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// It is the newest.
    Current,
    /// The user had the start sent again since.
    Superseded,
}

/// What an outcome did beyond the delivery's own record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was reported.
    Recorded,
    /// The answer carried a report, and the session took it.
    Reported {
        /// The report.
        report: Report,
        /// Calls that count for today.
        increase: i32,
    },
    /// The answer carried something that does not count; the reason is for the log.
    Ignored(String),
}

impl Session {
    /// Records what became of the start.
    pub fn settle(
        &mut self,
        outcome: StartOutcome,
        attempts: i32,
        request: Request,
        now: DateTime<Utc>,
    ) -> Settled {
        if let StartOutcome::Answered(answer) = outcome {
            self.hear();
            if request == Request::Current {
                self.delivery = StartDelivery::delivered(attempts);
            }
            return self.take_answer(answer, now);
        }
        if request == Request::Superseded {
            return Settled::Ignored("the outcome of a start that was sent again since".into());
        }
        match outcome {
            StartOutcome::Answered(_) => {}
            StartOutcome::Failed(reason) => {
                let words = reason.message.clone();
                if self.fail(reason, attempts, now) {
                    self.message = Some(words);
                }
            }
            StartOutcome::Refused(_) | StartOutcome::GivenUp(_) if self.resent && self.heard => {
                self.delivery = StartDelivery::delivered(attempts);
            }
            StartOutcome::Refused(reason) => {
                self.fail(reason, attempts, now);
            }
            // Not n8n's doing: the reason says whose.
            StartOutcome::GivenUp(reason) if ["discarded", "poison"].contains(&reason.code.as_str()) => {
                self.fail(reason, attempts, now);
            }
            StartOutcome::GivenUp(reason) => {
                let message = format!(
                    "n8n could not be reached in time; the last try: {}",
                    reason.message
                );
                self.fail(Reason::new(UNREACHABLE, message), attempts, now);
            }
            StartOutcome::AnswerLost { reason, waited } => self.lose_answer(reason, waited, attempts),
        }
        Settled::Recorded
    }

    /// A start that n8n did not take is to be tried again, unless the session is over or n8n works on it by other
    /// means. Says whether; where not, what is known is recorded.
    pub fn retry_start(&mut self, attempts: i32) -> bool {
        if self.is_active() && !self.heard {
            return true;
        }
        let state = if self.heard {
            DeliveryState::Delivered
        } else {
            DeliveryState::Cancelled
        };
        self.delivery = StartDelivery {
            state,
            attempts,
            ..StartDelivery::owed()
        };
        false
    }

    fn take_answer(&mut self, answer: Answer, now: DateTime<Utc>) -> Settled {
        match answer {
            Answer::Accepted => Settled::Recorded,
            Answer::Foreign(id) => Settled::Ignored(format!("the answer is about another session: {id}")),
            Answer::Unreadable(why) => Settled::Ignored(format!("the answer cannot be read: {why}")),
            Answer::Report(report) => match self.take(&report, now) {
                Ok(Taken::Moved { increase }) => Settled::Reported { report, increase },
                Ok(Taken::Repeated) => Settled::Recorded,
                Err(AlreadyCompleted) => {
                    Settled::Ignored("the answer differs from the recorded completion".into())
                }
            },
        }
    }

    fn fail(&mut self, reason: Reason, attempts: i32, now: DateTime<Utc>) -> bool {
        let error = Some(DeliveryError {
            code: reason.code,
            message: reason.message,
        });
        self.delivery = StartDelivery {
            state: DeliveryState::Failed,
            answer_lost: false,
            attempts,
            error,
        };
        self.stop(StopReason::Failed, now)
    }

    fn lose_answer(&mut self, reason: Reason, waited: Duration, attempts: i32) {
        if self.heard {
            self.delivery = StartDelivery::delivered(attempts);
            return;
        }
        let answer_lost = waited >= EVIDENTLY_WORKING;
        let state = if answer_lost {
            DeliveryState::Delivered
        } else {
            DeliveryState::Unknown
        };
        let error = Some(DeliveryError {
            code: reason.code,
            message: reason.message,
        });
        self.delivery = StartDelivery {
            state,
            answer_lost,
            attempts,
            error,
        };
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
