//! The wire as it is described, and as it is.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, World, call_with, id_of};

/// What differs from run to run.
fn stable(mut value: Value) -> Value {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), &value) {
                        ("id" | "dispatch_id" | "job_id" | "room", Value::String(_)) => {
                            *value = json!("[id]")
                        }
                        ("created_at" | "updated_at" | "started_at" | "call_end", Value::String(_)) => {
                            *value = json!("[time]");
                        }
                        _ => hide(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(hide),
            _ => {}
        }
    }
    hide(&mut value);
    value
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with(
        "61402012298",
        json!({"transfer_target": "61731071901", "caller_name": "LiveKit",
        "session_options": {"llm": "openai/gpt-4o-mini"}, "metadata": {"ticket_id": "INC-1234"}}),
    );
    let answer = world.dialled(body).await;
    insta::assert_json_snapshot!("dispatched", stable(answer.clone()));
}

/// Addresses of the API: all that are not every service's.
fn is_own(path: &str) -> bool {
    path.starts_with("/dispatch") || path.starts_with("/livekit") || path.starts_with("/agent")
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    let table = include_str!("../../src/routes.rs");
    let routed: BTreeSet<&str> = table
        .split("resource(\"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    let documented: BTreeMap<&str, BTreeSet<String>> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, _)| is_own(path) && routed.contains(path.as_str()))
        .map(|(path, item)| {
            let methods = item
                .as_object()
                .unwrap()
                .keys()
                .map(|method| method.to_uppercase());
            (path.as_str(), methods.collect())
        })
        .collect();
    assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), routed);
    for (path, methods) in documented {
        let path = path.replace("{dispatch_id}", "AD_x");
        let refused = world.app.as_machine(Method::PATCH, &path, None).await;
        assert_eq!(refused.status(), 405, "{path}");
        let allow = refused.headers()["allow"].to_str().unwrap().to_owned();
        let allowed: BTreeSet<String> = allow
            .split(", ")
            .filter(|method| *method != "HEAD")
            .map(str::to_owned)
            .collect();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "{place}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{place}"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        }
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split_once('"').unwrap().0;
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
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
