//! The wire as it is described, and as it is.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::description::{assert_complete, assert_routed, stable};
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, World, call_with, id_of};

/// What differs from run to run.
const CHANGING: &[(&str, &[&str])] = &[
    ("[id]", &["id", "dispatch_id", "job_id", "room"]),
    ("[time]", &["created_at", "updated_at", "started_at", "call_end"]),
];

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with(
        "61402012298",
        json!({"transfer_target": "61731071901", "caller_name": "LiveKit",
        "session_options": {"llm": "openai/gpt-4o-mini"}, "metadata": {"ticket_id": "INC-1234"}}),
    );
    let answer = world.dialled(body).await;
    insta::assert_json_snapshot!("dispatched", stable(answer.clone(), CHANGING));
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_routed(
        &world.app,
        include_str!("../../src/routes.rs"),
        &["/dispatch", "/livekit", "/agent"],
    )
    .await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    assert_complete(&description, &[]);
    let shown = &description["components"]["schemas"]["ShownDispatch"];
    assert!(
        shown["properties"]["call_duration_seconds"].is_object(),
        "{shown}"
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_page_is_served_and_the_list_is_no_page(pool: PgPool) {
    let world = World::new(&pool).await;
    for path in ["/", "/dispatches/"] {
        let asked = world.app.client().get(world.app.url(path)).send().await.unwrap();
        assert_eq!(asked.status(), 200, "{path}");
        let kind = asked.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/html"), "{path}");
    }
    let settings = world
        .app
        .client()
        .get(world.app.url("/page.json"))
        .send()
        .await
        .unwrap();
    let settings = json_of(settings, 200).await;
    assert_eq!(settings["current"], "dispatches");
    assert_eq!(settings["settings"]["agentName"], "nehos-outbound-agent");
    let answer = world.dialled(crate::world::call("61402012298")).await;
    assert_eq!(
        id_of(&world.app.read("/dispatches").await["items"][0]),
        id_of(&answer)
    );
}
