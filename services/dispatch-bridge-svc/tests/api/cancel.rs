//! A call is taken back.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::control::Break;

use crate::follow::{room_of, silence, without_reason};
use crate::world::{Ask, DELETE_ROOM, RESULTS, SOON, World, breaks, call, failed, id_of, says};

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_cancelled_call_is_hung_up_and_its_result_told_once(pool: PgPool) {
    let world = World::new(&pool).await;
    let answer = world.dialled(call("61402012298")).await;
    let id = id_of(&answer);
    let over = json_of(world.app.cancel(&id).await, 200).await;
    assert_eq!(
        (&over["status"], &over["end_reason"]),
        (&json!("ended"), &json!("cancelled"))
    );
    assert_eq!(over["room"], answer["room"]);
    assert!(
        over["call_end"].is_string() && over["call_duration_seconds"].is_null(),
        "{over}"
    );
    world.until_no_room().await;
    let again = json_of(world.app.cancel(&id).await, 200).await;
    for shown in [again, world.app.shown(&id).await] {
        for field in ["dispatch_id", "status", "end_reason", "call_start", "call_end"] {
            assert_eq!(shown[field], over[field], "{shown}");
        }
    }
    let told = world.n8n.wait_for(RESULTS, 1, SOON).await;
    let result = told[0].body().unwrap();
    assert_eq!(
        (&result["event"], &result["dispatch_id"]),
        (&json!("call_result"), &over["dispatch_id"])
    );
    assert_eq!(
        (&result["status"], &result["end_reason"]),
        (&json!("ended"), &json!("cancelled"))
    );
    assert!(told[0].header("idempotency-key").is_some());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_that_cannot_be_hung_up_now_is_hung_up_later(pool: PgPool) {
    let world = World::new(&pool).await;
    let id = id_of(&world.dialled(call("61402012298")).await);
    world.livekit.down().await.unwrap();
    let body = failed(world.app.cancel(&id).await, 502, "livekit_unreachable").await;
    assert_eq!(
        body["error"],
        "LiveKit cannot be reached; the call is hung up as soon as it answers"
    );
    world.livekit.up().await.unwrap();
    world.until_no_room().await;
    world.until_asked(DELETE_ROOM, 1).await;
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(over["end_reason"], "cancelled");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_is_said_of_a_call_that_is_not_hung_up_is_not_about_a_dial(pool: PgPool) {
    let world = World::new(&pool).await;
    let refusal = json!({"code": "internal", "msg": "oops"});
    for (nth, (control, code, words)) in [
        (
            says(500, refusal),
            "livekit_error",
            "LiveKit did not hang up: oops",
        ),
        (
            breaks(Break::Middle),
            "livekit_unreachable",
            "until the call is hung up",
        ),
        (says(502, json!("<html>")), "livekit_error", "the call is hung up"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id_of(&world.dialled(call(&format!("6140201229{nth}"))).await);
        world.on(DELETE_ROOM, control);
        let body = failed(world.app.cancel(&id).await, 502, code).await;
        let error = body["error"].as_str().unwrap();
        assert!(error.contains(words) && !error.contains("dial"), "{error}");
        assert_eq!(body.get("outcome"), None);
        let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
        assert_eq!(over["end_reason"], "cancelled");
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_that_was_hung_up_before_it_was_taken_back_was_hung_up(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    let id = id_of(&placed);
    for event in without_reason(room_of(&placed), world.app.kit().clock.now()) {
        assert!(world.livekit.send(&event).await);
    }
    let over = json_of(world.app.cancel(&id).await, 200).await;
    assert_eq!(
        (&over["status"], &over["end_reason"]),
        (&json!("ended"), &json!("hangup"))
    );
    assert_eq!(world.app.shown(&id).await["end_reason"], "hangup");
    world.until_no_room().await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_is_unknown_cannot_be_cancelled(pool: PgPool) {
    let world = World::new(&pool).await;
    for id in ["AD_none", "%20", "a%00b", "x".repeat(200).as_str()] {
        let path = format!("/dispatch/{id}");
        failed(
            world.app.as_machine(Method::DELETE, &path, None).await,
            404,
            "not_found",
        )
        .await;
        failed(
            world.app.as_machine(Method::GET, &path, None).await,
            404,
            "not_found",
        )
        .await;
    }
}
