//! The way of a message and its answers, when all goes well.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::log::Entry;

use crate::world::{ADA, AGENT_PATH, ASSIGN, Ask, HOOK, SOON, TEST, World, failed, texts};

fn sent(entry: &Entry) -> Value {
    entry.body().unwrap()
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_agent_is_sent_the_message_and_answers_by_the_callback_it_was_given(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    let body = json!({"agentId": "sales", "message": "What does it cost?"});
    let assigned = json_of(world.app.post(ADA, ASSIGN, body).await, 201).await;
    let task = assigned["taskId"].as_str().unwrap();
    let (time, random) = task.strip_prefix("task_").unwrap().split_once('_').unwrap();
    assert!(time.parse::<u64>().is_ok() && random.len() >= 16, "{task}");
    // The callback may be faster than the answer to the request.
    let over = |task: &Value| task["state"] == "answered" && task["delivery"]["state"] == "delivered";
    let shown = world.app.until(ADA, task, over).await;
    let got = world.n8n.wait_for(AGENT_PATH, 1, SOON).await;
    assert_eq!(
        sent(&got[0]),
        json!({
            "taskId": task, "agentId": "sales", "message": "What does it cost?", "messageId": assigned["messageId"],
            "userId": ADA, "userEmail": "ada@example.com",
            "callbackUrl": format!("http://localhost:{}{HOOK}", world.app.addr().port()),
        })
    );
    let messages = shown["messages"].as_array().unwrap();
    let said: Vec<_> = messages
        .iter()
        .map(|entry| (entry["from"].as_str(), entry["text"].as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (Some("user"), Some("What does it cost?")),
            (Some("agent"), Some("You wrote: What does it cost?"))
        ]
    );
    assert_eq!(messages[0]["id"], assigned["messageId"]);
    assert_eq!(messages[0]["delivery"]["state"], "delivered");
    let responses = world.app.responses(ADA, task, "").await;
    let keys: Vec<_> = responses[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["createdAt", "id", "response", "taskId"]);
    assert_eq!(responses[0]["id"], messages[1]["id"]);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_next_message_waits_again_and_all_answers_are_kept(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "first").await;
    assert_eq!(world.app.task(ADA, &task).await["task"]["state"], "waiting");
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    world.app.answer(&task, "one").await;
    let second = world.app.answer(&task, "two").await;
    assert_eq!(world.app.task(ADA, &task).await["task"]["state"], "answered");
    world.app.write(ADA, &task, "second").await;
    let shown = world.app.task(ADA, &task).await;
    assert_eq!(
        (
            &shown["task"]["state"],
            &shown["task"]["messages"],
            &shown["task"]["responses"]
        ),
        (&json!("waiting"), &json!(2), &json!(2))
    );
    assert!(shown["task"]["waitingSince"].is_string());
    world.app.answer(&task, "three").await;
    let order: Vec<_> = world.app.task(ADA, &task).await["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order, ["first", "one", "two", "second", "three"]);
    let later = world.app.responses(ADA, &task, &format!("&after={second}")).await;
    assert_eq!(texts(&later), ["three"]);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_agent_gets_the_messages_of_a_task_one_by_one_and_in_order(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    let body = json!({"agentId": "echo", "message": "m0"});
    let task = json_of(world.app.post(ADA, ASSIGN, body).await, 201).await["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    for number in 1..6 {
        let body = json!({"agentId": "echo", "message": format!("m{number}"), "taskId": task});
        json_of(world.app.post(ADA, ASSIGN, body).await, 201).await;
    }
    world
        .app
        .until(ADA, &task, |task| {
            task["responses"] == 6 && task["state"] == "answered"
        })
        .await;
    let responses = world.app.responses(ADA, &task, "").await;
    let expected: Vec<String> = (0..6).map(|number| format!("You wrote: m{number}")).collect();
    assert_eq!(texts(&responses), expected);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_test_response_is_an_answer_where_tests_are_offered(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    let said = json_of(world.app.post(ADA, TEST, json!({"taskId": task})).await, 200).await;
    assert_eq!((&said["success"], &said["taskId"]), (&json!(true), &json!(task)));
    json_of(
        world
            .app
            .post(ADA, TEST, json!({"taskId": task, "testMessage": "my own"}))
            .await,
        200,
    )
    .await;
    let responses = world.app.responses(ADA, &task, "").await;
    assert_eq!(texts(&responses), ["This is a test response", "my own"]);
    assert_eq!(responses[0]["id"], said["responseId"]);
    let serious = crate::world::replica(&pool, &world.n8n, &[("ENABLE_TEST_ENDPOINTS", "false")]).await;
    let refused = serious.post(ADA, TEST, json!({"taskId": task})).await;
    failed(refused, 404, "not_found").await;
    let nobody = serious
        .client()
        .post(serious.url(TEST))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    failed(nobody, 404, "not_found").await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn tasks_are_listed_newest_first_by_state_and_page(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut tasks = Vec::new();
    for number in 0..5 {
        tasks.push(world.app.begin(ADA, &format!("task {number}")).await);
    }
    world.app.answer(&tasks[1], "yes").await;
    tasks.reverse();
    let mut seen = Vec::new();
    let mut path = "/api/tasks?limit=2".to_owned();
    loop {
        let page = json_of(world.app.get(ADA, &path).await, 200).await;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|task| task["taskId"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = next.strip_prefix(&world.app.url("")).unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, tasks);
    let answered = json_of(world.app.get(ADA, "/api/tasks?state=answered").await, 200).await;
    assert_eq!(answered["items"].as_array().unwrap().len(), 1);
    assert_eq!(answered["items"][0]["title"], "task 1");
    assert_eq!(answered["next"], Value::Null);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn agents_without_a_webhook_and_agents_of_others_are_refused(pool: PgPool) {
    use switchhook_chassis::testing::TokenSpec;
    let n8n = crate::world::n8n();
    let agents = json!({"sales": n8n.webhook_url("task-agent")}).to_string();
    let world = World {
        app: crate::world::replica(&pool, &n8n, &[("AGENT_WEBHOOKS", &agents)]).await,
        n8n,
    };
    world.n8n.push(crate::world::silent());
    let to = |agent: &str| json!({"agentId": agent, "message": "hello"});
    failed(
        world.app.post(ADA, ASSIGN, to("support")).await,
        400,
        "unknown_agent",
    )
    .await;
    let limited = |agents: Value| {
        let exp = world.app.kit().clock.now().timestamp() + 600;
        world
            .app
            .token(&TokenSpec::user("eve", exp).with("agents", agents))
    };
    let send = async |token: String, body: Value| {
        let request = world.app.client().post(world.app.url(ASSIGN)).bearer_auth(token);
        request.json(&body).send().await.unwrap()
    };
    failed(
        send(limited(json!(["support"])), to("sales")).await,
        403,
        "forbidden",
    )
    .await;
    let task = json_of(send(limited(json!(["sales"])), to("sales")).await, 201).await["taskId"].clone();
    let other = json!({"agentId": "support", "message": "hello", "taskId": task});
    failed(send(limited(json!(["sales"])), other).await, 403, "forbidden").await;
    // The page is told which there are.
    let settings = json_of(world.app.get("eve", "/tasks/page.json").await, 200).await;
    let expected =
        json!({"agents": ["sales"], "hasDefault": false, "testEndpoints": true, "retentionDays": 180});
    assert_eq!(settings["settings"], expected);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_task_keeps_its_agent_and_has_bounds(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    let other = json!({"agentId": "echo", "message": "hello", "taskId": task});
    let refused = failed(world.app.post(ADA, ASSIGN, other).await, 400, "invalid_field").await;
    assert!(refused["fields"]["agentId"].is_string(), "{refused}");
    let full = "UPDATE task_chat.tasks SET messages = 1000, responses = 10000";
    sqlx::query(full).execute(&pool).await.unwrap();
    let next = json!({"agentId": "default", "message": "hello", "taskId": task});
    failed(world.app.post(ADA, ASSIGN, next).await, 409, "too_many_messages").await;
    let answer = json!({"taskId": task, "response": "hi"});
    failed(world.app.as_n8n(HOOK, answer).await, 409, "too_many_responses").await;
}
