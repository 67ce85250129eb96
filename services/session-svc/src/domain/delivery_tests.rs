//! Every outcome of the start against every state of the session.

use super::*;
use crate::domain::report::Ending;
use crate::domain::session::State;
use crate::domain::session::tests::{moment, over, running, session};

fn reason() -> Reason {
    Reason::new("some_code", "some words")
}

fn lost(seconds: u64) -> StartOutcome {
    StartOutcome::AnswerLost {
        reason: reason(),
        waited: Duration::from_secs(seconds),
    }
}

fn settled(session: &mut Session, outcome: StartOutcome) -> Settled {
    session.settle(outcome, 2, Request::Current, moment(9))
}

#[test]
fn a_2xx_without_a_report_delivers() {
    let mut session = session();
    assert_eq!(
        settled(&mut session, StartOutcome::Answered(Answer::Accepted)),
        Settled::Recorded
    );
    assert_eq!(session.delivery, StartDelivery::delivered(2));
    assert!(session.is_active() && session.heard);
}

/// The store records it for many sessions at once, without a look at them.
#[test]
fn a_2xx_without_a_report_does_the_same_to_every_session_that_was_started_once() {
    let mut sessions = [session(), session(), session(), session()];
    sessions[1].stop(StopReason::StoppedByUser, moment(3));
    sessions[2].take(&over(Ending::Completed, 3), moment(3)).unwrap();
    sessions[3].delivery.state = DeliveryState::Unknown;
    for before in sessions {
        let mut after = before.clone();
        settled(&mut after, StartOutcome::Answered(Answer::Accepted));
        let expected = Session {
            heard: true,
            delivery: StartDelivery::delivered(2),
            ..before
        };
        assert_eq!(after, expected);
        assert!(!after.resend_is_obsolete());
    }
}

#[test]
fn a_2xx_with_a_report_is_a_completion_webhook() {
    for (report, reason) in [
        (over(Ending::Completed, 3), Some(StopReason::Completed)),
        (over(Ending::Failed, 3), Some(StopReason::Failed)),
        (running(3), None),
    ] {
        let mut session = session();
        let outcome = settled(
            &mut session,
            StartOutcome::Answered(Answer::Report(report.clone())),
        );
        assert_eq!(outcome, Settled::Reported { report, increase: 3 });
        assert_eq!(session.delivery.state, DeliveryState::Delivered);
        match reason {
            Some(reason) => assert_eq!(
                session.state,
                State::Stopped {
                    reason,
                    at: moment(9)
                }
            ),
            None => assert!(session.is_active()),
        }
    }
}

#[test]
fn the_answer_after_the_webhook_changes_nothing_but_the_delivery() {
    let mut session = session();
    session.take(&over(Ending::Completed, 3), moment(5)).unwrap();
    let before = session.clone();
    let same = settled(
        &mut session,
        StartOutcome::Answered(Answer::Report(over(Ending::Completed, 3))),
    );
    assert_eq!(same, Settled::Recorded);
    let other = settled(
        &mut session,
        StartOutcome::Answered(Answer::Report(over(Ending::Failed, 4))),
    );
    assert!(matches!(other, Settled::Ignored(_)));
    assert_eq!(
        session,
        Session {
            delivery: StartDelivery::delivered(2),
            ..before
        }
    );
}

#[test]
fn what_does_not_count_still_delivers() {
    for answer in [Answer::Foreign("x".into()), Answer::Unreadable("y".into())] {
        let mut session = session();
        assert!(matches!(
            settled(&mut session, StartOutcome::Answered(answer)),
            Settled::Ignored(_)
        ));
        assert_eq!(session.delivery, StartDelivery::delivered(2));
        assert!(session.is_active());
    }
}

#[test]
fn a_start_that_failed_stops_an_active_session_only() {
    let failures = [
        (StartOutcome::Refused(reason()), "some_code", None),
        (StartOutcome::Failed(reason()), "some_code", Some("some words")),
        (StartOutcome::GivenUp(reason()), UNREACHABLE, None),
    ];
    for (outcome, code, message) in failures {
        let mut active = session();
        assert_eq!(settled(&mut active, outcome.clone()), Settled::Recorded);
        assert_eq!(
            active.state,
            State::Stopped {
                reason: StopReason::Failed,
                at: moment(9)
            }
        );
        assert_eq!(active.message.as_deref(), message);
        assert_eq!(active.delivery.state, DeliveryState::Failed);
        let error = active.delivery.error.unwrap();
        assert_eq!(error.code, code);
        assert!(error.message.contains("some words"));

        let mut over = session();
        over.stop(StopReason::StoppedByUser, moment(5));
        settled(&mut over, outcome);
        assert_eq!(
            over.state,
            State::Stopped {
                reason: StopReason::StoppedByUser,
                at: moment(5)
            }
        );
        assert_eq!((over.delivery.state, over.message), (DeliveryState::Failed, None));
    }
}

#[test]
fn a_lost_answer_is_judged_by_how_long_it_was_held() {
    for (seconds, state, answer_lost) in [
        (0, DeliveryState::Unknown, false),
        (29, DeliveryState::Unknown, false),
        (30, DeliveryState::Delivered, true),
        (9_000, DeliveryState::Delivered, true),
    ] {
        let mut session = session();
        settled(&mut session, lost(seconds));
        assert_eq!(
            (session.delivery.state, session.delivery.answer_lost),
            (state, answer_lost),
            "{seconds}"
        );
        assert!(session.is_active() && session.delivery.error.is_some());
    }
}

#[test]
fn a_lost_answer_matters_to_nobody_once_n8n_was_heard() {
    for seconds in [0, 31] {
        let mut session = session();
        session.hear();
        settled(&mut session, lost(seconds));
        assert_eq!(session.delivery, StartDelivery::delivered(2));
    }
}

#[test]
fn an_answer_that_comes_after_all_counts() {
    let mut session = session();
    settled(&mut session, lost(3));
    settled(
        &mut session,
        StartOutcome::Answered(Answer::Report(over(Ending::Completed, 8))),
    );
    assert_eq!(session.delivery, StartDelivery::delivered(2));
    assert_eq!((session.calls_made, session.is_active()), (8, false));
}

fn resent() -> Session {
    let mut session = session();
    settled(&mut session, lost(3));
    session.resend().unwrap();
    session
}

#[test]
fn only_an_answer_of_a_superseded_start_counts() {
    for outcome in [
        StartOutcome::Refused(reason()),
        StartOutcome::Failed(reason()),
        StartOutcome::GivenUp(reason()),
        lost(1),
        lost(99),
    ] {
        let mut session = resent();
        let before = session.clone();
        assert!(matches!(
            session.settle(outcome, 1, Request::Superseded, moment(9)),
            Settled::Ignored(_)
        ));
        assert_eq!(session, before);
    }
    let mut session = resent();
    session.settle(
        StartOutcome::Answered(Answer::Accepted),
        1,
        Request::Superseded,
        moment(9),
    );
    assert!(session.heard && session.resend_is_obsolete());
    assert_eq!(session.delivery.state, DeliveryState::Pending);
}

#[test]
fn a_second_start_that_fails_does_not_stop_a_workflow_that_works() {
    for outcome in [StartOutcome::Refused(reason()), StartOutcome::GivenUp(reason())] {
        let mut working = resent();
        working.hear();
        settled(&mut working, outcome.clone());
        assert!(working.is_active());
        assert_eq!(working.delivery.state, DeliveryState::Delivered);
        let mut silent = resent();
        settled(&mut silent, outcome);
        assert!(!silent.is_active());
    }
}

#[test]
fn a_start_that_n8n_did_not_take_is_tried_again_for_an_active_session_only() {
    let mut active = session();
    assert!(active.retry_start(2));
    assert_eq!(active.delivery, StartDelivery::owed());

    let mut stopped = session();
    stopped.stop(StopReason::StoppedByUser, moment(5));
    assert!(!stopped.retry_start(2));
    assert_eq!(
        (stopped.delivery.state, stopped.delivery.attempts),
        (DeliveryState::Cancelled, 2)
    );

    let mut working = session();
    working.hear();
    assert!(!working.retry_start(2));
    assert_eq!(working.delivery, StartDelivery::delivered(2));
}
