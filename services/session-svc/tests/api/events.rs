//! The stream: at once, on every replica, and nothing twice.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, TokenSpec, json_of};

use crate::world::{ADA, Ask, World, id, replica};

const EVENTS: &str = "/api/ai-session/events";

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_stream_shows_the_present_and_then_what_another_replica_changes(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let mut reader = EventReader::open(&other, ADA, EVENTS, None).await;
    let first = reader.next().await.unwrap();
    let idle = json!({"success": true, "aiStatus": "idle", "callsMadeToday": 0, "session": null});
    assert_eq!((first.event.as_str(), first.id.as_str()), ("session", "0"));
    assert_eq!(first.data, idle);
    let session = world.begin(10).await;
    reader
        .until(|seen| seen.data["session"]["delivery"]["state"] == "delivered")
        .await;
    let progress = json!({"sessionId": session["id"], "status": "running", "callsMade": 4});
    json_of(world.app.report(progress).await, 200).await;
    let seen = reader.until(|seen| seen.data["callsMadeToday"] == 4).await;
    assert_eq!(
        seen.data,
        json_of(other.get(ADA, "/api/ai-session/status").await, 200).await
    );
    let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": 9});
    json_of(world.app.report(done).await, 200).await;
    let over = reader.until(|seen| seen.data["aiStatus"] == "idle").await;
    assert_eq!(over.data["session"]["callsMade"], 9);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_reader_that_comes_back_is_shown_only_what_is_new(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(10).await;
    // Begun, written to n8n, answered: then all is quiet.
    world.app.until_delivery(&id(&session), "delivered").await;
    let mut reader = EventReader::open(&world.app, ADA, EVENTS, None).await;
    let last = reader.next().await.unwrap();
    assert_eq!(last.data["session"]["delivery"]["state"], "delivered");
    drop(reader);
    let mut up_to_date = EventReader::open(&world.app, ADA, EVENTS, Some(&last.id)).await;
    let mut behind = EventReader::open(&world.app, ADA, EVENTS, Some("1")).await;
    assert_eq!(behind.next().await.unwrap(), last);
    let progress = json!({"sessionId": session["id"], "status": "running", "callsMade": 2});
    json_of(world.app.report(progress).await, 200).await;
    let next = up_to_date.next().await.unwrap();
    assert_eq!(next.data["session"]["callsMade"], 2);
    assert_ne!(next.id, last.id);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_stream_tells_nothing_of_other_users(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut reader = EventReader::open(&world.app, "bob", EVENTS, None).await;
    assert_eq!(reader.next().await.unwrap().data["session"], Value::Null);
    world.begin(10).await;
    world.received(1).await;
    let own = world.app.begin("bob", 5).await;
    // The first thing that comes is Bob's own.
    assert_eq!(reader.next().await.unwrap().data["session"]["id"], own["id"]);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_stream_ends_with_the_token_and_with_the_service(pool: PgPool) {
    let world = World::new(&pool).await;
    let app = &world.app;
    // Within the leeway: it ends as soon as it has begun.
    let expired = TokenSpec::user(ADA, app.kit().clock.now().timestamp() - 5);
    let mut over = EventReader::open_with(app, &app.token(&expired), EVENTS, None).await;
    while over.next().await.is_some() {}
    let mut reader = EventReader::open(app, ADA, EVENTS, None).await;
    reader.next().await.unwrap();
    app.begin_stop();
    assert_eq!(reader.next().await, None);
}
