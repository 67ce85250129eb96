//! Every state against everything that can happen to it.

use proptest::prelude::*;

use super::*;

pub(crate) fn moment(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000 + seconds, 0).unwrap()
}

pub(crate) fn session() -> Session {
    let user = UserId::parse("user-1").unwrap();
    let limit = DailyLimit::within(100, 10_000).unwrap();
    Session::begin(user, Some("user@example.com".into()), limit, moment(0))
}

pub(crate) fn over(ending: Ending, calls: impl Into<Option<i32>>) -> Report {
    Report {
        stage: Stage::Over(ending),
        calls_made: calls.into(),
        message: None,
    }
}

pub(crate) fn running(calls: impl Into<Option<i32>>) -> Report {
    Report {
        stage: Stage::Running,
        calls_made: calls.into(),
        message: None,
    }
}

fn stopped(reason: StopReason) -> Session {
    let mut session = session();
    assert!(session.stop(reason, moment(5)));
    session
}

/// The states that a session can be in: active; over without a completion; over by a completion; over otherwise, with
/// its one completion taken.
fn states() -> Vec<(&'static str, Session)> {
    let with_completion = |mut session: Session| {
        session.take(&over(Ending::Completed, 37), moment(6)).unwrap();
        session
    };
    vec![
        ("active", session()),
        ("stopped by user", stopped(StopReason::StoppedByUser)),
        ("expired", stopped(StopReason::Expired)),
        ("delivery failed", stopped(StopReason::Failed)),
        ("completed", with_completion(session())),
        (
            "stopped by user, completed",
            with_completion(stopped(StopReason::StoppedByUser)),
        ),
        (
            "expired, completed",
            with_completion(stopped(StopReason::Expired)),
        ),
        (
            "delivery failed, completed",
            with_completion(stopped(StopReason::Failed)),
        ),
    ]
}

#[test]
fn every_state_meets_every_report() {
    let moved = |increase| Ok(Taken::Moved { increase });
    let late = Err(AlreadyCompleted);
    let reports = [
        ("progress", running(40)),
        ("progress, lower", running(1)),
        ("same completion", over(Ending::Completed, 37)),
        ("other count", over(Ending::Completed, 38)),
        ("no count", over(Ending::Completed, None)),
        ("other outcome", over(Ending::Failed, 37)),
    ];
    for (name, start) in states() {
        let recorded = start.completion.is_some();
        for (what, report) in &reports {
            let mut session = start.clone();
            let taken = session.take(report, moment(9));
            let expected = match (recorded, *what) {
                (true, "same completion") => Ok(Taken::Repeated),
                (true, _) => late,
                (false, "no count") => moved(0),
                (false, _) => moved(report.calls_made.unwrap()),
            };
            assert_eq!(taken, expected, "{name}: {what}");
            if recorded {
                assert_eq!(session, start, "{name}: {what} must change nothing");
                continue;
            }
            match (start.state, report.stage) {
                (State::Active, Stage::Over(ending)) => {
                    assert_eq!(
                        session.state,
                        State::Stopped {
                            reason: ending.reason(),
                            at: moment(9)
                        }
                    );
                }
                (before, _) => assert_eq!(session.state, before, "{name}: {what}"),
            }
            assert_eq!(
                session.completion.is_some(),
                matches!(report.stage, Stage::Over(_)),
                "{name}: {what}"
            );
            assert!(session.heard);
        }
    }
}

#[test]
fn only_an_active_session_can_be_stopped() {
    for (name, mut session) in states() {
        let before = session.clone();
        let stopped = session.stop(StopReason::StoppedByUser, moment(9));
        assert_eq!(stopped, before.is_active(), "{name}");
        if stopped {
            assert_eq!(
                session.state,
                State::Stopped {
                    reason: StopReason::StoppedByUser,
                    at: moment(9)
                }
            );
        } else {
            assert_eq!(session, before, "{name}");
        }
    }
}

#[test]
fn a_session_expires_once_its_time_is_over() {
    let day = Duration::from_secs(86_400);
    for (name, start) in states() {
        let mut early = start.clone();
        assert!(!early.expire(day, moment(86_399)), "{name}");
        assert_eq!(early, start, "{name}");
        let mut due = start.clone();
        assert_eq!(due.expire(day, moment(86_400)), start.is_active(), "{name}");
        if start.is_active() {
            assert_eq!(
                due.state,
                State::Stopped {
                    reason: StopReason::Expired,
                    at: moment(86_400)
                }
            );
        } else {
            assert_eq!(due, start, "{name}");
        }
    }
}

#[test]
fn a_start_is_sent_again_only_while_nobody_knows_whether_it_arrived() {
    use DeliveryState as D;
    for state in [
        D::Pending,
        D::Waiting,
        D::Delivered,
        D::Unknown,
        D::Failed,
        D::Cancelled,
    ] {
        for (name, mut session) in states() {
            session.delivery.state = state;
            let before = session.clone();
            match session.resend() {
                Ok(()) => {
                    assert!(before.is_active() && state == D::Unknown, "{name} {state:?}");
                    assert_eq!(session.delivery, StartDelivery::owed());
                    assert!(session.resent);
                }
                Err(NoResend::Stopped) => assert!(!before.is_active() && before == session, "{name}"),
                Err(NoResend::Known(known)) => {
                    assert!(
                        known == state && state != D::Unknown && before == session,
                        "{name}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_sign_of_life_settles_what_was_in_doubt() {
    let signs: [fn(&mut Session); 3] = [
        Session::hear,
        |s| assert!(s.take(&running(1), moment(1)).is_ok()),
        |s| assert!(s.take(&over(Ending::Failed, None), moment(1)).is_ok()),
    ];
    for sign in signs {
        for answer_lost in [false, true] {
            let mut session = session();
            let state = if answer_lost {
                DeliveryState::Delivered
            } else {
                DeliveryState::Unknown
            };
            session.delivery = StartDelivery {
                state,
                answer_lost,
                attempts: 2,
                error: None,
            };
            sign(&mut session);
            assert_eq!(session.delivery, StartDelivery::delivered(2));
        }
        for state in [
            DeliveryState::Pending,
            DeliveryState::Failed,
            DeliveryState::Cancelled,
        ] {
            let mut session = session();
            session.delivery.state = state;
            sign(&mut session);
            assert_eq!(session.delivery.state, state);
        }
    }
}

#[test]
fn a_second_start_is_obsolete_once_n8n_turns_out_to_have_the_first() {
    let mut session = session();
    session.delivery.state = DeliveryState::Unknown;
    session.resend().unwrap();
    assert!(!session.resend_is_obsolete());
    session.hear();
    assert!(session.resend_is_obsolete());
    session.resend_withdrawn();
    assert_eq!(session.delivery.state, DeliveryState::Delivered);
    assert!(!session.resend_is_obsolete());
}

#[test]
fn the_message_of_the_end_replaces_that_of_the_way() {
    let say = |stage, message: Option<&str>| Report {
        stage,
        calls_made: None,
        message: message.map(Into::into),
    };
    let mut session = session();
    session
        .take(&say(Stage::Running, Some("dialling lead 3")), moment(1))
        .unwrap();
    assert_eq!(session.message.as_deref(), Some("dialling lead 3"));
    session.take(&say(Stage::Running, None), moment(2)).unwrap();
    assert_eq!(session.message.as_deref(), Some("dialling lead 3"));
    session
        .take(&say(Stage::Over(Ending::Completed), None), moment(3))
        .unwrap();
    assert_eq!(session.message, None);
}

#[test]
fn a_late_completion_is_told_and_ends_nothing() {
    let mut session = stopped(StopReason::StoppedByUser);
    let report = Report {
        message: Some("all done".into()),
        ..over(Ending::Completed, 12)
    };
    assert_eq!(
        session.take(&report, moment(60)),
        Ok(Taken::Moved { increase: 12 })
    );
    assert_eq!(
        session.state,
        State::Stopped {
            reason: StopReason::StoppedByUser,
            at: moment(5)
        }
    );
    assert_eq!(
        (session.calls_made, session.message.as_deref()),
        (12, Some("all done"))
    );
}

#[test]
fn limits_have_bounds() {
    for (limit, max, ok) in [
        (0, 10, false),
        (1, 10, true),
        (10, 10, true),
        (11, 10, false),
        (-1, 10, false),
        (i64::MAX, u32::MAX, false),
    ] {
        assert_eq!(DailyLimit::within(limit, max).is_some(), ok, "{limit}");
    }
    assert_eq!(DailyLimit::stored(10).remaining(3), 7);
    assert_eq!(DailyLimit::stored(10).remaining(30), 0);
}

fn any_report() -> impl Strategy<Value = Report> {
    let stage = prop_oneof![
        8 => Just(Stage::Running),
        1 => Just(Stage::Over(Ending::Completed)),
        1 => Just(Stage::Over(Ending::Failed)),
    ];
    (stage, proptest::option::of(0..1_000_000_i32)).prop_map(|(stage, calls_made)| Report {
        stage,
        calls_made,
        message: None,
    })
}

proptest! {
    #[test]
    fn the_count_never_falls_and_the_day_gets_every_increase(
        steps in proptest::collection::vec(prop_oneof![any_report().prop_map(Some), Just(None)], 0..40)
    ) {
        let mut session = session();
        let mut today = 0_i64;
        for step in steps {
            let before = session.calls_made;
            match step {
                Some(report) => {
                    if let Ok(Taken::Moved { increase }) = session.take(&report, moment(1)) {
                        prop_assert!(increase >= 0);
                        today += i64::from(increase);
                    }
                }
                None => {
                    session.count_call();
                    today += 1;
                }
            }
            prop_assert!(session.calls_made >= before);
            prop_assert_eq!(i64::from(session.calls_made), today);
        }
    }

    #[test]
    fn a_completion_is_taken_once_whatever_comes_after(
        first in any_report(), rest in proptest::collection::vec(any_report(), 0..20)
    ) {
        let mut session = session();
        session.take(&Report { stage: Stage::Over(Ending::Completed), ..first }, moment(1)).unwrap();
        let ended = session.clone();
        for report in rest {
            let moved = matches!(session.take(&report, moment(2)), Ok(Taken::Moved { .. }));
            prop_assert!(!moved);
            prop_assert_eq!(&session, &ended);
        }
    }
}
