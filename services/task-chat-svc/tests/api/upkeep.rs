//! What time and operators end: waiting without end, retention, erasure.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::app::Program;
use switchhook_chassis::clock::ManualClock;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_core::ids::UserId;
use switchhook_standins::control::Mode;
use switchhook_standins::{Control, N8n};
use task_chat_svc::app::TaskChatSvc;

use crate::world::{
    ADA, AGENT_PATH, ASSIGN, Ask, HOOK, SOON, World, failed, n8n, says, silent, texts, webhooks,
};

async fn at(
    pool: &PgPool,
    clock: &ManualClock,
    n8n: &N8n,
    settings: &[(&str, &str)],
) -> TestApp<TaskChatSvc> {
    let agents = webhooks(n8n);
    let mut all = vec![("AGENT_WEBHOOKS", agents.as_str())];
    all.extend(settings);
    TestApp::start_at(pool, &all, Arc::new(clock.clone())).await
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test begins at the present: tokens are judged by it"
)]
fn clock() -> ManualClock {
    ManualClock::at(Utc::now())
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_task_that_nobody_answers_fails_and_a_late_answer_makes_up_for_it(pool: PgPool) {
    let (clock, n8n) = (clock(), n8n());
    n8n.push(silent());
    let app = at(&pool, &clock, &n8n, &[("TASK_MAX_WAIT", "10m")]).await;
    let task = app.begin(ADA, "hello").await;
    app.until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    clock.advance(TimeDelta::minutes(9));
    let other = app.begin(ADA, "hello again").await;
    clock.advance(TimeDelta::minutes(1));
    let shown = app.until_state(ADA, &task, "failed").await;
    assert_eq!(shown["task"]["failure"]["code"], "no_answer");
    assert_eq!(shown["messages"][0]["delivery"]["state"], "delivered");
    assert_eq!(app.task(ADA, &other).await["task"]["state"], "waiting");
    app.answer(&task, "late").await;
    assert_eq!(app.task(ADA, &task).await["task"]["state"], "answered");
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_message_that_never_got_through_says_why_and_is_sent_no_more(pool: PgPool) {
    let (clock, n8n) = (clock(), n8n());
    let app = at(&pool, &clock, &n8n, &[("TASK_MAX_WAIT", "10m")]).await;
    n8n.down().await.unwrap();
    let task = app.begin(ADA, "hello").await;
    app.write(ADA, &task, "are you there?").await;
    app.until(ADA, &task, |task| task["messages"] == 2).await;
    let tried = async || {
        let shown = app.task(ADA, &task).await;
        shown["messages"][0]["delivery"]["lastError"]
            .is_object()
            .then_some(())
    };
    eventually(tried, SOON).await;
    clock.advance(TimeDelta::minutes(10));
    let shown = app.until_state(ADA, &task, "failed").await;
    assert_eq!(shown["task"]["failure"]["code"], "agent_unreachable");
    let failed = async || {
        let shown = app.task(ADA, &task).await;
        let messages = shown["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .all(|message| message["delivery"]["state"] == "failed")
            .then_some(())
    };
    eventually(failed, SOON).await;
    n8n.up().await.unwrap();
    n8n.push(says(200, json!({"text": "back again"})));
    json_of(app.resend(ADA, &task).await, 200).await;
    app.until_state(ADA, &task, "answered").await;
    let got: Vec<_> = n8n
        .log_of(AGENT_PATH)
        .iter()
        .map(|entry| entry.body().unwrap()["message"].clone())
        .collect();
    assert_eq!(got, ["are you there?"]);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn old_tasks_are_removed_and_young_and_waiting_ones_kept(pool: PgPool) {
    let (clock, n8n) = (clock(), n8n());
    n8n.push(silent());
    let settings = [("RETENTION_DAYS", "30"), ("TASK_MAX_WAIT", "60d")];
    let app = at(&pool, &clock, &n8n, &settings).await;
    let old = app.begin(ADA, "old").await;
    let young = app.begin(ADA, "young").await;
    let waiting = app.begin(ADA, "waiting").await;
    // What becomes of a delivery makes its task young again.
    for task in [&old, &waiting] {
        app.until(ADA, task, |task| task["delivery"]["state"] == "delivered")
            .await;
    }
    app.answer(&old, "yes").await;
    app.answer(&young, "yes").await;
    let body = json!({"agentId": "default", "message": "keyed", "idempotencyKey": "k"});
    json_of(app.post("bob", ASSIGN, body.clone()).await, 201).await;
    // More than one statement takes along.
    let many = "INSERT INTO task_chat.communications (id, task_id, seq, response, source, created_at) \
                SELECT gen_random_uuid(), $1, 1000 + n, 'x', 'webhook', now() FROM generate_series(1, 12000) n";
    sqlx::query(many).bind(&old).execute(&pool).await.unwrap();
    let age =
        "UPDATE task_chat.tasks SET updated_at = updated_at - interval '31 days' WHERE task_id = ANY($1)";
    sqlx::query(age)
        .bind([&old, &waiting].map(String::as_str))
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE task_chat.idempotency SET created_at = now() - interval '49 hours'")
        .execute(&pool)
        .await
        .unwrap();
    app.stop().await;
    // A replica tidies up when it starts.
    let app = at(&pool, &clock, &n8n, &settings).await;
    let gone = async || {
        let rows = "SELECT (SELECT count(*) FROM task_chat.tasks WHERE task_id = $1) \
                    + (SELECT count(*) FROM task_chat.communications WHERE task_id = $1) \
                    + (SELECT count(*) FROM task_chat.messages WHERE task_id = $1) \
                    + (SELECT count(*) FROM task_chat.idempotency)";
        let rows: i64 = sqlx::query_scalar(rows)
            .bind(&old)
            .fetch_one(&pool)
            .await
            .unwrap();
        (rows == 0).then_some(())
    };
    eventually(gone, SOON).await;
    assert_eq!(app.task(ADA, &young).await["task"]["state"], "answered");
    assert_eq!(app.task(ADA, &waiting).await["task"]["state"], "waiting");
    failed(app.get(ADA, &format!("/api/tasks/{old}")).await, 404, "not_found").await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_erased_user_leaves_nothing_and_a_late_answer_brings_nothing_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = json!({"agentId": "default", "message": "hello", "idempotencyKey": "mine"});
    let task = json_of(world.app.post(ADA, ASSIGN, body).await, 201).await["taskId"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = world.app.begin("bob", "hello").await;
    let keyed = json!({"taskId": task, "response": "hi", "idempotencyKey": "its"});
    json_of(world.app.as_n8n(HOOK, keyed.clone()).await, 200).await;
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    let ada = UserId::parse(ADA).unwrap();
    assert_eq!(TaskChatSvc::erase(world.app.state(), &ada).await.unwrap(), 1);
    let erased = json!({"success": true, "taskId": task, "erased": true});
    assert_eq!(json_of(world.app.as_n8n(HOOK, keyed).await, 200).await, erased);
    let late = json!({"taskId": task, "response": "late"});
    assert_eq!(json_of(world.app.as_n8n(HOOK, late).await, 200).await, erased);
    failed(
        world.app.get(ADA, &format!("/api/tasks/{task}")).await,
        404,
        "not_found",
    )
    .await;
    let traces = "SELECT (SELECT count(*) FROM task_chat.tasks WHERE user_id = 'ada') \
                  + (SELECT count(*) FROM task_chat.messages WHERE task_id = $1) \
                  + (SELECT count(*) FROM task_chat.communications WHERE task_id = $1) \
                  + (SELECT count(*) FROM task_chat.outbox WHERE key = $1) \
                  + (SELECT count(*) FROM task_chat.idempotency)";
    let traces: i64 = sqlx::query_scalar(traces)
        .bind(&task)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(traces, 0);
    world.app.answer(&other, "hi").await;
    assert_eq!(texts(&world.app.responses("bob", &other, "").await), ["hi"]);
    sqlx::query("UPDATE task_chat.tombstones SET at = at - interval '31 days'")
        .execute(&pool)
        .await
        .unwrap();
    let again = crate::world::replica(&pool, &world.n8n, &[]).await;
    let forgotten = async || {
        let late = again
            .as_n8n(HOOK, json!({"taskId": task, "response": "late"}))
            .await;
        (late.status() == 404).then_some(())
    };
    eventually(forgotten, SOON).await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_answer_in_hand_of_an_erased_user_is_forgotten(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"text": "too late"})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    world.app.begin(ADA, "hello").await;
    let holds = async || (world.n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    TaskChatSvc::erase(world.app.state(), &UserId::parse(ADA).unwrap())
        .await
        .unwrap();
    world.n8n.clear();
    let idle = async || (TaskChatSvc::outbox(world.app.state())?.in_flight() == 0).then_some(());
    eventually(idle, SOON).await;
    let rows =
        "SELECT (SELECT count(*) FROM task_chat.tasks) + (SELECT count(*) FROM task_chat.communications)";
    let rows: i64 = sqlx::query_scalar(rows).fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 0);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn the_figures_show_what_is_live(pool: PgPool) {
    let world = World::new(&pool).await;
    world.app.begin(ADA, "hello").await;
    let figures = async || {
        let asked = world
            .app
            .client()
            .get(world.app.url("/metrics"))
            .send()
            .await
            .unwrap();
        let text = asked.text().await.unwrap();
        text.lines()
            .any(|line| line.starts_with("tasks_waiting "))
            .then_some(())
    };
    eventually(figures, SOON).await;
}
