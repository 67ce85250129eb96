//! The same key twice: the first answer again, and nothing done again.

use reqwest::Response;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ASSIGN, Ask, HOOK, TEST, World, failed, replica, texts};

impl World {
    async fn keyed(&self, user: Option<&str>, path: &str, key: &str, body: &Value) -> Response {
        let request = self
            .app
            .client()
            .post(self.app.url(path))
            .header("Idempotency-Key", key);
        let request = match user {
            Some(user) => request.bearer_auth(self.app.user(user)),
            None => request.header("x-n8n-webhook-secret", self.app.secret()),
        };
        request.json(body).send().await.unwrap()
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_repeated_message_is_answered_as_the_first_time(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = json!({"agentId": "default", "message": "hello"});
    let first = json_of(world.keyed(Some(ADA), ASSIGN, "k1", &body).await, 201).await;
    let again = json_of(world.keyed(Some(ADA), ASSIGN, "k1", &body).await, 201).await;
    assert_eq!(first, again);
    let in_body = json!({"agentId": "default", "message": "hello", "idempotencyKey": "k1"});
    assert_eq!(
        json_of(world.app.post(ADA, ASSIGN, in_body).await, 201).await,
        first
    );
    let other = json!({"agentId": "default", "message": "other"});
    failed(
        world.keyed(Some(ADA), ASSIGN, "k1", &other).await,
        409,
        "idempotency_conflict",
    )
    .await;
    let stranger = json_of(world.keyed(Some("bob"), ASSIGN, "k1", &other).await, 201).await;
    assert_ne!(stranger["taskId"], first["taskId"]);
    let task = first["taskId"].as_str().unwrap();
    assert_eq!(world.app.task(ADA, task).await["task"]["messages"], 1);
    let list = json_of(world.app.get(ADA, "/api/tasks").await, 200).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_repeated_answer_is_stored_once_also_when_it_comes_at_the_same_time(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    let body = json!({"taskId": task, "response": "hi", "idempotencyKey": "run-7"});
    let posts = (0..10).map(|number| {
        let app = if number % 2 == 0 { &world.app } else { &other };
        let body = body.clone();
        async move { json_of(app.as_n8n(HOOK, body).await, 200).await }
    });
    let answers = futures_util::future::join_all(posts).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(texts(&world.app.responses(ADA, &task, "").await), ["hi"]);
    let other_words = json!({"taskId": task, "response": "ho"});
    failed(
        world.keyed(None, HOOK, "run-7", &other_words).await,
        409,
        "idempotency_conflict",
    )
    .await;
    let test = json!({"taskId": task});
    let first = json_of(world.keyed(Some(ADA), TEST, "run-7", &test).await, 200).await;
    assert_eq!(
        json_of(world.keyed(Some(ADA), TEST, "run-7", &test).await, 200).await,
        first
    );
    assert_eq!(world.app.responses(ADA, &task, "").await.len(), 2);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_key_of_a_refused_request_is_free_again(pool: PgPool) {
    let world = World::new(&pool).await;
    let missing = json!({"taskId": "task_1_aaaaaaaaaaaaaaaa", "response": "hi"});
    failed(world.keyed(None, HOOK, "k", &missing).await, 404, "not_found").await;
    let task = world.app.begin(ADA, "hello").await;
    let right = json!({"taskId": task, "response": "hi"});
    json_of(world.keyed(None, HOOK, "k", &right).await, 200).await;
}
