//! What becomes of a task, event by event.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 0).unwrap()
}

fn task() -> Task {
    let id = TaskId::new(now(), 7);
    let (user, agent) = (UserId::parse("ada").unwrap(), AgentId::parse("sales").unwrap());
    let mut task = Task::begin(id, user, None, agent, "hello", now());
    assert_eq!(task.take_message(now()), Ok(1));
    task
}

fn failure() -> Failure {
    Failure::new("n8n_refused", "It refuses")
}

#[test]
fn a_message_waits_an_answer_ends_the_waiting() {
    let mut task = task();
    assert_eq!(task.state, State::Waiting { since: now() });
    assert_eq!((task.last_seq, task.state_seq), (2, 2));
    assert_eq!(task.take_responses(2, Behind::Nothing), Ok(3));
    assert_eq!((&task.state, task.responses), (&State::Answered, 2));
    assert_eq!((task.last_seq, task.state_seq), (5, 5));
    let later = now() + TimeDelta::hours(1);
    assert_eq!(task.take_message(later), Ok(6));
    assert_eq!(task.state, State::Waiting { since: later });
}

#[test]
fn a_message_that_is_not_sent_yet_is_still_waited_for() {
    let mut task = task();
    task.take_message(now()).unwrap();
    let before = task.state_seq;
    task.take_responses(1, Behind::Unsent).unwrap();
    assert!(task.is_waiting() && task.state_seq > before);
}

#[test]
fn a_failure_counts_only_while_it_waits_and_a_late_answer_makes_up_for_it() {
    let mut task = task();
    task.fail(failure());
    assert_eq!(task.state, State::Failed(failure()));
    task.fail(Failure::no_answer());
    assert_eq!(task.state, State::Failed(failure()));
    task.take_responses(1, Behind::Nothing).unwrap();
    assert_eq!(task.state, State::Answered);
    task.fail(failure());
    assert_eq!(task.state, State::Answered);
}

#[test]
fn only_what_failed_is_sent_again() {
    let mut task = task();
    assert_eq!(task.resend(now()), Err(NotFailed));
    task.fail(failure());
    let later = now() + TimeDelta::hours(1);
    assert_eq!(task.resend(later), Ok(()));
    assert_eq!(task.state, State::Waiting { since: later });
    task.take_responses(1, Behind::Nothing).unwrap();
    assert_eq!(task.resend(later), Err(NotFailed));
}

#[test]
fn it_waits_as_long_as_it_may() {
    let mut task = task();
    let longest = Duration::from_secs(60);
    assert!(!task.is_overdue(longest, now() + TimeDelta::seconds(59)));
    assert!(task.is_overdue(longest, now() + TimeDelta::seconds(60)));
    // Another replica's clock may be behind.
    assert!(!task.is_overdue(longest, now() - TimeDelta::hours(1)));
    task.fail(failure());
    assert!(!task.is_overdue(longest, now() + TimeDelta::hours(1)));
}

#[test]
fn messages_and_answers_have_a_bound() {
    let mut task = task();
    task.messages = MAX_MESSAGES;
    task.responses = MAX_RESPONSES - 1;
    let before = task.clone();
    assert_eq!(task.take_message(now()), Err(Full));
    assert_eq!(task.take_responses(2, Behind::Nothing), Err(Full));
    assert_eq!(task, before);
    assert!(task.take_responses(1, Behind::Nothing).is_ok());
}

#[test]
fn a_title_is_one_short_line() {
    assert_eq!(title_of(" a\n\n b\tc "), "a b c");
    let long = title_of(&"é".repeat(200));
    assert_eq!(long.chars().count(), TITLE_CHARS + 1);
}

proptest! {
    /// Whatever happens, positions rise, no two entries share one, and a change of the task has one of its own.
    #[test]
    fn positions_only_rise(steps in proptest::collection::vec(0_u8..5, 1..60)) {
        let mut task = task();
        let mut taken = std::collections::BTreeSet::from([1, task.state_seq]);
        for step in steps {
            let before = task.clone();
            let entries = match step {
                0 => task.take_message(now()).map(|at| at..at + 1),
                1 => task.take_responses(1, Behind::Nothing).map(|at| at..at + 1),
                2 => task.take_responses(3, Behind::Unsent).map(|at| at..at + 3),
                3 => { task.fail(failure()); Ok(0..0) }
                _ => { let _ = task.resend(now()); Ok(0..0) }
            };
            for at in entries.unwrap() {
                prop_assert!(at > before.last_seq && taken.insert(at));
            }
            if task.state != before.state || task.messages != before.messages || task.responses != before.responses {
                prop_assert!(taken.insert(task.state_seq));
                prop_assert_eq!(task.state_seq, task.last_seq);
            } else {
                prop_assert_eq!(&task, &before);
            }
        }
    }
}
