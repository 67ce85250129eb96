//! Webhooks as LiveKit writes them, and as other versions of it may.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::call_seen::Parties;
use crate::domain::dispatch::{EndReason, Status};
use crate::domain::recording::RecordingState;
use crate::domain::webhook::{Event, Subject, read};

const ROOM: &str = "outbound-0123456789";
const SECOND: i64 = 1_770_000_000;
const PARTIES: Parties<'static> = Parties {
    destination: "61402012298",
    transfer_target: None,
    callee: None,
};

fn second() -> DateTime<Utc> {
    DateTime::from_timestamp(SECOND, 0).unwrap()
}

fn event(body: &Value) -> Event {
    read(body, b"raw", second() + TimeDelta::milliseconds(250)).unwrap()
}

fn left(kind: Value, reason: Value) -> Value {
    json!({"event": "participant_left", "id": "EV_1", "createdAt": SECOND.to_string(), "room": {"sid": "RM_1", "name": ROOM},
        "participant": {"sid": "PA_1", "identity": "sip_1", "kind": kind, "disconnectReason": reason, "newer": {"a": [1]},
            "attributes": {"sip.phoneNumber": "+61402012298", "sip.callStatus": "hangup"}}})
}

#[test]
fn an_event_is_read_with_words_and_with_numbers() {
    for body in [
        left(json!("SIP"), json!("USER_REJECTED")),
        left(json!(3), json!(12)),
    ] {
        let event = event(&body);
        assert_eq!(
            (event.id.as_str(), event.name.as_str()),
            ("EV_1", "participant_left")
        );
        assert_eq!(event.room.as_deref(), Some(ROOM));
        assert_eq!(event.at, second() + TimeDelta::milliseconds(250));
        assert_eq!(event.facts(&PARTIES).course().end_reason, Some(EndReason::Busy));
        assert_eq!(
            event.detail(),
            json!({"participant": "sip_1", "reason": "USER_REJECTED"})
        );
    }
}

#[test]
fn what_nobody_knows_here_is_taken_all_the_same() {
    let newer = left(json!("HOLOGRAM"), json!("BORED"));
    let event = event(&newer);
    // The attribute says that it is a phone; why it left is not known.
    assert_eq!(
        event.facts(&PARTIES).course().end_reason,
        Some(EndReason::Unknown)
    );
    for body in [
        json!({"event": "agent_job_pending", "job": {"id": "AJ_1", "state": {"status": "JS_DREAMING"}}}),
        json!({"event": "something_new", "room": {"name": ROOM}}),
        json!({"event": "egress_ended", "egressInfo": {"status": "EGRESS_NEW"}}),
        json!({"event": 7, "id": [], "createdAt": "soon", "room": "x", "participant": []}),
        json!({}),
    ] {
        let facts = event_of(&body).facts(&PARTIES);
        assert_eq!(facts.course().status, Status::Dispatched, "{body}");
    }
    assert_eq!(read(&json!([1]), b"", second()), None);
}

fn event_of(body: &Value) -> Event {
    event(body)
}

#[test]
fn an_event_without_an_id_is_known_again_by_its_bytes() {
    let body = json!({"event": "room_finished"});
    let one = read(&body, b"one", second()).unwrap();
    assert_eq!(
        one.id,
        read(&body, b"one", second() + TimeDelta::seconds(9)).unwrap().id
    );
    assert_ne!(one.id, read(&body, b"two", second()).unwrap().id);
}

#[test]
fn a_moment_lies_within_the_second_that_livekit_names() {
    let body = json!({"event": "room_finished", "createdAt": SECOND.to_string()});
    let received = |milliseconds| {
        read(&body, b"", second() + TimeDelta::milliseconds(milliseconds))
            .unwrap()
            .at
    };
    assert_eq!(received(400), second() + TimeDelta::milliseconds(400));
    assert_eq!(received(60_000), second() + TimeDelta::milliseconds(999));
    // Its clock is ahead of ours.
    assert_eq!(received(-5_000), second());
}

#[test]
fn a_participant_that_only_changes_servers_has_not_left() {
    for reason in ["MIGRATION", "DUPLICATE_IDENTITY"] {
        let event = event(&left(json!("SIP"), json!(reason)));
        assert_eq!(event.facts(&PARTIES).over_at(), None, "{reason}");
    }
}

#[test]
fn the_agent_s_leaving_is_not_the_callee_s() {
    let body = json!({"event": "participant_left", "room": {"name": ROOM},
        "participant": {"identity": "agent-AJ_1", "kind": "AGENT", "disconnectReason": "CLIENT_INITIATED"}});
    assert_eq!(event(&body).facts(&PARTIES).over_at(), None);
}

#[test]
fn a_phone_that_joined_rings_and_one_that_dials_does_not_yet() {
    for (status, shown) in [
        ("dialing", Status::Dispatched),
        ("ringing", Status::Ringing),
        ("active", Status::Answered),
    ] {
        let body = json!({"event": "participant_joined", "createdAt": SECOND, "room": {"name": ROOM},
            "participant": {"identity": "sip_1", "kind": "SIP", "attributes": {"sip.callStatus": status}}});
        assert_eq!(event(&body).facts(&PARTIES).course().status, shown);
    }
}

#[test]
fn jobs_and_recordings_are_read_in_either_spelling() {
    let job = json!({"event": "agent_job_ended", "createdAt": SECOND, "job": {"id": "AJ_1", "dispatch_id": "AD_1",
        "room": {"name": ROOM}, "state": {"status": "JS_FAILED", "error": "486 Busy\u{0} Here",
            "started_at": (SECOND * 1_000_000_000).to_string(), "endedAt": ((SECOND + 4) * 1_000_000_000).to_string()}}});
    let read = event(&job);
    assert_eq!(read.room.as_deref(), Some(ROOM));
    let Subject::Job(job) = &read.subject else {
        panic!("{read:?}")
    };
    assert_eq!(
        (job.id.as_str(), job.dispatch_id.as_str(), job.state.status),
        ("AJ_1", "AD_1", 3)
    );
    assert_eq!(job.state.error, "486 Busy Here");
    assert_eq!(job.state.ended_at.unwrap().0, second() + TimeDelta::seconds(4));

    let egress = json!({"event": "egress_ended", "egressInfo": {"egressId": "EG_1", "roomName": ROOM, "status": "EGRESS_COMPLETE",
        "fileResults": [{"filename": "a.ogg", "location": "https://bucket/a.ogg"}]}});
    let read = event(&egress);
    assert_eq!(read.room.as_deref(), Some(ROOM));
    let recording = read.facts(&PARTIES).recording.unwrap();
    assert_eq!(recording.state, RecordingState::Complete);
    assert_eq!(recording.location.as_deref(), Some("https://bucket/a.ogg"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z_.\u{0}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = proptest::sample::select(vec![
            "event",
            "id",
            "room",
            "name",
            "participant",
            "identity",
            "kind",
            "attributes",
            "sip.callStatus",
            "job",
            "state",
            "status",
            "egressInfo",
            "egressId",
            "fileResults",
            "createdAt",
            "endedAt",
            "error",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(body in json_value(), name in 0_usize..6) {
        const NAMES: [&str; 6] =
            ["participant_left", "participant_joined", "agent_job_ended", "egress_ended", "room_finished", "other"];
        let mut body = body;
        if let Some(map) = body.as_object_mut() {
            map.insert("event".into(), NAMES[name].into());
        }
        if let Some(event) = read(&body, b"", second()) {
            let _ = (event.facts(&PARTIES), event.detail());
            prop_assert!(!event.id.contains('\0') && !event.name.contains('\0'));
        }
    }
}
