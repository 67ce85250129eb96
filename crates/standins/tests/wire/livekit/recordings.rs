//! Recordings.

use livekit_api::services::egress::{
    EgressListFilter, EgressListOptions, EgressOutput, RoomCompositeOptions,
};
use livekit_api::services::{ServiceError, room::CreateRoomOptions};
use livekit_protocol as proto;
use proto::EgressStatus::{
    EgressAborted, EgressActive, EgressComplete, EgressFailed, EgressLimitReached, EgressStarting,
};
use switchhook_standins::LiveKit;
use switchhook_standins::livekit::{Options, RecordingEnding};

use super::{client, code, of_event, swift_options, until};
use crate::service::Service;

fn file() -> proto::EncodedFileOutput {
    proto::EncodedFileOutput {
        filepath: "calls/{room_name}.ogg".into(),
        output: Some(proto::encoded_file_output::Output::S3(proto::S3Upload {
            access_key: "AKIA".into(),
            secret: "very secret".into(),
            bucket: "recordings".into(),
            ..proto::S3Upload::default()
        })),
        ..proto::EncodedFileOutput::default()
    }
}

async fn start(livekit: &LiveKit, room: &str) -> Result<proto::EgressInfo, ServiceError> {
    let options = RoomCompositeOptions {
        layout: "speaker-dark".into(),
        audio_only: true,
        ..RoomCompositeOptions::default()
    };
    let outputs = vec![EgressOutput::File(file())];
    client(livekit)
        .egress()
        .start_room_composite_egress(room, outputs, options)
        .await
}

async fn room(livekit: &LiveKit, name: &str) {
    client(livekit)
        .room()
        .create_room(name, CreateRoomOptions::default())
        .await
        .unwrap();
}

async fn listed(livekit: &LiveKit, room: &str) -> Vec<proto::EgressInfo> {
    let options = EgressListOptions {
        filter: EgressListFilter::Room(room.into()),
        active: false,
        page_token: None,
    };
    client(livekit).egress().list_egress(options).await.unwrap()
}

/// The only recording of a room, once its status is as wanted.
async fn with_status(livekit: &LiveKit, room: &str, wanted: proto::EgressStatus) -> proto::EgressInfo {
    let ask = || async { listed(livekit, room).await.remove(0) };
    until("the recording's status", ask, |info: &proto::EgressInfo| {
        info.status() == wanted
    })
    .await
}

#[tokio::test]
async fn a_recording_starts_is_stopped_and_has_its_file() {
    let service = Service::start(|_, _| Some(200)).await;
    let options = Options {
        service_url: Some(service.url.clone()),
        ..swift_options()
    };
    let livekit = LiveKit::start(options).unwrap();
    assert_eq!(code(start(&livekit, "r1").await), "not_found");
    room(&livekit, "r1").await;
    let made = start(&livekit, "r1").await.unwrap();
    assert_eq!((made.status(), made.room_name.as_str()), (EgressStarting, "r1"));
    assert!(made.egress_id.starts_with("EG_"));
    let active = with_status(&livekit, "r1", EgressActive).await;
    assert!(active.started_at > 1_000_000_000_000_000_000);
    client(&livekit)
        .egress()
        .stop_egress(&made.egress_id)
        .await
        .unwrap();
    let done = with_status(&livekit, "r1", EgressComplete).await;
    assert_eq!(done.file_results[0].filename, "calls/r1.ogg");
    assert_eq!(
        done.file_results[0].location,
        "https://recordings.s3.amazonaws.com/calls/r1.ogg"
    );
    assert!(!serde_json::to_string(&done).unwrap().contains("very secret"));
    assert_eq!(
        code(client(&livekit).egress().stop_egress(&made.egress_id).await),
        "failed_precondition"
    );
    assert_eq!(
        code(client(&livekit).egress().stop_egress("EG_none").await),
        "not_found"
    );
    until(
        "its end is told",
        || async { service.events() },
        |events| events.contains(&"egress_ended".into()),
    )
    .await;
    let bodies = service.bodies();
    assert_eq!(of_event(&bodies, "egress_started").len(), 1);
    assert_eq!(of_event(&bodies, "egress_updated").len(), 2);
    assert_eq!(
        of_event(&bodies, "egress_ended")[0]["egressInfo"]["status"],
        "EGRESS_COMPLETE"
    );
}

#[tokio::test]
async fn a_recording_ends_with_its_room() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    room(&livekit, "r1").await;
    start(&livekit, "r1").await.unwrap();
    with_status(&livekit, "r1", EgressActive).await;
    assert!(livekit.close_room("r1"));
    with_status(&livekit, "r1", EgressComplete).await;
}

#[tokio::test]
async fn recordings_fail_as_they_are_told() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    for (name, ending, status) in [
        (
            "fails",
            RecordingEnding::Fails("no such bucket".into()),
            EgressFailed,
        ),
        ("limit", RecordingEnding::LimitReached, EgressLimitReached),
    ] {
        room(&livekit, name).await;
        livekit.record(ending);
        start(&livekit, name).await.unwrap();
        let ended = with_status(&livekit, name, status).await;
        assert_eq!(ended.error, if name == "fails" { "no such bucket" } else { "" });
    }
    livekit.record(RecordingEnding::NeverStarts);
    room(&livekit, "waits").await;
    let made = start(&livekit, "waits").await.unwrap();
    client(&livekit)
        .egress()
        .stop_egress(&made.egress_id)
        .await
        .unwrap();
    with_status(&livekit, "waits", EgressAborted).await;
    livekit.record(RecordingEnding::Refused);
    assert_eq!(code(start(&livekit, "waits").await), "unavailable");
}

#[tokio::test]
async fn the_newer_request_is_known_too() {
    let livekit = LiveKit::start(swift_options()).unwrap();
    room(&livekit, "r1").await;
    let config = proto::output::Config::File(proto::FileOutput {
        filepath: "a.ogg".into(),
        ..proto::FileOutput::default()
    });
    let gcp = proto::GcpUpload {
        bucket: "b".into(),
        credentials: "{\"key\":1}".into(),
        ..proto::GcpUpload::default()
    };
    let request = proto::StartEgressRequest {
        room_name: "r1".into(),
        outputs: vec![proto::Output {
            config: Some(config),
            storage: None,
        }],
        storage: Some(proto::StorageConfig {
            provider: Some(proto::storage_config::Provider::Gcp(gcp)),
        }),
        ..proto::StartEgressRequest::default()
    };
    let made = client(&livekit).egress().start_egress(request).await.unwrap();
    with_status(&livekit, "r1", EgressActive).await;
    client(&livekit)
        .egress()
        .stop_egress(&made.egress_id)
        .await
        .unwrap();
    let done = with_status(&livekit, "r1", EgressComplete).await;
    assert_eq!(
        done.file_results[0].location,
        "https://b.storage.googleapis.com/a.ogg"
    );
    assert!(!serde_json::to_string(&done).unwrap().contains("\\\"key\\\""));
}
