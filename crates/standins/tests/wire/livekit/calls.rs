//! Calls from the first signal to the end.

use std::time::Duration;

use livekit_api::services::SipCallError;
use livekit_api::services::sip::CreateSIPParticipantOptions;
use livekit_protocol as proto;
use proto::JobStatus::{JsFailed, JsRunning, JsSuccess};
use switchhook_standins::LiveKit;
use switchhook_standins::livekit::{Ending, Options, Plan};

use super::{NUMBER, call_status, client, code, dialled, job, of_event, status, swift, swift_options, until};
use crate::service::Service;

const LONG: Duration = Duration::from_secs(600);

/// Participants of a room, once the callee's status is as wanted.
async fn seen(livekit: &LiveKit, room: &str, wanted: Option<&str>) -> Vec<proto::ParticipantInfo> {
    let client = client(livekit);
    let ask = || async { client.room().list_participants(room).await.unwrap() };
    until(
        "the call's status",
        ask,
        |participants: &Vec<proto::ParticipantInfo>| call_status(participants) == wanted,
    )
    .await
}

#[tokio::test]
async fn a_call_is_dialled_rings_is_answered_and_ends() {
    let service = Service::start(|_, _| Some(200)).await;
    let by_hand = Plan {
        dials: LONG,
        rings: LONG,
        talks: LONG,
        ..swift()
    };
    let options = Options {
        plan: by_hand,
        service_url: Some(service.url.clone()),
        ..swift_options()
    };
    let livekit = LiveKit::start(options).unwrap();
    dialled(&livekit, "r1", "+61 402 012 298").await;
    let participants = seen(&livekit, "r1", Some("dialing")).await;
    let identities: Vec<&str> = participants.iter().map(|one| one.identity.as_str()).collect();
    assert!(
        identities[0].starts_with("agent-AJ_") && identities[1] == "sip_61402012298",
        "{identities:?}"
    );
    assert_eq!(participants[1].attributes["sip.phoneNumber"], "+61 402 012 298");
    assert_eq!(status(&job(&livekit, "r1", |_| true).await), JsRunning);
    assert!(livekit.ring("r1") && !livekit.ring("r1"));
    seen(&livekit, "r1", Some("ringing")).await;
    assert!(livekit.answer("r1") && !livekit.answer("r1"));
    seen(&livekit, "r1", Some("active")).await;
    assert!(livekit.hang_up("r1") && !livekit.hang_up("r1"));
    assert!(seen(&livekit, "r1", None).await.is_empty());
    let ended = job(&livekit, "r1", |job| job.state.as_ref().unwrap().ended_at > 0).await;
    assert_eq!(
        (status(&ended), ended.state.unwrap().error.as_str()),
        (JsSuccess, "")
    );
    assert!(livekit.acted()[0].dialled && livekit.acted()[0].answered);
    client(&livekit).room().delete_room("r1").await.unwrap();
    until(
        "the last event",
        || async { service.events() },
        |events| events.contains(&"room_finished".to_owned()),
    )
    .await;
    assert_eq!(
        service.events(),
        [
            "room_started",
            "agent_job_started",
            "participant_joined",
            "participant_joined",
            "participant_left",
            "agent_job_ended",
            "participant_left",
            "room_finished"
        ]
    );
    let left = of_event(&service.bodies(), "participant_left")[0].clone();
    assert_eq!(left["participant"]["disconnectReason"], "CLIENT_INITIATED");
    assert_eq!(left["participant"]["kind"], "SIP");
    assert_eq!(left["participant"]["attributes"]["sip.callStatus"], "hangup");
    assert_eq!(left["room"]["name"], "r1");
    assert!(left["createdAt"].is_string() && left["id"].as_str().unwrap().starts_with("EV_"));
}

#[tokio::test]
async fn numbers_end_as_their_last_digits_say() {
    let service = Service::start(|_, _| Some(200)).await;
    let options = Options {
        service_url: Some(service.url.clone()),
        ..swift_options()
    };
    let livekit = LiveKit::start(options).unwrap();
    for (number, reason, words) in [
        ("61731070486", "USER_REJECTED", "486 Busy Here"),
        ("61731070603", "USER_REJECTED", "603 Decline"),
        ("61731070480", "USER_UNAVAILABLE", "480 Temporarily Unavailable"),
        ("61731070403", "USER_REJECTED", "403 Forbidden auth ID"),
        ("61731070503", "SIP_TRUNK_FAILURE", "503 Service Unavailable"),
    ] {
        dialled(&livekit, number, number).await;
        let ended = job(&livekit, number, |job| job.state.as_ref().unwrap().ended_at > 0).await;
        assert_eq!(
            (status(&ended), ended.state.unwrap().error.as_str()),
            (JsFailed, words)
        );
        let left = || async {
            let bodies = service.bodies();
            let left = of_event(&bodies, "participant_left");
            let callee = left
                .iter()
                .find(|body| body["participant"]["identity"] == format!("sip_{number}"));
            callee.map(|body| body["participant"]["disconnectReason"].clone())
        };
        let told = until("the callee left", left, Option::is_some).await;
        assert_eq!(told.unwrap(), reason, "{number}");
    }
    assert!(livekit.acted().iter().all(|one| one.dialled && !one.answered));
}

#[tokio::test]
async fn what_was_told_about_a_number_comes_before_its_digits() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    livekit.plan(Plan {
        destination: Some("+61 7 3107 0486".into()),
        ending: Ending::Refused,
        words: Some("403 Caller not allowed".into()),
        ..swift()
    });
    dialled(&livekit, "r1", "61731070486").await;
    let ended = job(&livekit, "r1", |job| job.state.as_ref().unwrap().ended_at > 0).await;
    assert_eq!(ended.state.unwrap().error, "403 Caller not allowed");
}

#[tokio::test]
async fn deleting_the_room_hangs_up_and_an_agent_can_do_so() {
    let service = Service::start(|_, _| Some(200)).await;
    let options = Options {
        service_url: Some(service.url.clone()),
        ..swift_options()
    };
    let livekit = LiveKit::start(options).unwrap();
    livekit.plan(Plan {
        ending: Ending::Never,
        times: 1,
        ..swift()
    });
    dialled(&livekit, "by-us", NUMBER).await;
    seen(&livekit, "by-us", Some("ringing")).await;
    client(&livekit).room().delete_room("by-us").await.unwrap();
    livekit.plan(Plan {
        ending: Ending::AgentHangsUp,
        times: 1,
        ..swift()
    });
    dialled(&livekit, "by-agent", NUMBER).await;
    until(
        "no room is open",
        || async { livekit.open_rooms() },
        Vec::is_empty,
    )
    .await;
    for room in ["by-us", "by-agent"] {
        let told = || async {
            let bodies = service.bodies();
            let of_room: Vec<_> = bodies
                .iter()
                .filter(|body| body["room"]["name"] == room)
                .collect();
            let last = of_room.last()?;
            (last["event"] == "room_finished")
                .then(|| of_room.iter().map(|body| (*body).clone()).collect::<Vec<_>>())
        };
        let bodies = until("the room finished", told, Option::is_some).await.unwrap();
        let callee = bodies
            .iter()
            .find(|body| body["event"] == "participant_left")
            .unwrap();
        assert_eq!(
            callee["participant"]["disconnectReason"], "ROOM_DELETED",
            "{room}"
        );
        assert_eq!(bodies.last().unwrap()["roomEndReason"], "ROOM_END_API_DELETE");
    }
}

#[tokio::test]
async fn removing_the_callee_ends_the_call() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    livekit.plan(Plan {
        ending: Ending::Never,
        ..swift()
    });
    dialled(&livekit, "r1", NUMBER).await;
    seen(&livekit, "r1", Some("ringing")).await;
    let rooms = client(&livekit);
    rooms
        .room()
        .remove_participant("r1", "sip_61402012298")
        .await
        .unwrap();
    assert!(seen(&livekit, "r1", None).await.is_empty());
    assert_eq!(
        code(rooms.room().remove_participant("r1", "sip_61402012298").await),
        "not_found"
    );
}

#[tokio::test]
async fn a_client_dials_by_itself_and_waits_for_the_answer() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    let client = client(&livekit);
    let dial = |number: &'static str| {
        let options = CreateSIPParticipantOptions {
            participant_identity: "callee".into(),
            wait_until_answered: Some(true),
            ..CreateSIPParticipantOptions::default()
        };
        client
            .sip()
            .create_sip_participant("ST_one".into(), number.into(), number.into(), options, None)
    };
    let made = dial(NUMBER).await.unwrap();
    assert_eq!(
        (made.participant_identity.as_str(), made.room_name.as_str()),
        ("callee", NUMBER)
    );
    assert!(made.participant_id.starts_with("PA_") && made.sip_call_id.starts_with("SCL_"));
    let refused = dial("61731070486").await.unwrap_err();
    let refused = SipCallError::from_error(&refused).unwrap();
    assert_eq!(
        (refused.sip_status_code(), refused.sip_status()),
        (Some(486), Some("Busy Here"))
    );
}
