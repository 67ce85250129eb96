//! The fold of facts: whatever order they come in, however often, they make the same call.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::domain::call::{Facts, Left, Leg};
use crate::domain::dispatch::{EndReason, Status};
use crate::domain::recording::{Recording, RecordingState};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn answered() -> Facts {
    Facts {
        rang_at: Some(at(1)),
        answered_at: Some(at(5)),
        ..Facts::default()
    }
}

fn left(left: Left) -> Facts {
    Facts {
        left_at: Some(at(9)),
        left: Some(left),
        ..Facts::default()
    }
}

fn job_failed(error: &str) -> Facts {
    Facts {
        job_over: true,
        job_failed: true,
        job_error: Some(error.into()),
        ..Facts::default()
    }
}

fn end(facts: Facts) -> (Status, EndReason) {
    let course = facts.course();
    (course.status, course.end_reason.unwrap())
}

#[test]
fn a_call_goes_from_dispatched_to_its_end() {
    let mut facts = Facts::default();
    let mut seen = Vec::new();
    for more in [
        Facts::default(),
        Facts {
            rang_at: Some(at(1)),
            ..Facts::default()
        },
        answered(),
        left(Left::HungUp),
    ] {
        facts = facts.join(more);
        seen.push(facts.course().status);
    }
    assert_eq!(
        seen,
        [
            Status::Dispatched,
            Status::Ringing,
            Status::Answered,
            Status::Ended
        ]
    );
    let course = facts.course();
    assert_eq!((course.call_start, course.call_end), (Some(at(5)), Some(at(9))));
    assert_eq!(
        (course.end_reason, course.message),
        (Some(EndReason::Hangup), None)
    );
}

#[test]
fn an_unanswered_call_ends_for_livekits_reason_and_the_carriers_words_say_more() {
    for (reason, words, expected) in [
        (Left::Unavailable, None, (Status::Ended, EndReason::NoAnswer)),
        (Left::Rejected, None, (Status::Ended, EndReason::Busy)),
        (
            Left::Rejected,
            Some("sip status: 486: Busy Here"),
            (Status::Ended, EndReason::Busy),
        ),
        (
            Left::Rejected,
            Some("603 Decline"),
            (Status::Ended, EndReason::Declined),
        ),
        (
            Left::Rejected,
            Some("403 Forbidden auth ID"),
            (Status::Failed, EndReason::Refused),
        ),
        (
            Left::Unavailable,
            Some("480 Temporarily Unavailable"),
            (Status::Ended, EndReason::NoAnswer),
        ),
        (Left::Trunk, None, (Status::Failed, EndReason::TrunkFailure)),
        (
            Left::Trunk,
            Some("404 Not Found"),
            (Status::Failed, EndReason::Refused),
        ),
        (
            Left::Trunk,
            Some("503 Service Unavailable"),
            (Status::Failed, EndReason::TrunkFailure),
        ),
        (Left::AgentError, None, (Status::Failed, EndReason::AgentError)),
        (
            Left::Unknown,
            Some("RuntimeError: no model"),
            (Status::Failed, EndReason::AgentError),
        ),
        (Left::HungUp, None, (Status::Ended, EndReason::Hangup)),
        (Left::Removed, None, (Status::Ended, EndReason::Unknown)),
        (Left::Lost, None, (Status::Ended, EndReason::Unknown)),
    ] {
        let said = words.map(job_failed).unwrap_or_default();
        let facts = left(reason).join(said);
        assert_eq!(facts.course().message.as_deref().is_some(), words.is_some());
        assert_eq!(end(facts), expected, "{reason:?} {words:?}");
    }
}

#[test]
fn an_answered_call_has_ended_whatever_ended_it() {
    for (reason, expected) in [
        (Left::HungUp, EndReason::Hangup),
        (Left::Removed, EndReason::Hangup),
        (Left::Unknown, EndReason::Hangup),
        (Left::Media, EndReason::TrunkFailure),
        (Left::Trunk, EndReason::TrunkFailure),
        (Left::AgentError, EndReason::AgentError),
        (Left::Lost, EndReason::Unknown),
    ] {
        assert_eq!(
            end(answered().join(left(reason))),
            (Status::Ended, expected),
            "{reason:?}"
        );
    }
    let broken = answered()
        .join(left(Left::Unknown))
        .join(job_failed("RuntimeError"));
    assert_eq!(end(broken), (Status::Ended, EndReason::AgentError));
}

#[test]
fn a_cancelled_call_is_cancelled_whatever_ends_it() {
    let cancelled = Facts {
        cancelled: true,
        ..Facts::default()
    };
    assert_eq!(cancelled.over_at(), None);
    for more in [
        left(Left::Removed),
        left(Left::Rejected),
        left(Left::HungUp).join(job_failed("486 Busy")),
    ] {
        let facts = cancelled.clone().join(more);
        assert!(facts.is_explained());
        assert_eq!(end(facts), (Status::Ended, EndReason::Cancelled));
    }
}

#[test]
fn a_call_that_nobody_answered_waits_for_the_words_of_the_job() {
    assert!(!left(Left::Rejected).is_explained());
    assert!(left(Left::Rejected).join(job_failed("it broke")).is_explained());
    assert!(
        left(Left::Unknown)
            .join(job_failed("486 Busy Here"))
            .is_explained()
    );
    assert!(answered().join(left(Left::HungUp)).is_explained());
    assert!(!answered().join(left(Left::Unknown)).is_explained());
    assert!(!answered().is_explained() && !job_failed("486 Busy Here").is_explained());
}

#[test]
fn an_answer_that_is_known_too_late_does_not_lie_behind_the_end() {
    let late = Facts {
        answered_at: Some(at(10)),
        ..left(Left::HungUp)
    };
    assert_eq!(late.course().call_start, late.course().call_end);
}

#[test]
fn facts_are_stored_and_read_again() {
    let facts = answered()
        .join(left(Left::Trunk))
        .join(job_failed("503 x"))
        .join(Facts {
            recording: Some(Recording::not_started("no storage")),
            ..Facts::default()
        });
    let stored = serde_json::to_value(&facts).unwrap();
    assert_eq!(serde_json::from_value::<Facts>(stored).unwrap(), facts);
    assert_eq!(
        serde_json::to_value(Facts::default()).unwrap(),
        serde_json::json!({})
    );
    assert_eq!(
        serde_json::from_value::<Facts>(serde_json::json!({"newer": 1})).unwrap(),
        Facts::default()
    );
}

fn moment() -> impl Strategy<Value = Option<DateTime<Utc>>> {
    proptest::option::of((0_i64..40).prop_map(at))
}

fn recording() -> impl Strategy<Value = Recording> {
    let id = proptest::option::of(proptest::sample::select(vec!["EG_1", "EG_2"]));
    let state = proptest::sample::select(RecordingState::ALL.to_vec());
    let text = || proptest::option::of(proptest::sample::select(vec!["a", "b"]));
    (id, state, text(), text()).prop_map(|(id, state, location, error)| Recording {
        egress_id: id.map(Into::into),
        state,
        location: location.map(Into::into),
        error: error.map(Into::into),
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let reason = proptest::option::of(proptest::sample::select(vec![
        Left::Unknown,
        Left::Lost,
        Left::Removed,
        Left::Media,
        Left::AgentError,
        Left::HungUp,
        Left::Unavailable,
        Left::Trunk,
        Left::Rejected,
    ]));
    let error = proptest::option::of(proptest::sample::select(vec!["486 Busy", "503 x", "broken", "z"]));
    let leg = proptest::option::of((0_i64..5, 0_usize..3));
    let moments = (moment(), moment(), moment(), moment(), moment());
    let job = (any::<bool>(), any::<bool>(), any::<bool>(), error);
    (moments, leg, reason, job, proptest::option::of(recording())).prop_map(
        |((rang_at, answered_at, left_at, closed_at, deserted_at), leg, left, job, recording)| Facts {
            callee: leg.map(|(seconds, who)| Leg {
                seen_at: at(seconds),
                identity: format!("sip_{who}"),
            }),
            rang_at,
            answered_at,
            left_at,
            left,
            closed_at,
            deserted_at,
            cancelled: job.2,
            job_over: job.0,
            job_failed: job.1,
            job_error: job.3.map(Into::into),
            recording,
        },
    )
}

fn joined(facts: &[Facts]) -> Facts {
    facts.iter().cloned().fold(Facts::default(), Facts::join)
}

/// How far a status is; a call never goes back.
fn rank(status: Status) -> u8 {
    match status {
        Status::Dispatched => 0,
        Status::Ringing => 1,
        Status::Answered => 2,
        Status::Ended | Status::NoWorker | Status::Failed => 3,
    }
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_make_the_same_call(
        all in proptest::collection::vec(facts(), 1..8),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..24),
    ) {
        let mut shuffled: Vec<Facts> = order.iter().map(|index| all[index.index(all.len())].clone()).collect();
        // Each at least once, and the ones before in whatever order and number.
        shuffled.extend(all.iter().rev().cloned());
        prop_assert_eq!(joined(&shuffled), joined(&all));
        prop_assert_eq!(joined(&shuffled).course(), joined(&all).course());
    }

    #[test]
    fn facts_join_in_any_grouping(one in facts(), two in facts(), three in facts()) {
        let left = one.clone().join(two.clone()).join(three.clone());
        prop_assert_eq!(left, one.clone().join(two.clone().join(three)));
        prop_assert_eq!(one.clone().join(two.clone()), two.join(one.clone()));
        prop_assert_eq!(one.clone().join(one.clone()), one);
    }

    #[test]
    fn a_call_never_goes_back(all in proptest::collection::vec(facts(), 1..8)) {
        let mut known = Facts::default();
        for more in all {
            let before = known.course().status;
            known = known.join(more);
            prop_assert!(rank(known.course().status) >= rank(before));
            let course = known.course();
            if let (Some(start), Some(end)) = (course.call_start, course.call_end) {
                prop_assert!(start <= end);
            }
            prop_assert_eq!(course.call_end.is_some(), course.end_reason.is_some());
        }
    }
}
