//! The wire as it is described, and as it is.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ASSIGN, Ask, HOOK, World, says};

/// What differs from run to run.
fn stable(mut value: Value) -> Value {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), &value) {
                        ("id" | "taskId" | "messageId" | "responseId", Value::String(_)) => {
                            *value = json!("[id]")
                        }
                        ("createdAt" | "updatedAt" | "waitingSince" | "nextAttemptAt", Value::String(_)) => {
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

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = json!({"agentId": "default", "message": "What are your opening hours?"});
    let assigned = json_of(world.app.post(ADA, ASSIGN, body).await, 201).await;
    insta::assert_json_snapshot!("assigned", stable(assigned.clone()));
    let task = assigned["taskId"].as_str().unwrap();
    let waiting = world
        .app
        .until(ADA, task, |task| task["delivery"]["state"] == "delivered")
        .await;
    insta::assert_json_snapshot!("waiting", stable(waiting));
    let none = world
        .app
        .get(ADA, &format!("/api/communications/get-responses?taskId={task}"))
        .await;
    insta::assert_json_snapshot!("no_responses", stable(json_of(none, 200).await));
    let answer = json!({"taskId": task, "response": "From 9 to 5."});
    insta::assert_json_snapshot!(
        "answer",
        stable(json_of(world.app.as_n8n(HOOK, answer).await, 200).await)
    );
    let some = world
        .app
        .get(ADA, &format!("/api/communications/get-responses?taskId={task}"))
        .await;
    insta::assert_json_snapshot!("responses", stable(json_of(some, 200).await));
    insta::assert_json_snapshot!("answered", stable(world.app.task(ADA, task).await));
    insta::assert_json_snapshot!(
        "not_failed",
        json_of(world.app.resend(ADA, task).await, 409).await
    );
    world.n8n.clear();
    world.n8n.push(says(403, json!("Authorization data is wrong!")));
    let refused = world.app.begin(ADA, "And on Sundays?").await;
    world.app.until_state(ADA, &refused, "failed").await;
    let list = world.app.get(ADA, "/api/tasks?limit=1").await;
    let mut list = json_of(list, 200).await;
    assert!(list["next"].as_str().unwrap().starts_with("http://"), "{list}");
    list["next"] = json!("[url]");
    insta::assert_json_snapshot!("failed_in_a_list", stable(list));
}

async fn described(world: &World) -> Value {
    json_of(world.app.get(ADA, "/openapi.json").await, 200).await
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = described(&world).await;
    let documented: BTreeMap<&str, BTreeSet<String>> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, _)| path.starts_with("/api/"))
        .map(|(path, item)| {
            let methods = item
                .as_object()
                .unwrap()
                .keys()
                .map(|method| method.to_uppercase());
            (path.as_str(), methods.collect())
        })
        .collect();
    let table = include_str!("../../src/routes.rs");
    let routed: BTreeSet<&str> = table
        .split("resource(\"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), routed);
    for (path, methods) in documented {
        let path = path.replace("{taskId}", "task_1_aaaa");
        let refused = world.app.as_user(ADA, Method::PATCH, &path, None).await;
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

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = described(&world).await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{place}"
            );
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{place}"
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
            for (status, response) in responses {
                let content = response["content"].as_object().unwrap();
                assert!(
                    content.values().all(|media| media["schema"].is_object()),
                    "{place} {status}"
                );
            }
            if path.starts_with("/api/") {
                assert!(
                    operation["security"].as_array().is_some_and(|s| !s.is_empty()),
                    "{place}"
                );
                assert!(
                    responses.contains_key("401") && responses.contains_key("503"),
                    "{place}"
                );
            }
        }
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split_once('"').unwrap().0;
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let task = &description["components"]["schemas"]["ShownTask"];
    assert!(task["properties"]["waitingSince"].is_object(), "{task}");
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn both_views_of_the_page_are_served(pool: PgPool) {
    let world = World::new(&pool).await;
    for path in ["/", "/tasks/", "/chat", "/tasks/chat", "/chat?agent=sales"] {
        let asked = world.app.client().get(world.app.url(path)).send().await.unwrap();
        assert_eq!(asked.status(), 200, "{path}");
        assert!(
            asked.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html"),
            "{path}"
        );
    }
    for prefix in ["/", "/tasks/"] {
        let settings = world
            .app
            .client()
            .get(world.app.url(&format!("{prefix}page.json")))
            .send()
            .await
            .unwrap();
        let settings = json_of(settings, 200).await;
        let expected =
            json!({"agents": ["echo"], "hasDefault": true, "testEndpoints": true, "retentionDays": 180});
        assert_eq!(
            (&settings["settings"], &settings["current"]),
            (&expected, &json!("tasks"))
        );
    }
}
