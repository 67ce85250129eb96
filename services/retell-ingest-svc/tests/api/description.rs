//! The wire as it is described, and as it is.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::description::{assert_complete, assert_routed, stable};
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ADAS_KEY, AGENT, FORWARDED, World, event, recorded};

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_routed(&world.app, include_str!("../../src/routes.rs"), &["/api/"]).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_complete(&world.app.description().await, &["signedEvent"]);
}

/// What differs from run to run.
const CHANGING: &[(&str, &[&str])] = &[("[time]", &["createdAt"])];

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    insta::assert_json_snapshot!(
        "held",
        world
            .forward(event("call_started", "call_1", json!({})), 202)
            .await
    );
    insta::assert_json_snapshot!(
        "connected",
        json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await
    );
    let status = world.app.get(ADA, "/api/retell/agent-status").await;
    insta::assert_json_snapshot!("agent_status", json_of(status, 200).await);
    let mut analyzed = recorded("voice-call/call_analyzed.json");
    analyzed["call"]["agent_id"] = json!(AGENT);
    insta::assert_json_snapshot!("saved", world.forward(analyzed.clone(), 200).await);
    insta::assert_json_snapshot!("duplicate", world.forward(analyzed.clone(), 200).await);
    let id = analyzed["call"]["call_id"].as_str().unwrap();
    insta::assert_json_snapshot!("call", stable(world.call(ADA, id).await, CHANGING));
    let calls = world.app.get(ADA, "/api/retell/calls").await;
    insta::assert_json_snapshot!("calls", stable(json_of(calls, 200).await, CHANGING));
    let figures = world
        .app
        .get(ADA, "/api/retell/analytics?from=2020-01-01&to=2099-12-31")
        .await;
    insta::assert_json_snapshot!("analytics", stable_days(json_of(figures, 200).await));
    let taken = world
        .app
        .post("bob", "/api/retell/connect-agent", json!({"agentId": AGENT}))
        .await;
    insta::assert_json_snapshot!("agent_already_connected", json_of(taken, 409).await);
    let gone = world.app.delete(ADA, "/api/retell/disconnect-agent").await;
    insta::assert_json_snapshot!("disconnected", json_of(gone, 200).await);
    let nameless = world.app.as_n8n(FORWARDED, json!({"call": {}})).await;
    insta::assert_json_snapshot!("nameless", json_of(nameless, 400).await);
}

/// The call without a start counts for the day of the test.
fn stable_days(mut figures: Value) -> Value {
    for day in figures["data"]["perDay"].as_array_mut().unwrap() {
        day["day"] = json!("[day]");
    }
    figures
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_page_and_its_settings_are_served(pool: PgPool) {
    let settings = [
        ("RETELL_REQUIRE_PROOF", "true"),
        ("PUBLIC_URL", "https://calls.example.com"),
    ];
    let world = World::with(&pool, &settings).await;
    for prefix in ["/", "/calls/"] {
        let page = world
            .app
            .client()
            .get(world.app.url(prefix))
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), 200);
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
        let expected = json!({"dayTimezone": "UTC", "requireProof": true, "adoptUnproven": false, "retentionDays": 365,
            "webhookUrl": "https://calls.example.com/api/retell/webhook"});
        assert_eq!(
            (&settings["settings"], &settings["current"]),
            (&expected, &json!("calls"))
        );
    }
}
