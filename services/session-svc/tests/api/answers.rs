//! What n8n may answer to the waiting request, and what becomes of the session.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::Control;
use switchhook_standins::control::{Break, Mode};

use crate::world::{ADA, Ask, World, id, lost_answer, replica};

fn answer(status: u16, body: Value) -> Control {
    Control {
        status: Some(status),
        body: Some(body),
        ..Control::default()
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_2xx_that_says_nothing_of_the_end_delivers(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for said in [
        json!({"message": "Workflow was started"}),
        json!(""),
        json!("{\"accepted\":true}"),
        json!("plain text"),
        json!({"sessionId": "w70", "limit": 1, "callsMade": 0, "waitSeconds": 70}),
        json!([{"status": "finished"}, {"status": "finished"}]),
        json!({"status": "finished", "sessionId": "0197a9f2-0000-7000-8000-000000000000"}),
        json!({"status": "finished", "callsMade": -3}),
    ] {
        world.n8n.push(answer(200, said.clone()));
        let session = world.begin(10).await;
        let shown = world.app.until_delivery(&id(&session), "delivered").await;
        assert_eq!(
            (&shown["status"], &shown["callsMade"]),
            (&json!("active"), &json!(0)),
            "{said}"
        );
        assert_eq!(shown["delivery"]["detail"], Value::Null);
        json_of(world.app.post(ADA, "/api/ai-session/stop", json!({})).await, 200).await;
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_2xx_with_a_status_is_read_as_a_completion_webhook(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for (said, reason, calls) in [
        (json!({"status": "finished", "callsMade": 3}), "completed", 3),
        (
            json!([{"status": "Completed", "callsMade": "4", "message": "done"}]),
            "completed",
            4,
        ),
        (json!("{\"status\":\"finished\"}"), "completed", 0),
        (
            json!({"headers": {}, "params": {}, "query": {}, "body": {"status": "error", "callsMade": 2}}),
            "failed",
            2,
        ),
    ] {
        world.n8n.push(answer(200, said.clone()));
        let session = world.begin(1000).await;
        let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
        assert_eq!(
            (&over["stopReason"], &over["callsMade"]),
            (&json!(reason), &json!(calls)),
            "{said}"
        );
        assert_eq!(over["delivery"]["state"], "delivered");
    }
    world
        .n8n
        .push(answer(200, json!({"status": "running", "callsMade": 6})));
    let session = world.begin(1000).await;
    let going = world.app.until(&id(&session), |s| s["callsMade"] == 6).await;
    assert_eq!(
        (&going["status"], &going["delivery"]["state"]),
        (&json!("active"), &json!("delivered"))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_held_request_is_shown_as_waiting_until_it_is_answered(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"status": "finished", "callsMade": 5})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let session = world.begin(10).await;
    let waiting = world.app.until_delivery(&id(&session), "waiting").await;
    assert_eq!(
        (&waiting["status"], &waiting["delivery"]["attempts"]),
        (&json!("active"), &json!(1))
    );
    world.received(1).await;
    world.n8n.clear();
    let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(
        (&over["callsMade"], &over["delivery"]["state"]),
        (&json!(5), &json!("delivered"))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_waiting_answer_and_the_webhook_at_once_stop_the_session_once(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for _ in 0..5 {
        world.n8n.push(Control {
            mode: Some(Mode::Hold),
            body: Some(json!({"status": "finished", "callsMade": 5})),
            ..Control::default()
        });
        let session = world.begin(1000).await;
        let before = world.app.until_delivery(&id(&session), "waiting").await;
        let report = json!({"sessionId": session["id"], "status": "completed", "callsMade": 5});
        let release = async { world.n8n.clear() };
        let (reported, ()) = tokio::join!(world.app.report(report), release);
        assert_eq!(reported.status(), 200);
        let over = world.app.until_delivery(&id(&session), "delivered").await;
        assert_eq!(
            (&over["stopReason"], &over["callsMade"]),
            (&json!("completed"), &json!(5))
        );
        assert_eq!(
            over["callsMadeToday"],
            before["callsMadeToday"].as_i64().unwrap() + 5
        );
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_webhook_that_comes_first_leaves_the_answer_nothing_to_do(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"status": "failed", "callsMade": 9})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "waiting").await;
    let report = json!({"sessionId": session["id"], "status": "finished", "callsMade": 5});
    json_of(world.app.report(report).await, 200).await;
    world.n8n.clear();
    let over = world.app.until_delivery(&id(&session), "delivered").await;
    assert_eq!(
        (&over["stopReason"], &over["callsMade"]),
        (&json!("completed"), &json!(5))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_broken_workflow_fails_the_session_in_its_own_words(pool: PgPool) {
    let world = World::answering(&pool, answer(500, json!({"message": "Error in workflow"}))).await;
    let session = world.begin(10).await;
    let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(
        (&over["stopReason"], &over["delivery"]["state"]),
        (&json!("failed"), &json!("failed"))
    );
    assert_eq!(over["delivery"]["lastError"]["code"], "workflow_failed");
    assert!(
        over["message"].as_str().unwrap().contains("Error in workflow"),
        "{over}"
    );
    world.received(1).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_refusal_fails_the_session_and_says_why(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    let moved = Control {
        headers: vec![("Location".into(), "https://elsewhere.example/hook".into())],
        ..answer(301, json!(""))
    };
    let wrong_method = json!({"code": 404,
        "message": "This webhook is not registered for POST requests. Did you mean to make a GET request?"});
    for (control, code, words) in [
        (
            answer(403, json!("Authorization data is wrong!")),
            "n8n_refused",
            "Authorization data is wrong!",
        ),
        (answer(410, json!("")), "n8n_refused", "410"),
        (answer(404, wrong_method), "n8n_refused", "Did you mean"),
        (moved, "redirected", "https://elsewhere.example/hook"),
    ] {
        world.n8n.push(control);
        let session = world.begin(10).await;
        let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
        assert_eq!(
            (&over["stopReason"], &over["delivery"]["state"]),
            (&json!("failed"), &json!("failed"))
        );
        assert_eq!(over["delivery"]["lastError"]["code"], code);
        assert!(
            over["delivery"]["lastError"]["message"]
                .as_str()
                .unwrap()
                .contains(words),
            "{over}"
        );
    }
    world.received(4).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_workflow_that_is_not_published_yet_is_waited_for(pool: PgPool) {
    let unpublished = json!({"code": 404,
        "message": "The requested webhook \"POST ai-session\" is not registered.",
        "hint": "The workflow must be active for a production URL to run successfully."});
    let world = World::answering(
        &pool,
        Control {
            times: 1,
            ..answer(404, unpublished)
        },
    )
    .await;
    let session = world.begin(10).await;
    let pending = world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    assert_eq!(pending["delivery"]["lastError"]["code"], "workflow_not_published");
    assert_eq!(
        (&pending["status"], &pending["delivery"]["state"]),
        (&json!("active"), &json!("pending"))
    );
    let shown = world.app.until_delivery(&id(&session), "delivered").await;
    assert_eq!(
        (&shown["status"], &shown["delivery"]["attempts"]),
        (&json!("active"), &json!(2))
    );
    let received = world.received(2).await;
    assert_eq!(
        received[0].header("idempotency-key"),
        received[1].header("idempotency-key")
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn n8n_may_be_away_when_a_session_starts(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let session = world.begin(10).await;
    let pending = world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    assert_eq!(pending["delivery"]["lastError"]["code"], "n8n_unreachable");
    assert!(pending["delivery"]["nextAttemptAt"].is_string());
    world.n8n.up().await.unwrap();
    world.app.until_delivery(&id(&session), "delivered").await;
    world.received(1).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_start_that_is_not_delivered_within_an_hour_fails(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let session = world.begin(10).await;
    world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    let left = sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM deadline - created_at)::bigint AS "seconds!" FROM session.outbox"#
    );
    assert_eq!(left.fetch_one(&pool).await.unwrap(), 3600);
    sqlx::query!("UPDATE session.outbox SET deadline = now()")
        .execute(&pool)
        .await
        .unwrap();
    let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(
        (&over["stopReason"], &over["delivery"]["state"]),
        (&json!("failed"), &json!("failed"))
    );
    assert_eq!(over["delivery"]["lastError"]["code"], "n8n_unreachable");
    world.n8n.up().await.unwrap();
    assert!(world.n8n.log_of(crate::world::WEBHOOK).is_empty());
    // A workflow that runs all the same may still report.
    let late = json!({"sessionId": session["id"], "status": "finished", "callsMade": 2});
    let late = json_of(world.app.report(late).await, 200).await;
    assert_eq!(
        (&late["session"]["stopReason"], &late["session"]["callsMade"]),
        (&json!("failed"), &json!(2))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn an_answer_lost_early_leaves_the_delivery_in_doubt(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    for control in [
        lost_answer(),
        answer(504, json!("")),
        answer(524, json!("")),
        answer(502, json!("<html>")),
    ] {
        world.n8n.push(control);
        let session = world.begin(10).await;
        let shown = world.app.until_delivery(&id(&session), "unknown").await;
        assert_eq!(shown["status"], "active");
        let done = json!({"sessionId": session["id"], "status": "finished"});
        let over = json_of(world.app.report(done).await, 200).await["session"].clone();
        assert_eq!(
            (&over["stopReason"], &over["delivery"]["state"]),
            (&json!("completed"), &json!("delivered"))
        );
    }
    world.received(4).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn an_answer_that_breaks_in_its_body_is_a_delivery(pool: PgPool) {
    let broken = Control {
        drop: Some(Break::Middle),
        ..lost_answer()
    };
    let world = World::answering(&pool, broken).await;
    let session = world.begin(10).await;
    let shown = world.app.until_delivery(&id(&session), "delivered").await;
    assert_eq!(
        (&shown["status"], &shown["delivery"]["detail"]),
        (&json!("active"), &Value::Null)
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn an_answer_lost_after_half_a_minute_is_a_delivery(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "waiting").await;
    world.received(1).await;
    let World { app, n8n } = world;
    app.kill();
    // The process died a minute after the request was written, and was last seen shortly before.
    for aged in [
        "UPDATE session.outbox SET sent_at = sent_at - interval '72 seconds' WHERE state = 'sending'",
        "UPDATE session.replicas SET beat_at = beat_at - interval '12 seconds'",
    ] {
        assert_eq!(sqlx::query(aged).execute(&pool).await.unwrap().rows_affected(), 1);
    }
    let survivor = replica(&pool, &n8n, &[]).await;
    let shown = survivor.until_delivery(&id(&session), "delivered").await;
    assert_eq!(
        (&shown["status"], &shown["delivery"]["detail"]),
        (&json!("active"), &json!("answer_lost"))
    );
    survivor.claim(&id(&session), json!({})).await;
    assert_eq!(
        survivor.session(&id(&session)).await["delivery"]["detail"],
        Value::Null
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_connection_that_breaks_before_it_is_read_is_in_doubt_too(pool: PgPool) {
    let world = World::answering(
        &pool,
        Control {
            drop: Some(Break::Before),
            ..Control::default()
        },
    )
    .await;
    let session = world.begin(10).await;
    let shown = world.app.until_delivery(&id(&session), "unknown").await;
    assert_eq!(shown["status"], "active");
    assert!(world.n8n.log_of(crate::world::WEBHOOK).len() <= 1);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_stopped_session_still_learns_what_the_waiting_answer_says(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"status": "finished", "callsMade": 5, "message": "too late"})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "waiting").await;
    let stopped = json_of(world.app.post(ADA, "/api/ai-session/stop", json!({})).await, 200).await;
    assert_eq!(stopped["session"]["delivery"]["state"], "waiting");
    world.n8n.clear();
    let over = world
        .app
        .until(&id(&session), |s| s["message"] == "too late")
        .await;
    assert_eq!(
        (&over["stopReason"], &over["callsMade"]),
        (&json!("stopped_by_user"), &json!(5))
    );
    assert_eq!(over["stoppedAt"], stopped["session"]["stoppedAt"]);
}
