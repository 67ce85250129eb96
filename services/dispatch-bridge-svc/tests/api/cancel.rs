//! A call is taken back.

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, DELETE_ROOM, RESULTS, SOON, World, call, failed, id_of};

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
    failed(world.app.cancel(&id).await, 502, "livekit_unreachable").await;
    world.livekit.up().await.unwrap();
    world.until_no_room().await;
    world.until_asked(DELETE_ROOM, 1).await;
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(over["end_reason"], "cancelled");
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
