//! The webhook: progress, completion, once and again.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, Ask, World, failed, id};

const UNKNOWN: &str = "0197a9f2-0000-7000-8000-000000000000";

async fn taken(world: &World, body: Value) -> Value {
    json_of(world.app.report(body).await, 200).await["session"].clone()
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_completion_stops_the_session_with_its_count(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    let over = taken(&world, json!({
        "sessionId": session["id"], "status": "finished", "callsMade": 100, "message": "Completed all calls"
    }))
    .await;
    assert_eq!(
        (&over["status"], &over["stopReason"]),
        (&json!("stopped"), &json!("completed"))
    );
    assert_eq!(
        (&over["callsMade"], &over["callsMadeToday"]),
        (&json!(100), &json!(100))
    );
    assert_eq!(over["message"], "Completed all calls");
    assert!(over["stoppedAt"].is_string());
    let row = sqlx::query!(
        r#"SELECT user_id, user_email, status, daily_call_limit, calls_made_today, stopped_at
        FROM session.ai_sessions"#
    );
    let row = row.fetch_one(&pool).await.unwrap();
    assert_eq!(
        (row.status.as_str(), row.daily_call_limit, row.calls_made_today),
        ("stopped", 100, 100)
    );
    assert_eq!(
        (row.user_id.as_str(), row.user_email.as_deref()),
        (ADA, Some("ada@example.com"))
    );
    assert!(row.stopped_at.is_some());
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_failure_stops_the_session_as_failed(pool: PgPool) {
    let world = World::new(&pool).await;
    for word in ["failed", "ERROR"] {
        let session = world.begin(100).await;
        let over = taken(&world, json!({"sessionId": session["id"], "status": word})).await;
        assert_eq!(
            (&over["stopReason"], &over["callsMade"]),
            (&json!("failed"), &json!(0))
        );
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn progress_moves_the_count_up_and_never_down(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    for (reported, shown) in [
        (json!(5), 5),
        (json!("9"), 9),
        (json!(3), 9),
        (json!(null), 9),
        (json!(120), 120),
    ] {
        let body = json!({"sessionId": session["id"], "status": "In_Progress", "callsMade": reported});
        let moved = taken(&world, body).await;
        assert_eq!(
            (&moved["status"], &moved["callsMade"]),
            (&json!("active"), &json!(shown))
        );
        assert_eq!(moved["callsMadeToday"], shown);
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_second_completion_changes_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    let first = taken(
        &world,
        json!({"sessionId": session["id"], "status": "finished", "callsMade": 7}),
    )
    .await;
    for same in [
        json!({"sessionId": session["id"], "status": "COMPLETED", "callsMade": "7", "message": "another"}),
        json!([{"sessionId": session["id"], "status": "finished", "callsMade": 7}]),
        json!({"headers": {}, "params": {}, "query": {}, "body":
            {"sessionId": session["id"], "status": "completed", "callsMade": 7}}),
    ] {
        let again = taken(&world, same).await;
        assert_eq!(
            (&again["stoppedAt"], &again["callsMade"], &again["message"]),
            (&first["stoppedAt"], &first["callsMade"], &Value::Null)
        );
    }
    for other in [
        json!({"sessionId": session["id"], "status": "finished", "callsMade": 8}),
        json!({"sessionId": session["id"], "status": "finished"}),
        json!({"sessionId": session["id"], "status": "failed", "callsMade": 7}),
        json!({"sessionId": session["id"], "status": "running", "callsMade": 7}),
    ] {
        let refused = failed(world.app.report(other).await, 404, "not_found").await;
        assert_eq!(refused["error"], "Session not found");
    }
    assert_eq!(world.app.session(&id(&session)).await["callsMadeToday"], 7);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn two_completions_together_stop_the_session_once(pool: PgPool) {
    let world = World::new(&pool).await;
    for _ in 0..5 {
        let session = world.begin(1000).await;
        let report = |calls: i32| {
            world
                .app
                .report(json!({"sessionId": session["id"], "status": "finished", "callsMade": calls}))
        };
        let before = world.app.session(&id(&session)).await["callsMadeToday"]
            .as_i64()
            .unwrap();
        let (one, two, three) = tokio::join!(report(4), report(6), report(4));
        let mut statuses = [
            one.status().as_u16(),
            two.status().as_u16(),
            three.status().as_u16(),
        ];
        statuses.sort_unstable();
        assert!(
            statuses == [200, 200, 404] || statuses == [200, 404, 404],
            "{statuses:?}"
        );
        let over = world.app.session(&id(&session)).await;
        let calls = over["callsMade"].as_i64().unwrap();
        assert_eq!(calls, if statuses == [200, 200, 404] { 4 } else { 6 });
        assert_eq!(over["callsMadeToday"], before + calls);
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_session_stopped_otherwise_takes_one_completion(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    let stop = world.app.post(ADA, "/api/ai-session/stop", json!({})).await;
    let stopped = json_of(stop, 200).await["session"].clone();
    let late = taken(
        &world,
        json!({"sessionId": session["id"], "status": "running", "callsMade": 3}),
    )
    .await;
    assert_eq!(
        (&late["stopReason"], &late["callsMade"]),
        (&json!("stopped_by_user"), &json!(3))
    );
    let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": 5, "message": "bye"});
    let over = taken(&world, done.clone()).await;
    assert_eq!(
        (&over["stopReason"], &over["stoppedAt"]),
        (&json!("stopped_by_user"), &stopped["stoppedAt"])
    );
    assert_eq!((&over["callsMade"], &over["message"]), (&json!(5), &json!("bye")));
    assert_eq!(taken(&world, done).await["callsMade"], 5);
    let second = json!({"sessionId": session["id"], "status": "failed", "callsMade": 6});
    failed(world.app.report(second).await, 404, "not_found").await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn what_cannot_be_a_report_is_told_why(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    for body in [
        json!({}),
        json!({"status": "finished", "callsMade": 3}),
        json!({"sessionId": null}),
    ] {
        let refused = failed(world.app.report(body).await, 400, "invalid_field").await;
        assert_eq!(refused["error"], "sessionId is required");
    }
    for status in [json!("done"), json!(7), json!(null)] {
        let body = json!({"sessionId": session["id"], "status": status});
        let refused = failed(world.app.report(body).await, 400, "invalid_field").await;
        for word in [
            "finished",
            "completed",
            "failed",
            "error",
            "in_progress",
            "running",
        ] {
            assert!(refused["error"].as_str().unwrap().contains(word), "{refused}");
        }
    }
    for unknown in [json!(UNKNOWN), json!("abc-123-def-456"), json!(7), json!("")] {
        let answer = world
            .app
            .report(json!({"sessionId": unknown, "status": "finished"}))
            .await;
        if unknown == "" {
            failed(answer, 400, "invalid_field").await;
        } else {
            assert_eq!(
                failed(answer, 404, "not_found").await["error"],
                "Session not found"
            );
        }
    }
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn anyone_may_ask_what_the_webhook_expects(pool: PgPool) {
    let world = World::new(&pool).await;
    let asked = world
        .app
        .client()
        .get(world.app.url("/api/ai-session/webhook"))
        .send()
        .await
        .unwrap();
    insta::assert_json_snapshot!(json_of(asked, 200).await);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn with_the_webhook_open_n8n_needs_no_secret_and_readers_still_do(pool: PgPool) {
    let world = World::with(&pool, &[("WEBHOOK_AUTH", "off")]).await;
    let session = world.begin(5).await;
    let post = |path: String, body: Value| {
        let app = &world.app;
        app.client().post(app.url(&path)).json(&body).send()
    };
    let claimed = post(format!("/api/ai-session/{}/calls", id(&session)), json!({}))
        .await
        .unwrap();
    assert_eq!(json_of(claimed, 200).await["allowed"], true);
    let done = json!({"sessionId": session["id"], "status": "finished"});
    json_of(post("/api/ai-session/webhook".into(), done).await.unwrap(), 200).await;
    let path = world.app.url(&format!("/api/ai-session/{}", id(&session)));
    failed(
        world.app.client().get(path).send().await.unwrap(),
        401,
        "unauthorized",
    )
    .await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_completion_calls_off_a_start_that_was_not_sent(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let session = world.begin(10).await;
    world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": 2});
    let over = taken(&world, done).await;
    assert_eq!(
        (&over["stopReason"], &over["delivery"]["state"]),
        (&json!("completed"), &json!("cancelled"))
    );
    world.n8n.up().await.unwrap();
    let next = world.begin(10).await;
    let received = world.received(1).await;
    assert_eq!(received[0].body().unwrap()["sessionId"], next["id"]);
}
