//! The wire as it is described, and as it is.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::description::{assert_complete, assert_routed, stable};
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, SAM, World};
use crate::ws_client::Visitor;

/// What differs from run to run.
const CHANGING: &[(&str, &[&str])] = &[
    ("[id]", &["sessionId", "messageId"]),
    ("[time]", &["createdAt", "updatedAt", "timestamp"]),
];

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    visitor.say("hello", "c1").await;
    let sam = world.app.operator(SAM);
    let taken = world
        .app
        .hand_over(&sam, &visitor.session, "takeover", json!({}))
        .await;
    insta::assert_json_snapshot!("taken_over", json_of(taken, 200).await);
    insta::assert_json_snapshot!(
        "sessions",
        stable(world.app.read("/api/sessions").await, CHANGING)
    );
    let path = format!("/api/sessions/{}/messages", visitor.session);
    insta::assert_json_snapshot!("transcript", stable(world.app.read(&path).await, CHANGING));
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_routed(&world.app, include_str!("../../src/routes.rs"), &["/api/"]).await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    assert_complete(&description, &[]);
    assert!(description["paths"]["/health"]["get"].is_object());
    assert!(description["paths"].get("/internal/hints").is_none());
    let session = &description["components"]["schemas"]["ShownSession"];
    assert!(session["properties"]["readyState"].is_object(), "{session}");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_page_learns_where_the_sockets_are(pool: PgPool) {
    let world = World::with(&pool, &[("WS_PUBLIC_URL", "wss://chat.example.com/ws")]).await;
    for prefix in ["/", "/chats/"] {
        let asked = world
            .app
            .client()
            .get(world.app.url(&format!("{prefix}page.json")))
            .send()
            .await
            .unwrap();
        let settings = json_of(asked, 200).await;
        let expected = json!({"channels": ["default"], "wsUrl": "wss://chat.example.com/ws", "wsPort": 0,
            "maxTextChars": 5000, "retentionDays": 180});
        assert_eq!(
            (&settings["settings"], &settings["current"]),
            (&expected, &json!("chats"))
        );
    }
}
