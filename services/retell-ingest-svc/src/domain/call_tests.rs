//! A call is the same whatever the order of its events.

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + second, 0).unwrap()
}

fn event(name: &str, second: i64, facts: Value) -> Event {
    let mut call = json!({"call_id": "c", "agent_id": "a"});
    call.as_object_mut()
        .unwrap()
        .extend(facts.as_object().unwrap().clone());
    Event::read(&json!({"event": name, "call": call}), at(second)).unwrap()
}

fn folded<'a>(events: impl IntoIterator<Item = &'a Event>) -> Call {
    let mut events = events.into_iter();
    let mut call = Call::of(events.next().unwrap());
    events.for_each(|event| call.take(event));
    call
}

/// The events of one call as Retell may send them: each kind more than once, with facts that contradict each other.
fn events() -> Vec<Event> {
    vec![
        event(
            "call_started",
            1,
            json!({"call_status": "ongoing", "direction": "outbound", "start_timestamp": 1_760_000_000_000_i64}),
        ),
        event(
            "transcript_updated",
            2,
            json!({"transcript": "Agent: Hi", "transcript_object": [{"role": "agent", "content": "Hi"}]}),
        ),
        event(
            "transcript_updated",
            3,
            json!({"transcript": "Agent: Hi\nUser: Oh", "transcript_object":
            [{"role": "agent", "content": "Hi"}, {"role": "user", "content": "Oh"}]}),
        ),
        event("transfer_started", 4, json!({"transfer_destination": "+1"})),
        event(
            "call_ended",
            5,
            json!({"call_status": "error", "end_timestamp": 1_760_000_090_000_i64, "duration_ms": 90_000,
            "disconnection_reason": "user_hangup", "transcript": "Agent: Hi\nUser: Oh\nAgent: Bye"}),
        ),
        event(
            "call_analyzed",
            6,
            json!({"call_analysis": {"call_summary": "First.", "call_successful": true}}),
        ),
        event(
            "call_analyzed",
            7,
            json!({"call_analysis": {"call_summary": "Second.", "user_sentiment": "Positive"}}),
        ),
        event(
            "call_renamed_by_retell",
            8,
            json!({"recording_url": "https://example.com/r.wav", "direction": "inbound"}),
        ),
    ]
}

#[test]
fn later_knowledge_wins_and_what_only_an_early_event_knows_stays() {
    let call = folded(&events());
    assert_eq!(call.stage, Stage::Analyzed);
    assert_eq!(
        (call.status(), call.duration_minutes()),
        (Some("error"), Some(1.5))
    );
    assert_eq!(call.facts.direction.as_deref(), Some("outbound"));
    assert_eq!(call.facts.summary.as_deref(), Some("Second."));
    assert_eq!(call.facts.sentiment.as_deref(), Some("Positive"));
    assert_eq!(call.facts.successful, Some(true));
    assert_eq!(
        call.facts.transcript.as_deref(),
        Some("Agent: Hi\nUser: Oh\nAgent: Bye")
    );
    assert_eq!(
        call.facts.recording_url.as_deref(),
        Some("https://example.com/r.wav")
    );
    assert_eq!((call.created_at, call.sort_at()), (at(1), at(0)));
}

#[test]
fn a_call_that_never_connected_begins_with_its_end() {
    let call = folded([&event(
        "call_ended",
        1,
        json!({"call_status": "not_connected", "disconnection_reason": "dial_no_answer"}),
    )]);
    assert_eq!(
        (call.status(), call.duration_minutes()),
        (Some("not_connected"), None)
    );
    assert_eq!(call.sort_at(), at(1));
}

#[test]
fn a_call_is_over_when_its_end_was_told_even_without_a_status() {
    let started = event("call_started", 1, json!({"call_status": "ongoing"}));
    let analyzed = event("call_analyzed", 2, json!({}));
    assert_eq!(folded([&started]).status(), Some("ongoing"));
    assert_eq!(folded([&started, &analyzed]).status(), Some("ended"));
    assert_eq!(
        folded([&event("transcript_updated", 1, json!({}))]).status(),
        Some("ongoing")
    );
    assert_eq!(folded([&event("something_new", 1, json!({}))]).status(), None);
}

#[test]
fn minutes_have_two_decimals_and_retells_own_duration_wins() {
    let minutes = |facts: Value| folded([&event("call_ended", 1, facts)]).duration_minutes();
    let start = 1_760_000_000_000_i64;
    assert_eq!(
        minutes(json!({"start_timestamp": start, "end_timestamp": start + 300_000})),
        Some(5.0)
    );
    assert_eq!(
        minutes(json!({"start_timestamp": start, "end_timestamp": start + 300_000, "duration_ms": 100_000})),
        Some(1.67)
    );
    assert_eq!(
        minutes(json!({"start_timestamp": start / 1000, "end_timestamp": (start + 61_000) * 1000})),
        Some(1.02)
    );
    assert_eq!(
        minutes(json!({"start_timestamp": start, "end_timestamp": start - 1})),
        None
    );
    assert_eq!(minutes(json!({"duration_ms": 0})), Some(0.0));
}

#[test]
fn the_same_moment_is_no_reason_to_depend_on_the_order() {
    let one = event(
        "call_analyzed",
        1,
        json!({"call_analysis": {"call_summary": "One."}}),
    );
    let other = event(
        "call_analyzed",
        1,
        json!({"call_analysis": {"call_summary": "Other."}}),
    );
    assert_eq!(folded([&one, &other]), folded([&other, &one]));
}

proptest! {
    #[test]
    fn every_order_with_repeats_ends_in_the_same_call(
        order in Just(events()).prop_shuffle(),
        repeats in prop::collection::vec((0_usize..8, 0_usize..16), 0..8),
    ) {
        let mut arriving = order.clone();
        for (which, place) in repeats {
            let place = place.min(arriving.len());
            arriving.insert(place, order[which].clone());
        }
        prop_assert_eq!(folded(&arriving), folded(&events()));
    }

    #[test]
    fn folding_in_two_halves_is_folding_the_whole(order in Just(events()).prop_shuffle(), cut in 1_usize..7) {
        // What the database keeps between two events is the call and its sources.
        let mut first = folded(&order[..cut]);
        let stored = serde_json::to_value(&first.sources).unwrap();
        first.sources = serde_json::from_value(stored).unwrap();
        order[cut..].iter().for_each(|event| first.take(event));
        prop_assert_eq!(first, folded(&events()));
    }

    #[test]
    fn minutes_are_never_negative(start in 1_000_000_000_000_i64..2_000_000_000_000, length in -100_000_i64..100_000_000) {
        let call = folded([&event("call_ended", 1, json!({"start_timestamp": start, "end_timestamp": start + length}))]);
        prop_assert!(call.duration_minutes().is_none_or(|minutes| minutes >= 0.0));
        prop_assert_eq!(call.sort_at(), DateTime::UNIX_EPOCH + TimeDelta::milliseconds(start));
    }
}
