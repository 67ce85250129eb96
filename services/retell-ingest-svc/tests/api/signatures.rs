//! Retell's own requests: who signed counts, over the bytes that came.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::{failed, json_of};

use crate::world::{
    ADA, ADAS_KEY, AGENT, BOBS_KEY, DATA_KEY, SHARED_KEY, SIGNED, World, event, event_of, now, replica, sign,
};

fn body() -> Vec<u8> {
    // Not as a serializer writes it.
    format!(r#"{{ "event" : "call_ended", "call": {{"call_id":"c1", "agent_id":"{AGENT}", "duration_ms": 6e4 }} }}"#).into_bytes()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_retell_signed_is_taken(pool: PgPool) {
    let world = World::connected(&pool).await;
    assert_eq!(
        json_of(world.send(&body(), SHARED_KEY).await, 200).await["data"]["durationMinutes"],
        1.0
    );
    let held = event_of("agent_of_nobody", "call_ended", "c2", json!({})).to_string();
    json_of(world.send(held.as_bytes(), SHARED_KEY).await, 202).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_was_not_signed_so_is_refused_and_nothing_is_kept(pool: PgPool) {
    let world = World::connected(&pool).await;
    let (body, now) = (body(), now());
    let good = sign(&body, SHARED_KEY, now);
    let mut tampered = body.clone();
    tampered.push(b' ');
    let rewritten = serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(&body).unwrap()).unwrap();
    let (past, future) = (now - TimeDelta::seconds(302), now + TimeDelta::seconds(330));
    for (what, sent, signature) in [
        ("tampered", &tampered, good.clone()),
        ("re-serialised", &rewritten, good.clone()),
        ("another key", &body, sign(&body, "key_another", now)),
        ("another client's key", &body, sign(&body, BOBS_KEY, now)),
        ("too old", &body, sign(&body, SHARED_KEY, past)),
        ("too young", &body, sign(&body, SHARED_KEY, future)),
        ("malformed", &body, "v=1,d=ff".to_owned()),
        ("empty", &body, String::new()),
    ] {
        let refused = world.send_signed(sent, &signature).await;
        assert_eq!(refused.status(), 401, "{what}");
        failed(refused, 401, "unauthorized").await;
    }
    let unsigned = world
        .app
        .client()
        .post(world.app.url(SIGNED))
        .body(body.clone())
        .send()
        .await
        .unwrap();
    failed(unsigned, 401, "unauthorized").await;
    // The machines' secret opens another door.
    failed(
        world
            .app
            .as_n8n(SIGNED, event("call_ended", "c1", json!({})))
            .await,
        401,
        "unauthorized",
    )
    .await;
    assert_eq!((world.count("events").await, world.count("calls").await), (0, 0));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn whoever_gave_a_key_is_signed_for_by_it_alone(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_eq!(world.send(&body(), SHARED_KEY).await.status(), 202);
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    // At once, although the service knew of no key a moment ago.
    assert_eq!(world.send(&body(), ADAS_KEY).await.status(), 200);
    assert_eq!(world.send(&body(), SHARED_KEY).await.status(), 401);
    assert_eq!(world.send(&body(), BOBS_KEY).await.status(), 401);
    // A new key takes the place of the old one.
    world.retell.set_agents("key_rotated", &[AGENT]);
    json_of(world.prove(ADA, AGENT, "key_rotated").await, 200).await;
    assert_eq!(world.send(&body(), "key_rotated").await.status(), 200);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_signed_body_that_cannot_be_read_is_told_so(pool: PgPool) {
    let world = World::new(&pool).await;
    for (body, code) in [
        (&b"{"[..], "invalid_json"),
        (b"[]", "invalid_json"),
        (b"{}", "invalid_field"),
        (
            br#"{"event":"call_ended","call":{"agent_id":"a"}}"#,
            "invalid_field",
        ),
    ] {
        failed(world.send(body, SHARED_KEY).await, 400, code).await;
        assert_eq!(world.send(body, "key_another").await.status(), 401);
    }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn without_the_data_key_a_client_s_webhooks_are_refused_until_he_connects_again(pool: PgPool) {
    let world = World::new(&pool).await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let other_key = DATA_KEY.replace("MDEy", "OTk5");
    let other = replica(&pool, &world.retell, &[("DATA_KEY", &other_key)]).await;
    let send = async || {
        let body = body();
        let request = other
            .client()
            .post(other.url(SIGNED))
            .header("x-retell-signature", sign(&body, ADAS_KEY, now()));
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 401);
    let again = json!({"agentId": AGENT, "apiKey": ADAS_KEY});
    json_of(other.post(ADA, "/api/retell/connect-agent", again).await, 200).await;
    assert_eq!(send().await, 200);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn whatever_an_unsigned_body_names_as_its_agent_is_refused_as_any_other(pool: PgPool) {
    let world = World::new(&pool).await;
    let long = "a".repeat(300_000);
    for agent in [
        json!("a\u{0}b"),
        json!(long),
        json!(7),
        json!(null),
        json!({"a": 1}),
    ] {
        let body = json!({"event": "call_ended", "call": {"call_id": "c", "agent_id": agent}}).to_string();
        let refused = world.send(body.as_bytes(), "key_another").await;
        failed(refused, 401, "unauthorized").await;
    }
    assert_eq!(world.count("events").await, 0);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_key_is_that_of_the_agent_that_counts(pool: PgPool) {
    let world = World::new(&pool).await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let outside =
        json!({"event": "call_ended", "agent_id": AGENT, "call": {"call_id": "c", "agent_id": null}})
            .to_string();
    assert_eq!(world.send(outside.as_bytes(), SHARED_KEY).await.status(), 401);
    assert_eq!(world.send(outside.as_bytes(), ADAS_KEY).await.status(), 200);
}
