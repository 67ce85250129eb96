//! The wire as it is described, and as it is.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::description::{assert_complete, assert_routed, stable};
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ASSIGN, Ask, HOOK, World, says};

/// What differs from run to run.
const CHANGING: &[(&str, &[&str])] = &[
    ("[id]", &["id", "taskId", "messageId", "responseId"]),
    (
        "[time]",
        &["createdAt", "updatedAt", "waitingSince", "nextAttemptAt"],
    ),
];

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_shapes_on_the_wire_stay_as_they_are(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = json!({"agentId": "default", "message": "What are your opening hours?"});
    let assigned = json_of(world.app.post(ADA, ASSIGN, body).await, 201).await;
    insta::assert_json_snapshot!("assigned", stable(assigned.clone(), CHANGING));
    let task = assigned["taskId"].as_str().unwrap();
    let waiting = world
        .app
        .until(ADA, task, |task| task["delivery"]["state"] == "delivered")
        .await;
    insta::assert_json_snapshot!("waiting", stable(waiting, CHANGING));
    let none = world
        .app
        .get(ADA, &format!("/api/communications/get-responses?taskId={task}"))
        .await;
    insta::assert_json_snapshot!("no_responses", stable(json_of(none, 200).await, CHANGING));
    let answer = json!({"taskId": task, "response": "From 9 to 5."});
    insta::assert_json_snapshot!(
        "answer",
        stable(json_of(world.app.as_n8n(HOOK, answer).await, 200).await, CHANGING)
    );
    let some = world
        .app
        .get(ADA, &format!("/api/communications/get-responses?taskId={task}"))
        .await;
    insta::assert_json_snapshot!("responses", stable(json_of(some, 200).await, CHANGING));
    insta::assert_json_snapshot!("answered", stable(world.app.task(ADA, task).await, CHANGING));
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
    insta::assert_json_snapshot!("failed_in_a_list", stable(list, CHANGING));
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_described_paths_are_the_routed_ones(pool: PgPool) {
    let world = World::new(&pool).await;
    assert_routed(&world.app, include_str!("../../src/routes.rs"), &["/api/"]).await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_description_is_complete_enough_for_a_client(pool: PgPool) {
    let world = World::new(&pool).await;
    let description = world.app.description().await;
    assert_complete(&description, &[]);
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
