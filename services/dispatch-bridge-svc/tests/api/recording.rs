//! Calls are recorded from the answer to the end, where that was asked for, and a recording never harms its call.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_standins::control::Break;
use switchhook_standins::livekit::{Delivery, Ending, Plan, RecordingEnding};
use switchhook_standins::log::Entry;

use crate::follow::{brief, moved, room_of, silence};
use crate::world::{Ask, DELETE_ROOM, SOON, World, breaks, call, call_with, id_of, late, replica};

const START: &str = "/twirp/livekit.Egress/StartRoomCompositeEgress";
const STOP: &str = "/twirp/livekit.Egress/StopEgress";
const LIST: &str = "/twirp/livekit.Egress/ListEgress";
/// How soon after the answer a recording begins.
const SOON_ENOUGH: TimeDelta = TimeDelta::seconds(2);

/// The settings of a replica that can record.
const STORAGE: [(&str, &str); 6] = [
    ("RECORDING_PROVIDER", "s3"),
    ("RECORDING_BUCKET", "calls"),
    ("RECORDING_REGION", "eu-central-1"),
    ("RECORDING_ACCESS_KEY", "AKIAEXAMPLE"),
    ("RECORDING_SECRET", "a-storage-secret"),
    ("RECORDING_PATH", "outbound"),
];

async fn recorder(pool: &PgPool) -> World {
    World::with(pool, &STORAGE).await
}

fn recorded(number: &str) -> Value {
    call_with(number, json!({"record_call": "yes"}))
}

fn asked(world: &World, path: &str) -> Vec<Entry> {
    let mut log = world.livekit.log();
    log.retain(|entry| entry.path == path);
    log
}

/// A recorded call from its answer to its file.
async fn goes_well(world: &World) {
    let placed = world.dialled(recorded("61402012298")).await;
    let (id, room) = (id_of(&placed), room_of(&placed));
    world.app.until(&id, |shown| shown["status"] == "ringing").await;
    assert!(asked(world, START).is_empty());
    moved(world, || world.livekit.answer(room)).await;
    let recording = world
        .app
        .until(&id, |shown| shown["recording"]["state"] == "active")
        .await;
    assert_eq!(recording["egress_id"], recording["recording"]["egress_id"]);
    assert!(recording["egress_id"].is_string());
    moved(world, || world.livekit.hang_up(room)).await;
    let settled = |shown: &Value| shown["status"] == "ended" && shown["recording"]["state"] == "complete";
    let over = world.app.until(&id, settled).await;
    assert_eq!(over["end_reason"], "hangup");
    let file = format!("outbound/{room}.ogg");
    assert!(
        over["recording"]["location"].as_str().unwrap().ends_with(&file),
        "{over:#}"
    );

    let starts = asked(world, START);
    assert_eq!(starts.len(), 1);
    let answered: DateTime<Utc> = over["call_start"].as_str().unwrap().parse().unwrap();
    assert!(
        starts[0].at - answered < SOON_ENOUGH,
        "{} {answered}",
        starts[0].at
    );
    let start = starts[0].body().unwrap();
    assert_eq!(
        (&start["layout"], &start["audioOnly"]),
        (&json!("speaker-dark"), &json!(true)),
        "{start:#}"
    );
    assert!(
        start.to_string().contains(&file) && start.to_string().contains("calls"),
        "{start:#}"
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_is_recorded_from_its_answer_to_its_end(pool: PgPool) {
    goes_well(&recorder(&pool).await).await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_is_recorded_where_no_webhook_ever_comes(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.set_delivery(silence());
    goes_well(&world).await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_recording_is_stopped_with_its_call_before_the_room_goes(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(recorded("61402012298")).await;
    let (id, room) = (id_of(&placed), room_of(&placed));
    moved(&world, || world.livekit.answer(room)).await;
    world
        .app
        .until(&id, |shown| shown["recording"]["state"] == "active")
        .await;
    let left = json!({"event": "participant_left", "id": "EV_left", "room": {"name": room},
        "participant": {"identity": "sip_61402012298", "kind": "SIP", "disconnectReason": "CLIENT_INITIATED"}});
    assert!(world.livekit.send(&left).await);
    world.livekit.wait_for(DELETE_ROOM, 1, SOON).await;
    assert!(asked(&world, STOP)[0].seq < asked(&world, DELETE_ROOM)[0].seq);
    let over = world
        .app
        .until(&id, |shown| shown["recording"]["state"] == "complete")
        .await;
    assert_eq!(over["status"], "ended");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn nothing_is_recorded_that_was_not_asked_for(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(brief(Ending::Completed));
    let plain = id_of(&world.dialled(call("61402012298")).await);
    let refused = id_of(
        &world
            .dialled(call_with("61402012299", json!({"record_call": "no"})))
            .await,
    );
    for id in [plain, refused] {
        let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
        assert!(over["call_start"].is_string());
        assert_eq!(
            (&over["recording"], &over["egress_id"]),
            (&Value::Null, &Value::Null)
        );
    }
    assert!(asked(&world, START).is_empty() && asked(&world, LIST).is_empty());
}

/// A call that is answered although it is not recorded, and says why it is not.
async fn harms_no_call(world: &World, why: &str) {
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        talks: std::time::Duration::from_secs(8),
        ..brief(Ending::Completed)
    });
    let id = id_of(&world.dialled(recorded("61402012298")).await);
    let told = world
        .app
        .until(&id, |shown| shown["recording"]["state"] == "failed")
        .await;
    let error = told["recording"]["error"].as_str().unwrap();
    assert!(error.contains(why), "{error}");
    assert_eq!(told["egress_id"], Value::Null);
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(
        (&over["end_reason"], &over["recording"]["state"]),
        (&json!("hangup"), &json!("failed"))
    );
    assert!(over["call_start"].is_string());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_recording_that_livekit_refuses_is_told_and_harms_no_call(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.record(RecordingEnding::Refused);
    harms_no_call(&world, "no response from servers").await;
    assert_eq!(asked(&world, START).len(), 3);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn without_a_storage_a_recording_is_told_and_harms_no_call(pool: PgPool) {
    let world = World::new(&pool).await;
    harms_no_call(&world, "RECORDING_PROVIDER").await;
    assert!(asked(&world, START).is_empty());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_recording_that_breaks_later_is_told(pool: PgPool) {
    let world = recorder(&pool).await;
    world
        .livekit
        .record(RecordingEnding::Fails("the bucket is full".into()));
    let placed = world.dialled(recorded("61402012298")).await;
    moved(&world, || world.livekit.answer(room_of(&placed))).await;
    let told = world
        .app
        .until(&id_of(&placed), |shown| shown["recording"]["state"] == "failed")
        .await;
    assert_eq!(told["recording"]["error"], "the bucket is full");
    assert_eq!(told["status"], "answered");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_start_whose_answer_was_lost_begins_no_second_recording(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.set_delivery(silence());
    world.on(START, breaks(Break::After));
    let placed = world.dialled(recorded("61402012298")).await;
    moved(&world, || world.livekit.answer(room_of(&placed))).await;
    world
        .app
        .until(&id_of(&placed), |shown| shown["recording"]["state"] == "active")
        .await;
    assert_eq!(asked(&world, START).len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_file_is_told_by_a_webhook_too(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.set_delivery(Delivery {
        copies: 2,
        ..Delivery::default()
    });
    let placed = world.dialled(recorded("61402012298")).await;
    moved(&world, || world.livekit.answer(room_of(&placed))).await;
    let active = world
        .app
        .until(&id_of(&placed), |shown| shown["recording"]["state"] == "active")
        .await;
    let ended = json!({"event": "egress_ended", "id": "EV_end", "egressInfo": {"egressId": active["egress_id"],
        "roomName": room_of(&placed), "status": "EGRESS_COMPLETE", "fileResults": [{"location": "s3://calls/a.ogg"}]}});
    assert!(world.livekit.send(&ended).await);
    let shown = world.app.shown(&id_of(&placed)).await;
    assert_eq!(shown["recording"]["location"], "s3://calls/a.ogg");
    assert_eq!(
        (&shown["recording"]["state"], &shown["status"]),
        (&json!("complete"), &json!("answered"))
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_crash_while_a_recording_starts_begins_no_second_one(pool: PgPool) {
    let world = recorder(&pool).await;
    world.livekit.set_delivery(silence());
    world.on(START, late());
    let placed = world.dialled(recorded("61402012298")).await;
    moved(&world, || world.livekit.answer(room_of(&placed))).await;
    world.until_asked(START, 1).await;
    let World { app, livekit, n8n } = world;
    app.kill();
    sqlx::query("UPDATE dispatch.replicas SET beat_at = now() - interval '1 minute'")
        .execute(&pool)
        .await
        .unwrap();
    let app = replica(&pool, &livekit, &n8n, &STORAGE).await;
    let world = World { app, livekit, n8n };
    world
        .app
        .until(&id_of(&placed), |shown| shown["recording"]["state"] == "active")
        .await;
    assert_eq!(asked(&world, START).len(), 1);
}
