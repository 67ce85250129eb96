//! What is read of an event, and what must not be believed.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap()
}

fn read(body: Value) -> Event {
    Event::read(&body, at()).unwrap()
}

#[test]
fn what_an_event_cannot_be_kept_without_is_named() {
    let body = json!({"event": "call_ended", "call": {"call_id": "c", "agent_id": "a"}});
    for (path, name) in [
        ("/event", "event"),
        ("/call/call_id", "call_id"),
        ("/call/agent_id", "agent_id"),
    ] {
        let mut without = body.clone();
        *without.pointer_mut(path).unwrap() = Value::Null;
        let problem = Event::read(&without, at()).unwrap_err();
        assert_eq!(
            (problem.status, problem.message),
            (400, format!("{name} is required"))
        );
    }
    for other in [json!([]), json!("x"), json!(null), json!({})] {
        assert_eq!(Event::read(&other, at()).unwrap_err().status, 400, "{other}");
    }
}

#[test]
fn the_compulsory_values_stand_in_several_places() {
    for body in [
        json!({"event": "e", "call": {"call_id": "c", "agent_id": "a"}}),
        json!({"event_type": "e", "data": {"call_id": "c", "agent_id": "a"}}),
        json!({"event": "e", "agent_id": "a", "call": {"call_id": "c"}}),
        json!({"event": "e", "agent_id": "a", "call_id": "c"}),
        json!({"event": "e", "chat": {"chat_id": "c", "agent_id": "a"}}),
    ] {
        let event = read(body.clone());
        let said = (
            event.name.as_str(),
            event.call_id.as_str(),
            event.agent_id.as_str(),
        );
        assert_eq!(said, ("e", "c", "a"), "{body}");
        assert_eq!(agent_named_in(&body).as_deref(), Some("a"));
    }
    let numbers = read(json!({"event": "e", "call": {"call_id": 7, "agent_id": 8}}));
    assert_eq!((numbers.call_id.as_str(), numbers.agent_id.as_str()), ("7", "8"));
}

#[test]
fn a_fact_of_the_wrong_type_is_left_out_and_nothing_is_refused() {
    let event = read(json!({"event": "call_analyzed", "call": {
        "call_id": "c", "agent_id": "a", "transcript": 5, "start_timestamp": "soon", "end_timestamp": [1],
        "duration_ms": -3, "direction": {}, "recording_url": true, "call_cost": {"combined_cost": "much"},
        "transcript_object": {"role": "agent"},
        "call_analysis": {"call_summary": 1, "call_successful": "perhaps", "user_sentiment": ["Positive"]}}}));
    let expected = Facts {
        agent_id: Some("a".into()),
        channel: Some("voice".into()),
        analysis: Some(
            json!({"call_summary": 1, "call_successful": "perhaps", "user_sentiment": ["Positive"]}),
        ),
        ..Facts::default()
    };
    assert_eq!(event.facts, expected);
}

#[test]
fn a_chat_has_names_of_its_own() {
    let event = read(
        json!({"event": "chat_analyzed", "chat": {"chat_id": "chat_1", "agent_id": "a",
        "chat_status": "ended", "chat_cost": {"combined_cost": 1.5},
        "message_with_tool_calls": [{"role": "user", "content": "Hi"}, {"role": "tool_call_result", "content": "{}"}],
        "chat_analysis": {"chat_summary": "A chat.", "chat_successful": true, "user_sentiment": "Neutral"}}}),
    );
    assert_eq!(
        (event.channel, event.stage, event.utterances),
        (Channel::Chat, Stage::Analyzed, 2)
    );
    assert_eq!(event.facts.summary.as_deref(), Some("A chat."));
    assert_eq!(
        (event.facts.successful, event.facts.cost_cents),
        (Some(true), Some(1.5))
    );
    assert_eq!(
        event.facts.turns,
        Some(json!([{"speaker": "user", "text": "Hi"}]))
    );
}

#[test]
fn what_postgres_refuses_is_taken_out_of_the_text() {
    let event = read(
        json!({"event": "call_ended", "call": {"call_id": "c", "agent_id": "a",
        "transcript": "a\u{0}b", "call_analysis": {"custom\u{0}": "x\u{0}y"}}}),
    );
    assert_eq!(event.facts.transcript.as_deref(), Some("ab"));
    assert_eq!(event.facts.analysis, Some(json!({"custom": "xy"})));
    let named = read(json!({"event": "e\u{0}", "call": {"call_id": "c\u{0}", "agent_id": "\u{0}a"}}));
    let names = (
        named.name.as_str(),
        named.call_id.as_str(),
        named.agent_id.as_str(),
    );
    assert_eq!(names, ("e", "c", "a"));
    let nothing_left = json!({"event": "e", "call": {"call_id": "\u{0}", "agent_id": "a"}});
    assert_eq!(Event::read(&nothing_left, at()).unwrap_err().status, 400);
}

#[test]
fn a_call_without_a_start_is_counted_back_from_its_end() {
    let end = at().timestamp_millis();
    let call = |rest: Value| {
        let mut call = json!({"call_id": "c", "agent_id": "a"});
        call.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        read(json!({"event": "call_ended", "call": call})).happened_at()
    };
    assert_eq!(
        call(json!({"start_timestamp": end - 5})),
        Some(at() - TimeDelta::milliseconds(5))
    );
    assert_eq!(
        call(json!({"end_timestamp": end, "duration_ms": 60_000})),
        Some(at() - TimeDelta::minutes(1))
    );
    assert_eq!(call(json!({"end_timestamp": end})), None);
}

#[test]
fn the_same_event_has_the_same_hash_however_it_is_written() {
    let one: Value =
        serde_json::from_str(r#"{"event":"e","call":{"call_id":"c","agent_id":"a","x":[1,2.50]}}"#).unwrap();
    let other: Value =
        serde_json::from_str(r#"{ "call": {"x":[1, 2.5], "agent_id":"a","call_id":"c"}, "event":"e" }"#)
            .unwrap();
    assert_eq!(hash(&one), hash(&other));
}

#[test]
fn different_values_have_different_hashes() {
    let values = [
        json!({"a": "b"}),
        json!({"a": ["b"]}),
        json!({"a": "b", "c": "d"}),
        json!({"a": "b\",\"c\":\"d"}),
        json!(["a", "b"]),
        json!([["a"], "b"]),
        json!("1"),
        json!(1),
        json!(null),
        json!("null"),
    ];
    for (nth, one) in values.iter().enumerate() {
        for other in &values[nth + 1..] {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
    }
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(event in ".{0,8}", call in "[a-z]{0,3}", number in any::<f64>(), flag in any::<bool>()) {
        let body = json!({"event": event, "call": {"call_id": call, "agent_id": "a", "start_timestamp": number,
            "duration_ms": number, "transcript_object": [flag, {"role": flag}], "call_cost": number}});
        let _ = Event::read(&body, at());
    }
}

#[test]
fn a_number_has_one_hash_however_it_is_written() {
    let written = |text: &str| hash(&serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(written("[300000.0, 70, 1.5]"), written("[300000, 70.0, 1.50]"));
    assert_ne!(written("[1.5]"), written("[1.25]"));
}

#[test]
fn an_empty_call_does_not_hide_the_data_behind_it() {
    let event = read(
        json!({"event": "call_ended", "call": {}, "data": {"call_id": "c", "agent_id": "a", "duration_ms": 5}}),
    );
    assert_eq!(event.facts.duration_ms, Some(5));
}

#[test]
fn halves_of_characters_are_mended_and_nothing_else_is_touched() {
    let text = |body: &str| parse(body.as_bytes()).unwrap()["t"].as_str().unwrap().to_owned();
    assert_eq!(text(r#"{"t":"hi \ud83d"}"#), "hi \u{fffd}");
    assert_eq!(
        text(r#"{"t":"\ude00 hi \uD83D\uDE00 \\ud83d \n"}"#),
        "\u{fffd} hi \u{1f600} \\ud83d \n"
    );
    assert_eq!(text("\u{feff}{\"t\":\"x\"}"), "x");
    for wrong in ["{", "{\"t\":\"\\ud83", "{\"t\":\"\\", "\\ud83d", ""] {
        assert_eq!(
            parse(wrong.as_bytes()).unwrap_err().code,
            "invalid_json",
            "{wrong}"
        );
    }
}
