//! What is to be done about a recording, from the answer to the file.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::call::Facts;
use crate::domain::recording::{Act, MAX_STARTS, Recording, RecordingState, SETTLES_WITHIN, plan};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn answered(state: Option<RecordingState>) -> Facts {
    Facts {
        answered_at: Some(at(0)),
        recording: state.map(|state| Recording {
            egress_id: Some("EG_1".into()),
            ..Recording {
                state,
                ..Recording::not_started("")
            }
        }),
        ..Facts::default()
    }
}

fn over(state: Option<RecordingState>) -> Facts {
    Facts {
        left_at: Some(at(10)),
        ..answered(state)
    }
}

#[test]
fn a_recording_begins_with_the_answer_and_not_before() {
    assert_eq!(plan(true, &Facts::default(), 0, false, at(0)), Act::Nothing);
    assert_eq!(plan(true, &answered(None), 0, false, at(0)), Act::Start);
    assert_eq!(
        plan(true, &answered(None), MAX_STARTS, false, at(0)),
        Act::Nothing
    );
    assert_eq!(
        plan(true, &answered(Some(RecordingState::Active)), 1, false, at(1)),
        Act::Look
    );
}

#[test]
fn nothing_is_recorded_that_was_not_asked_for() {
    for facts in [
        Facts::default(),
        answered(None),
        over(Some(RecordingState::Active)),
    ] {
        assert_eq!(plan(false, &facts, 0, false, at(11)), Act::Nothing);
    }
}

#[test]
fn a_recording_is_stopped_once_when_the_call_ends_and_then_waited_for() {
    for state in [RecordingState::Starting, RecordingState::Active] {
        assert_eq!(
            plan(true, &over(Some(state)), 1, false, at(11)),
            Act::Stop,
            "{state}"
        );
        assert_eq!(
            plan(true, &over(Some(state)), 1, true, at(11)),
            Act::Look,
            "{state}"
        );
    }
    assert_eq!(
        plan(true, &over(Some(RecordingState::Ending)), 1, false, at(11)),
        Act::Look
    );
    assert_eq!(
        plan(true, &over(Some(RecordingState::Complete)), 1, true, at(11)),
        Act::Nothing
    );
    let too_late = at(11) + SETTLES_WITHIN;
    assert_eq!(
        plan(true, &over(Some(RecordingState::Ending)), 1, true, too_late),
        Act::Nothing
    );
}

#[test]
fn a_call_that_is_over_is_not_recorded_any_more() {
    assert_eq!(plan(true, &over(None), 0, false, at(11)), Act::Nothing);
    let never_answered = Facts {
        left_at: Some(at(3)),
        ..Facts::default()
    };
    assert_eq!(plan(true, &never_answered, 0, false, at(4)), Act::Nothing);
}

#[test]
fn a_start_whose_answer_was_lost_is_tried_again_and_looked_up_after_the_call() {
    let lost = |facts: Facts| Facts {
        recording: Some(Recording::beginning()),
        ..facts
    };
    assert_eq!(plan(true, &lost(answered(None)), 1, false, at(1)), Act::Start);
    assert_eq!(
        plan(true, &lost(answered(None)), MAX_STARTS, false, at(1)),
        Act::Nothing
    );
    assert_eq!(plan(true, &lost(over(None)), 1, false, at(11)), Act::Look);
    // What is found is stopped.
    assert_eq!(
        plan(
            true,
            &lost(over(None)).join(over(Some(RecordingState::Active))),
            1,
            false,
            at(11)
        ),
        Act::Stop
    );
}

#[test]
fn what_came_to_an_end_does_not_begin_again() {
    for state in RecordingState::ALL {
        let facts = answered(Some(*state));
        let act = if state.is_over() { Act::Nothing } else { Act::Look };
        assert_eq!(plan(true, &facts, 1, false, at(1)), act, "{state}");
    }
}

#[test]
fn livekits_numbers_are_read() {
    for (number, state) in [
        (0, Some(RecordingState::Starting)),
        (3, Some(RecordingState::Complete)),
        (5, Some(RecordingState::Aborted)),
        (7, None),
        (-1, None),
    ] {
        assert_eq!(RecordingState::of_number(number), state);
    }
}
