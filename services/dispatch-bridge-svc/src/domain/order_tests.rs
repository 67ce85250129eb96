//! A dial as callers ask for it: the whole table.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(body: Value) -> Result<Order, Problem> {
    Order::from_fields(Fields::of(body).unwrap())
}

fn with(more: Value) -> Result<Order, Problem> {
    let mut body = json!({"destination": "61402012298", "account_code": "em-tech-01"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    read(body)
}

fn faults(outcome: Result<Order, Problem>) -> Vec<String> {
    let problem = outcome.unwrap_err();
    assert_eq!((problem.status, problem.code.as_ref()), (400, "invalid_field"));
    problem.extras["fields"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_faulty_field_is_told_at_once() {
    assert_eq!(faults(read(json!({}))), ["account_code", "destination"]);
    let all = json!({"destination": "12", "account_code": "", "transfer_target": "x", "caller_number": [],
        "caller_id": {}, "caller_name": "a\u{0}", "session_options": [], "metadata": "x", "record_call": "maybe",
        "preemptive_generation": 2, "llm": 1.5, "tts": [], "wait": "soon", "wait_seconds": 281,
        "idempotency_key": "", "allow_duplicate": "x"});
    let expected = [
        "account_code",
        "allow_duplicate",
        "caller_id",
        "caller_name",
        "caller_number",
        "destination",
        "llm",
        "metadata",
        "preemptive_generation",
        "record_call",
        "session_options",
        "transfer_target",
        "tts",
        "wait",
        "wait_seconds",
    ];
    assert_eq!(faults(read(all)), expected);
    let missing = read(json!({"account_code": "a"})).unwrap_err();
    assert_eq!(missing.message, "destination is required");
}

#[test]
fn the_given_fields_and_the_callers_own_metadata_are_one_and_ours_win() {
    let order = with(json!({"transfer_target": 61_731_071_901_u64, "caller_id": "LiveKitNehosHosted",
        "caller_number": "+61 123 456 789", "metadata": {"ticket_id": "INC-1234", "destination": "other", "record_call": 1}}))
    .unwrap();
    let expected = json!({"destination": "61402012298", "account_code": "em-tech-01",
        "transfer_target": "61731071901", "caller_id": "LiveKitNehosHosted", "caller_number": "+61 123 456 789",
        "ticket_id": "INC-1234"});
    assert_eq!(Value::Object(order.metadata.clone()), expected);
    assert!(order.record_call);
    let told: Value = serde_json::from_str(&order.told_to_agent()).unwrap();
    let mut whole = expected;
    whole["session_options"] = json!({});
    whole["record_call"] = json!(true);
    assert_eq!(told, whole);
}

#[test]
fn options_may_stand_at_both_levels_and_the_nested_one_wins() {
    let order = with(json!({"llm": "outer", "stt": "outer-stt", "preemptive_generation": "yes",
        "session_options": {"llm": "inner", "tts": {"provider": "cartesia", "voice": "v", "odd": 1}, "mine": [1], "stt": ""}}))
    .unwrap();
    assert_eq!(
        Value::Object(order.session_options),
        json!({"llm": "inner", "stt": "outer-stt", "preemptive_generation": true,
            "tts": {"provider": "cartesia", "voice": "v"}, "mine": [1]})
    );
    assert_eq!(
        faults(with(json!({"session_options": {"llm": 7.5}}))),
        ["session_options.llm"]
    );
}

#[test]
fn whether_to_record_is_said_in_three_places() {
    for (more, expected) in [
        (json!({}), false),
        (json!({"record_call": "on"}), true),
        (json!({"session_options": {"record_call": 1}}), true),
        (json!({"metadata": {"record_call": "yes"}}), true),
        (
            json!({"record_call": false, "session_options": {"record_call": true}, "metadata": {"record_call": true}}),
            false,
        ),
        (
            json!({"session_options": {"record_call": "off"}, "metadata": {"record_call": true}}),
            false,
        ),
        (
            json!({"record_call": "", "metadata": {"record_call": true}}),
            true,
        ),
    ] {
        assert_eq!(with(more.clone()).unwrap().record_call, expected, "{more}");
    }
    assert_eq!(
        faults(with(json!({"metadata": {"record_call": "maybe"}}))),
        ["metadata.record_call"]
    );
}

#[test]
fn booleans_come_in_many_forms() {
    for value in [
        json!(true),
        json!("True"),
        json!("yes"),
        json!(1),
        json!("1"),
        json!("on"),
        json!(1.0),
    ] {
        assert_eq!(booleanish(&value), Ok(true), "{value}");
    }
    for value in [
        json!(false),
        json!("no"),
        json!(0),
        json!("0"),
        json!("OFF"),
        json!("false"),
    ] {
        assert_eq!(booleanish(&value), Ok(false), "{value}");
    }
    for value in [
        json!(null),
        json!(2),
        json!("2"),
        json!([]),
        json!({}),
        json!("maybe"),
    ] {
        assert!(booleanish(&value).is_err(), "{value}");
    }
}

#[test]
fn waits_have_their_own_limits() {
    let limit = |more: Value| with(more).unwrap().wait;
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(
        limit(json!({})),
        Wait {
            until: WaitFor::Dispatched,
            limit: None
        }
    );
    assert_eq!(limit(json!({"wait": "answered"})).limit, seconds(25));
    assert_eq!(limit(json!({"wait": "ended"})).limit, seconds(240));
    assert_eq!(
        limit(json!({"wait": "ended", "wait_seconds": "280"})).limit,
        seconds(280)
    );
    assert_eq!(limit(json!({"wait_seconds": 0})).limit, seconds(0));
    assert_eq!(faults(with(json!({"wait_seconds": -1}))), ["wait_seconds"]);
}

#[test]
fn metadata_has_bounds() {
    let fits = "x".repeat(METADATA_MAX_BYTES - 8);
    assert!(with(json!({"metadata": {"a": fits}})).is_ok());
    assert_eq!(
        faults(with(json!({"metadata": {"a": format!("{fits}x")}}))),
        ["metadata"]
    );
    assert_eq!(
        faults(with(json!({"metadata": {"a": [{"b": "\u{0}"}]}}))),
        ["metadata"]
    );
    assert_eq!(
        faults(with(json!({"session_options": {"a\u{0}": 1}}))),
        ["session_options"]
    );
}

#[test]
fn another_request_has_other_parts() {
    let parts = |more: Value| with(more).unwrap().parts();
    let first = parts(json!({}));
    assert_eq!(first, parts(json!({"idempotency_key": "k", "unknown": 1})));
    for other in [
        json!({"wait": "ended"}),
        json!({"record_call": true}),
        json!({"metadata": {"a": 1}}),
        json!({"allow_duplicate": true}),
        json!({"llm": "x"}),
        json!({"destination": "61402012299"}),
    ] {
        assert_ne!(first, parts(other.clone()), "{other}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(destination: String, account: String, options: Vec<String>, flag: i64) {
        let _ = read(json!({"destination": destination, "account_code": account, "session_options": {"tts": options},
            "record_call": flag, "metadata": {"a": destination}, "wait_seconds": flag}));
    }
}
