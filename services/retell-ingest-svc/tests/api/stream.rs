//! The stream: at once, on every replica, nothing twice and nothing missed.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, json_of};

use crate::world::{ADA, ADAS_KEY, AGENT, BOB, World, event, replica};

const EVENTS: &str = "/api/retell/events";

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_stream_shows_the_present_and_then_what_another_replica_takes(pool: PgPool) {
    let world = World::connected(&pool).await;
    world
        .forward(event("call_started", "call_1", json!({})), 200)
        .await;
    let other = replica(&pool, &world.retell, &[]).await;
    let mut reader = EventReader::open(&other, ADA, EVENTS, None).await;
    let calls = reader.next().await.unwrap();
    assert_eq!(calls.event, "calls");
    assert_eq!(
        calls.data,
        json_of(other.get(ADA, "/api/retell/calls").await, 200).await
    );
    let agent = reader.next().await.unwrap();
    assert_eq!(
        (agent.event.as_str(), &agent.data["data"]["agentId"]),
        ("agent", &json!(AGENT))
    );
    world
        .forward(event("call_ended", "call_1", json!({"duration_ms": 60_000})), 200)
        .await;
    let changed = reader.next().await.unwrap();
    let listed = world.calls(ADA).await[0].clone();
    assert_eq!(
        (changed.event.as_str(), changed.data),
        ("call", json!({"success": true, "call": listed}))
    );
    // What changes nothing is not told.
    world
        .forward(event("call_ended", "call_1", json!({"duration_ms": 60_000})), 200)
        .await;
    world
        .forward(event("call_started", "call_2", json!({})), 200)
        .await;
    assert_eq!(reader.next().await.unwrap().data["call"]["callId"], "call_2");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_reader_that_comes_back_misses_nothing(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut reader = EventReader::open(&world.app, ADA, EVENTS, None).await;
    reader.next().await.unwrap();
    let seen = reader.next().await.unwrap().id;
    drop(reader);
    for call in 0..300 {
        world
            .forward(event("call_started", &format!("call_{call}"), json!({})), 200)
            .await;
    }
    let mut back = EventReader::open(&world.app, ADA, EVENTS, Some(&seen)).await;
    for call in 0..300 {
        let told = back.next().await.unwrap();
        assert_eq!(told.data["call"]["callId"], format!("call_{call}"));
    }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_stream_shows_only_one_s_own(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut reader = EventReader::open(&world.app, BOB, EVENTS, None).await;
    assert_eq!(reader.next().await.unwrap().data["items"], json!([]));
    world
        .forward(event("call_started", "ada's", json!({})), 200)
        .await;
    let own = crate::world::event_of(crate::world::OTHER_AGENT, "call_started", "bob's", json!({}));
    world.forward(own, 200).await;
    let told = reader.until(|seen| seen.event == "call").await;
    assert_eq!(told.data["call"]["callId"], "bob's");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_agent_and_what_is_erased_are_told_too(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(BOB, AGENT).await;
    world
        .forward(event("call_started", "call_1", json!({})), 200)
        .await;
    let mut reader = EventReader::open(&world.app, BOB, EVENTS, None).await;
    reader.until(|seen| seen.event == "agent").await;
    let erased = world
        .app
        .as_user(
            BOB,
            reqwest::Method::DELETE,
            "/api/retell/calls",
            Some(json!({"callId": "call_1"})),
        )
        .await;
    json_of(erased, 200).await;
    let anew = reader.until(|seen| seen.event == "calls").await;
    assert_eq!(anew.data["items"], json!([]));
    // Another client proves that the agent is his.
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let told = reader
        .until(|seen| seen.event == "agent" && seen.data["data"]["isConnected"] == false)
        .await;
    assert_eq!(told.data["data"]["agentId"], Value::Null);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_stream_ends_with_the_service(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut reader = EventReader::open(&world.app, ADA, EVENTS, None).await;
    reader.next().await.unwrap();
    world.app.begin_stop();
    while reader.next().await.is_some() {}
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_cursor_from_the_future_is_shown_the_present_and_harms_nobody(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut odd = EventReader::open(&world.app, ADA, EVENTS, Some("9000000000000000000")).await;
    assert_eq!(odd.next().await.unwrap().event, "calls");
    let mut honest = EventReader::open(&world.app, ADA, EVENTS, None).await;
    honest.until(|seen| seen.event == "agent").await;
    world
        .forward(event("call_started", "call_1", json!({})), 200)
        .await;
    for reader in [&mut odd, &mut honest] {
        let told = reader.until(|seen| seen.event == "call").await;
        assert_eq!(told.data["call"]["callId"], "call_1");
    }
}
