//! Agents that are away, slow, broken, or say more than they should; and what becomes of the task.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};
use switchhook_standins::Control;
use switchhook_standins::control::{Break, Mode};

use crate::world::{ADA, AGENT_PATH, Ask, SOON, World, failed, replica, says, silent, texts};

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_answer_in_the_response_itself_is_read_wherever_it_stands(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for (said, expected) in [
        (json!({"response": "hi"}), vec!["hi"]),
        (json!({"output": "hi"}), vec!["hi"]),
        (json!({"text": "hi"}), vec!["hi"]),
        (json!({"message": "hi"}), vec!["hi"]),
        (json!([{"text": "a"}, {"reply": "b"}]), vec!["a", "b"]),
        (json!("plain words"), vec!["plain words"]),
        (
            json!(
                "{\"type\":\"begin\",\"metadata\":{}}\n{\"type\":\"item\",\"content\":\"Hel\",\"metadata\":{}}\n\
                   {\"type\":\"item\",\"content\":\"lo\",\"metadata\":{}}\n{\"type\":\"end\",\"metadata\":{}}\n"
            ),
            vec!["Hello"],
        ),
        (json!({"output": "a\u{0}b"}), vec!["ab"]),
    ] {
        world.n8n.push(says(200, said.clone()));
        let task = world.app.begin(ADA, "hello").await;
        let shown = world.app.until_state(ADA, &task, "answered").await;
        assert_eq!(
            texts(&world.app.responses(ADA, &task, "").await),
            expected,
            "{said}"
        );
        assert_eq!(shown["task"]["delivery"]["state"], "delivered", "{said}");
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_2xx_that_says_nothing_leaves_the_task_waiting(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for said in [
        json!({"message": "Workflow was started"}),
        json!(""),
        json!({"accepted": true}),
        json!({"success": true, "taskId": "task_1_a", "responseId": "x"}),
        json!({"message": "hello", "messageId": "m", "callbackUrl": "http://x"}),
    ] {
        world.n8n.push(says(200, said.clone()));
        let task = world.app.begin(ADA, "hello").await;
        let shown = world
            .app
            .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
            .await;
        assert_eq!(
            (&shown["task"]["state"], &shown["task"]["responses"]),
            (&json!("waiting"), &json!(0)),
            "{said}"
        );
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_agent_that_is_away_is_tried_again_until_it_is_back(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let task = world.app.begin(ADA, "hello").await;
    let shown = world
        .app
        .until(ADA, &task, |task| task["delivery"]["lastError"].is_object())
        .await;
    let delivery = &shown["task"]["delivery"];
    assert_eq!(
        (
            &shown["task"]["state"],
            &delivery["state"],
            &delivery["lastError"]["code"]
        ),
        (&json!("waiting"), &json!("pending"), &json!("n8n_unreachable"))
    );
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["nextAttemptAt"].is_string())
        .await;
    failed(world.app.resend(ADA, &task).await, 409, "task_not_failed").await;
    world.n8n.up().await.unwrap();
    let shown = world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    assert_eq!(shown["task"]["delivery"]["lastError"], Value::Null);
    assert_eq!(world.n8n.log_of(AGENT_PATH).len(), 1);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_refusal_or_a_broken_workflow_fails_the_task_and_it_can_be_sent_again(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for (control, code, words) in [
        (
            says(403, json!("Authorization data is wrong!")),
            "n8n_refused",
            "Authorization data is wrong!",
        ),
        (
            says(500, json!({"message": "Error in workflow"})),
            "workflow_failed",
            "Error in workflow",
        ),
        (says(502, json!("<html>")), "n8n_error", "502"),
        (says(200, json!("x".repeat(20_001))), "answer_too_long", "20001"),
        (
            says(
                200,
                json!("{\"type\":\"error\",\"content\":\"forced\",\"metadata\":{}}\n"),
            ),
            "workflow_failed",
            "forced",
        ),
    ] {
        world.n8n.push(control);
        let task = world.app.begin(ADA, "hello").await;
        let shown = world.app.until_state(ADA, &task, "failed").await;
        let failure = &shown["task"]["failure"];
        assert_eq!(failure["code"], code);
        assert!(failure["message"].as_str().unwrap().contains(words), "{failure}");
        assert_eq!(&shown["task"]["delivery"]["lastError"], failure);
        assert_eq!(shown["messages"][0]["delivery"]["state"], "failed");
        world.n8n.push(says(200, json!({"text": "now"})));
        let again = json_of(world.app.resend(ADA, &task).await, 200).await;
        assert_eq!(
            (&again["task"]["state"], &again["task"]["failure"]),
            (&json!("waiting"), &Value::Null)
        );
        let shown = world.app.until_state(ADA, &task, "answered").await;
        assert_eq!(shown["task"]["messages"], 1);
        let refused = failed(world.app.resend(ADA, &task).await, 409, "task_not_failed").await;
        assert_eq!(refused["state"], "answered");
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_agent_that_is_too_slow_fails_the_task_and_its_late_answer_makes_up_for_it(pool: PgPool) {
    let world = World::with(&pool, &[("AGENT_TIMEOUT", "1s")]).await;
    world.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let task = world.app.begin(ADA, "hello").await;
    let shown = world.app.until_state(ADA, &task, "failed").await;
    assert_eq!(shown["task"]["failure"]["code"], "answer_timeout");
    world.app.answer(&task, "sorry for the delay").await;
    let shown = world.app.task(ADA, &task).await;
    assert_eq!(
        (&shown["task"]["state"], &shown["task"]["failure"]),
        (&json!("answered"), &Value::Null)
    );
    // Not sent again by itself: the run was probably still going.
    assert_eq!(world.n8n.log_of(AGENT_PATH).len(), 1);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_agent_that_answers_twice_is_kept_twice(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"text": "in the response"})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let task = world.app.begin(ADA, "hello").await;
    let holds = async || (world.n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    world.app.answer(&task, "by webhook").await;
    assert_eq!(world.app.task(ADA, &task).await["task"]["state"], "answered");
    world.n8n.clear();
    world.app.until(ADA, &task, |task| task["responses"] == 2).await;
    let responses = world.app.responses(ADA, &task, "").await;
    assert_eq!(texts(&responses), ["by webhook", "in the response"]);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_request_that_fails_after_the_webhook_answered_changes_nothing(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        status: Some(500),
        body: Some(json!({"message": "Error in workflow"})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let task = world.app.begin(ADA, "hello").await;
    let holds = async || (world.n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    world.app.answer(&task, "by webhook").await;
    world.n8n.clear();
    let shown = world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "failed")
        .await;
    assert_eq!(
        (&shown["task"]["state"], &shown["task"]["failure"]),
        (&json!("answered"), &Value::Null)
    );
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_broken_connection_repeats_the_message_under_its_key(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for at in [Break::After, Break::Middle] {
        world.n8n.push(Control {
            drop: Some(at),
            ..says(200, json!({"text": "lost"}))
        });
        world.n8n.push(says(200, json!({"text": "kept"})));
        world.n8n.clear_log();
        let task = world.app.begin(ADA, "hello").await;
        world.app.until_state(ADA, &task, "answered").await;
        assert_eq!(texts(&world.app.responses(ADA, &task, "").await), ["kept"]);
        let got = world.n8n.log_of(AGENT_PATH);
        let of = |name: &str| {
            got.iter()
                .map(|entry| entry.header(name).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let keys = of("idempotency-key");
        assert_eq!(keys.len(), 2);
        assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_answer_to_an_earlier_message_does_not_end_the_waiting_for_the_last(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"text": "to the first"})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let task = world.app.begin(ADA, "first").await;
    world.app.write(ADA, &task, "second").await;
    let holds = async || (world.n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    world.app.answer(&task, "also to the first").await;
    assert_eq!(world.app.task(ADA, &task).await["task"]["state"], "waiting");
    world.n8n.clear();
    world.n8n.push(says(200, json!({"text": "to the second"})));
    world
        .app
        .until(ADA, &task, |task| {
            task["responses"] == 3 && task["state"] == "answered"
        })
        .await;
    let responses = world.app.responses(ADA, &task, "").await;
    assert_eq!(
        texts(&responses),
        ["also to the first", "to the first", "to the second"]
    );
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_failed_earlier_message_leaves_the_task_waiting_for_the_last(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        status: Some(403),
        body: Some(json!("no")),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let task = world.app.begin(ADA, "first").await;
    world.app.write(ADA, &task, "second").await;
    let holds = async || (world.n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    world.n8n.clear();
    world.n8n.push(silent());
    let shown = world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    assert_eq!(shown["task"]["state"], "waiting");
    let states: Vec<_> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["delivery"]["state"].clone())
        .collect();
    assert_eq!(states, ["failed", "delivered"]);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_message_whose_replica_dies_is_sent_by_another(pool: PgPool) {
    let World { app, n8n } = World::with(&pool, &[]).await;
    n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    n8n.push(says(200, json!({"text": "at last"})));
    let task = app.begin(ADA, "hello").await;
    let holds = async || (n8n.held() == 1).then_some(());
    eventually(holds, SOON).await;
    app.kill();
    let heir = replica(&pool, &n8n, &[]).await;
    // Dead by the database's clock at once; the heir judges others after five renewals of its own.
    let old = "UPDATE task_chat.replicas SET beat_at = beat_at - interval '1 minute' WHERE id <> $1";
    sqlx::query(old)
        .bind(heir.kit().replica.id())
        .execute(&pool)
        .await
        .unwrap();
    let shown = eventually(
        || async {
            let shown = heir.task(ADA, &task).await;
            (shown["task"]["state"] == "answered").then_some(shown)
        },
        Duration::from_secs(90),
    )
    .await;
    assert_eq!(shown["task"]["responses"], 1);
    assert_eq!(n8n.log_of(AGENT_PATH).len(), 2);
}
