//! LiveKit's webhooks: who may send them, and what is taken.

use reqwest::Response;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::livekit;

use crate::follow::{room_of, silence};
use crate::world::{Ask, World, call, failed, id_of};

async fn sent(world: &World, authorization: Option<&str>, body: &str) -> Response {
    let request = world.app.client().post(world.app.url(livekit::WEBHOOK_PATH));
    let request = request
        .header("Content-Type", "application/webhook+json")
        .body(body.to_owned());
    let request = match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    };
    request.send().await.unwrap()
}

async fn taken(world: &World, body: &Value) -> Value {
    let body = body.to_string();
    json_of(sent(world, Some(&world.livekit.signed(&body)), &body).await, 200).await
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn only_livekit_s_own_words_are_believed(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = json!({"event": "room_started", "id": "EV_1", "room": {"name": "lobby"}}).to_string();
    let signed = world.livekit.signed(&body);
    let (head, _) = signed.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", "A".repeat(43));
    let other_body = world.livekit.signed("{}");
    for wrong in [
        None,
        Some(""),
        Some("Bearer"),
        Some("nonsense"),
        Some(forged.as_str()),
        Some(other_body.as_str()),
    ] {
        failed(sent(&world, wrong, &body).await, 401, "unauthorized").await;
    }
    for right in [
        signed.clone(),
        format!("Bearer {signed}"),
        format!("bearer {signed}"),
    ] {
        assert_eq!(
            json_of(sent(&world, Some(&right), &body).await, 200).await,
            json!({"success": true})
        );
    }
    // The secret of machines is not LiveKit's.
    let machine = world
        .app
        .as_n8n(livekit::WEBHOOK_PATH, json!({"event": "room_started"}))
        .await;
    failed(machine, 401, "unauthorized").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn several_keys_are_known_by_their_names_and_replace_the_api_key(pool: PgPool) {
    let keys = format!(
        "APIother:another-secret-of-sufficient-length,{}:{}",
        livekit::DEFAULT_KEY,
        livekit::DEFAULT_SECRET
    );
    let body = json!({"event": "room_started"});
    let both = World::with(&pool, &[("LIVEKIT_WEBHOOK_KEYS", &keys)]).await;
    taken(&both, &body).await;
    let other = World::with(
        &pool,
        &[(
            "LIVEKIT_WEBHOOK_KEYS",
            "APIother:another-secret-of-sufficient-length",
        )],
    )
    .await;
    let signed = other.livekit.signed(&body.to_string());
    failed(
        sent(&other, Some(&signed), &body.to_string()).await,
        401,
        "unauthorized",
    )
    .await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_is_unknown_is_taken_and_what_is_no_object_is_not(pool: PgPool) {
    let world = World::new(&pool).await;
    let placed = world.dialled(call("61402012298")).await;
    let room = room_of(&placed);
    for body in [
        json!({}),
        json!({"event": "brand_new", "room": {"name": room}}),
        json!({"event": "participant_left", "room": {"name": "somebody-else-s"}}),
        json!({"event": "participant_left", "room": {"name": "outbound-0000000000"}}),
        json!({"event": "participant_left", "room": {"name": room}, "participant": {"kind": "HOLOGRAM", "identity": "a\u{0}b"}}),
        json!({"event": "agent_job_pending", "room": {"name": room},
            "job": {"id": "AJ_9", "dispatchId": "AD_other", "state": {"status": "JS_CANCELLED"}}}),
        json!({"event": "egress_ended", "egressInfo": {"egressId": "EG_1", "roomName": room, "status": "EGRESS_NEW"}}),
        json!({"event": {"a": 1}, "id": 7, "createdAt": "soon", "room": [room]}),
    ] {
        taken(&world, &body).await;
    }
    for body in ["[1]", "\"text\"", "{", "null"] {
        let signed = world.livekit.signed(body);
        failed(sent(&world, Some(&signed), body).await, 400, "invalid_json").await;
    }
    let shown = world.app.shown(&id_of(&placed)).await;
    assert_eq!(shown["state"]["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(shown["recording"], Value::Null);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_same_event_twice_counts_once(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    let event = json!({"event": "brand_new", "id": "EV_once", "room": {"name": room_of(&placed)}});
    for _ in 0..3 {
        taken(&world, &event).await;
    }
    let shown = world.app.shown(&id_of(&placed)).await;
    let events = shown["events"].as_array().unwrap().iter();
    assert_eq!(events.filter(|event| event["kind"] == "brand_new").count(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_late_reason_refines_a_call_that_is_over(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    let (id, room) = (id_of(&placed), room_of(&placed).to_owned());
    world.app.until(&id, |shown| shown["status"] == "ringing").await;
    assert!(world.livekit.close_room(&room));
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(over["end_reason"], "unknown");
    let left = json!({"event": "participant_left", "id": "EV_late", "room": {"name": room},
        "participant": {"identity": "sip_61402012298", "kind": "SIP", "disconnectReason": "USER_UNAVAILABLE"}});
    taken(&world, &left).await;
    assert_eq!(world.app.shown(&id).await["end_reason"], "no_answer");
}
