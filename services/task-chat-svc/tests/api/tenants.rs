//! Nobody sees, answers or changes another user's task, by any address.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ASSIGN, Ask, HOOK, TEST, World, failed};

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn another_users_task_is_found_nowhere(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "my secret").await;
    let delivered = |task: &Value| task["delivery"]["state"] == "delivered";
    world.app.until(ADA, &task, delivered).await;
    world.app.answer(&task, "another secret").await;
    let before = world.app.task(ADA, &task).await;
    let description = json_of(world.app.get(ADA, "/openapi.json").await, 200).await;
    let mut walked = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let for_users = operation["security"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|way| way["userToken"].is_array());
            if !path.starts_with("/api/") || !for_users {
                continue;
            }
            walked.insert(path.clone());
            let method: Method = method.to_uppercase().parse().unwrap();
            let address = path.replace("{taskId}", &task);
            let address = if method == Method::GET && !path.contains("{taskId}") {
                format!("{address}?taskId={task}")
            } else {
                address
            };
            let body =
                json!({"taskId": task, "agentId": "default", "message": "mine?", "testMessage": "mine?"});
            let body = (method == Method::POST).then_some(body);
            let answer = world.app.as_user("eve", method, &address, body).await;
            if path == "/api/tasks" {
                assert_eq!(json_of(answer, 200).await["items"], json!([]));
                continue;
            }
            let refused = failed(answer, 404, "not_found").await;
            assert_eq!(refused["error"], "Task not found", "{path}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }
    let all = [
        "/api/communications/get-responses",
        "/api/communications/stream",
        TEST,
        "/api/tasks",
        ASSIGN,
        "/api/tasks/{taskId}",
        "/api/tasks/{taskId}/resend",
    ];
    assert_eq!(walked.iter().map(String::as_str).collect::<Vec<_>>(), all);
    assert_eq!(world.app.task(ADA, &task).await, before);
    let list = json_of(world.app.get("eve", "/api/tasks").await, 200).await;
    assert_eq!(list["items"], Value::Array(vec![]));
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_machine_reads_answers_and_nothing_else(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    for path in [
        format!("/api/tasks/{task}"),
        "/api/tasks".into(),
        format!("/api/communications/stream?taskId={task}"),
    ] {
        failed(
            world.app.as_machine(Method::GET, &path, None).await,
            403,
            "forbidden",
        )
        .await;
    }
    let body = Some(json!({"agentId": "default", "message": "hello"}));
    failed(
        world.app.as_machine(Method::POST, ASSIGN, body).await,
        403,
        "forbidden",
    )
    .await;
    let answer = json!({"taskId": task, "response": "hi"});
    failed(world.app.post(ADA, HOOK, answer).await, 403, "forbidden").await;
    let path = format!("/api/communications/get-responses?taskId={task}");
    json_of(world.app.as_machine(Method::GET, &path, None).await, 200).await;
    let open = crate::world::replica(&pool, &world.n8n, &[("WEBHOOK_AUTH", "off")]).await;
    let bare = |method: Method, path: &str| open.client().request(method, open.url(path));
    let body = json!({"taskId": task, "response": "hi"});
    json_of(bare(Method::POST, HOOK).json(&body).send().await.unwrap(), 200).await;
    failed(
        bare(Method::GET, &path).send().await.unwrap(),
        401,
        "unauthorized",
    )
    .await;
}
