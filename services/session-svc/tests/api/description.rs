//! The wire as it is described, and as it is.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::description::{assert_complete, assert_routed, stable};
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, Ask, World, id};

/// What differs from run to run.
const CHANGING: &[(&str, &[&str])] = &[
    ("[id]", &["id"]),
    ("[time]", &["startedAt", "stoppedAt", "nextAttemptAt"]),
];

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let start = world
        .app
        .post(ADA, "/api/ai-session/start", json!({"dailyCallLimit": 100}))
        .await;
    let started = json_of(start, 201).await;
    insta::assert_json_snapshot!("started", stable(started.clone(), CHANGING));
    let id = id(&started["session"]);
    world.app.until_delivery(&id, "delivered").await;
    let again = world
        .app
        .post(ADA, "/api/ai-session/start", json!({"dailyCallLimit": 100}))
        .await;
    insta::assert_json_snapshot!("already_active", stable(json_of(again, 409).await, CHANGING));
    insta::assert_json_snapshot!(
        "claim_granted",
        world.app.claim(&id, json!({"callId": "lead-1"})).await
    );
    let status = world.app.get(ADA, "/api/ai-session/status").await;
    insta::assert_json_snapshot!("status", stable(json_of(status, 200).await, CHANGING));
    let done =
        json!({"sessionId": id, "status": "finished", "callsMade": 100, "message": "Completed all calls"});
    insta::assert_json_snapshot!(
        "completed",
        stable(json_of(world.app.report(done).await, 200).await, CHANGING)
    );
    insta::assert_json_snapshot!("claim_refused", world.app.claim(&id, json!({})).await);
    let history = world.app.get(ADA, "/api/ai-session").await;
    insta::assert_json_snapshot!("history", stable(json_of(history, 200).await, CHANGING));
    let used_up = world
        .app
        .post(ADA, "/api/ai-session/start", json!({"dailyCallLimit": 100}))
        .await;
    insta::assert_json_snapshot!("daily_limit_reached", json_of(used_up, 409).await);
    let idle = world.app.post(ADA, "/api/ai-session/stop", json!({})).await;
    insta::assert_json_snapshot!("no_active_session", json_of(idle, 409).await);
    let unknown = world.app.report(json!({"sessionId": id, "status": "done"})).await;
    insta::assert_json_snapshot!("unknown_status", json_of(unknown, 400).await);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_routed(&world.app, include_str!("../../src/routes.rs"), &["/api/"]).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    assert_complete(&description, &["webhookInfo"]);
    let session = &description["components"]["schemas"]["Session"];
    assert!(session["properties"]["callsMadeToday"].is_object(), "{session}");
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_page_and_its_settings_are_served(pool: PgPool) {
    let world = World::with(
        &pool,
        &[("DAY_TIMEZONE", "Europe/Berlin"), ("MAX_DAILY_CALL_LIMIT", "77")],
    )
    .await;
    for prefix in ["/", "/sessions/"] {
        let asked = world
            .app
            .client()
            .get(world.app.url(prefix))
            .send()
            .await
            .unwrap();
        assert_eq!(asked.status(), 200);
        assert!(
            asked.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        let script = world
            .app
            .client()
            .get(world.app.url(&format!("{prefix}assets/app.js")))
            .send()
            .await
            .unwrap();
        assert_eq!(script.status(), 200);
        let settings = world
            .app
            .client()
            .get(world.app.url(&format!("{prefix}page.json")))
            .send()
            .await
            .unwrap();
        let settings = json_of(settings, 200).await;
        assert_eq!(
            settings["settings"],
            json!({"maxDailyCallLimit": 77, "dayTimezone": "Europe/Berlin"})
        );
        assert_eq!(settings["current"], "sessions");
    }
}
