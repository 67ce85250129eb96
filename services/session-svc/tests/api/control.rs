//! Start, stop, send again; who sees what.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::world::{ADA, Ask, World, failed, id, lost_answer};

const START: &str = "/api/ai-session/start";
const STOP: &str = "/api/ai-session/stop";

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_session_starts_at_once_and_n8n_gets_the_promised_body(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    assert_eq!(session["status"], "active");
    assert_eq!(session["userId"], ADA);
    assert_eq!(session["userEmail"], "ada@example.com");
    assert_eq!(session["delivery"]["state"], "pending");
    let received = world.received(1).await;
    let mut body = received[0].body().unwrap();
    let written = body["timestamp"].take();
    assert!(
        written
            .as_str()
            .is_some_and(|at| at.ends_with('Z') && at.len() == 24),
        "{written}"
    );
    let expected = json!({
        "userId": ADA, "userEmail": "ada@example.com", "sessionId": session["id"], "dailyCallLimit": 100,
        "callsMadeToday": 0, "sessionStatus": "active", "startedAt": session["startedAt"], "timestamp": null,
    });
    assert_eq!(body, expected);
    assert!(received[0].header("idempotency-key").is_some());
    assert!(received[0].header("traceparent").is_some());
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_second_start_is_shown_the_active_session(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    let again = world.app.post(ADA, START, json!({"dailyCallLimit": 5})).await;
    let refused = failed(again, 409, "session_already_active").await;
    assert_eq!(refused["session"]["id"], session["id"]);
    world.app.begin("bob", 5).await;
    world.received(2).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn starts_at_the_same_moment_begin_one_session(pool: PgPool) {
    let world = World::new(&pool).await;
    let starts = (0..20).map(|_| world.app.post(ADA, START, json!({"dailyCallLimit": 5})));
    let statuses: Vec<u16> = futures_util::future::join_all(starts)
        .await
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        19,
        "{statuses:?}"
    );
    world.received(1).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_limit_is_that_of_the_installation(pool: PgPool) {
    let world = World::with(&pool, &[("MAX_DAILY_CALL_LIMIT", "50")]).await;
    for limit in [
        json!(0),
        json!(51),
        json!(-1),
        json!("x"),
        json!(1.5),
        json!(true),
        json!(null),
    ] {
        let refused = world.app.post(ADA, START, json!({"dailyCallLimit": limit})).await;
        let body = failed(refused, 400, "invalid_field").await;
        assert!(body["fields"]["dailyCallLimit"].is_string(), "{limit}: {body}");
    }
    let missing = failed(world.app.post(ADA, START, json!({})).await, 400, "invalid_field").await;
    assert_eq!(missing["error"], "dailyCallLimit is required");
    let text = world.app.post(ADA, START, json!({"dailyCallLimit": "50"})).await;
    assert_eq!(json_of(text, 201).await["session"]["dailyCallLimit"], 50);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_day_that_is_used_up_starts_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    let first = world.begin(10).await;
    // A completion that overtakes the start calls it off, and n8n would receive one start only.
    world.app.until_delivery(&id(&first), "delivered").await;
    let done = json!({"sessionId": first["id"], "status": "finished", "callsMade": 10});
    json_of(world.app.report(done).await, 200).await;
    let refused = world.app.post(ADA, START, json!({"dailyCallLimit": 10})).await;
    let body = failed(refused, 409, "daily_limit_reached").await;
    assert_eq!(
        (&body["callsMadeToday"], &body["dailyCallLimit"]),
        (&json!(10), &json!(10))
    );
    let more = world.begin(11).await;
    assert_eq!(
        (&more["callsMade"], &more["callsMadeToday"]),
        (&json!(0), &json!(10))
    );
    let received = world.received(2).await;
    assert_eq!(received[1].body().unwrap()["callsMadeToday"], 10);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_user_stops_his_session(pool: PgPool) {
    let world = World::new(&pool).await;
    failed(
        world.app.post(ADA, STOP, json!({})).await,
        409,
        "no_active_session",
    )
    .await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "delivered").await;
    let stopped = json_of(world.app.post(ADA, STOP, json!({})).await, 200).await["session"].clone();
    assert_eq!(
        (&stopped["status"], &stopped["stopReason"]),
        (&json!("stopped"), &json!("stopped_by_user"))
    );
    assert_eq!(
        (&stopped["id"], &stopped["delivery"]["state"]),
        (&session["id"], &json!("delivered"))
    );
    assert!(stopped["stoppedAt"].is_string());
    failed(
        world.app.post(ADA, STOP, json!({})).await,
        409,
        "no_active_session",
    )
    .await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_stop_calls_off_a_start_that_was_not_sent(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let session = world.begin(10).await;
    let waiting = world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    assert_eq!(waiting["delivery"]["state"], "pending");
    assert_eq!(waiting["delivery"]["lastError"]["code"], "n8n_unreachable");
    assert!(waiting["delivery"]["nextAttemptAt"].is_string(), "{waiting}");
    let stopped = json_of(world.app.post(ADA, STOP, json!({})).await, 200).await["session"].clone();
    assert_eq!(stopped["delivery"]["state"], "cancelled");
    world.n8n.up().await.unwrap();
    // What comes later arrives, what was called off does not.
    let next = world.begin(10).await;
    let received = world.received(1).await;
    assert_eq!(received[0].body().unwrap()["sessionId"], next["id"]);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_status_shows_the_latest_session(pool: PgPool) {
    let world = World::new(&pool).await;
    let status = || async { json_of(world.app.get(ADA, "/api/ai-session/status").await, 200).await };
    let idle = json!({"success": true, "aiStatus": "idle", "callsMadeToday": 0, "session": null});
    assert_eq!(status().await, idle);
    let session = world.begin(10).await;
    let active = status().await;
    assert_eq!(
        (&active["aiStatus"], &active["session"]["id"]),
        (&json!("active"), &session["id"])
    );
    let done = json!({"sessionId": session["id"], "status": "completed", "callsMade": 4, "message": "done"});
    json_of(world.app.report(done).await, 200).await;
    let over = status().await;
    assert_eq!(
        (&over["aiStatus"], &over["callsMadeToday"]),
        (&json!("idle"), &json!(4))
    );
    assert_eq!(over["session"]["message"], "done");
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_status_shows_the_active_session_whatever_the_clocks_of_replicas_say(pool: PgPool) {
    let world = World::new(&pool).await;
    let ended = world.begin(10).await;
    let done = json!({"sessionId": ended["id"], "status": "completed", "callsMade": 4});
    json_of(world.app.report(done).await, 200).await;
    let active = world.begin(10).await;
    let ahead = "UPDATE session.ai_sessions SET started_at = started_at + interval '1 minute' WHERE status = 'stopped'";
    assert_eq!(
        sqlx::query(ahead).execute(&pool).await.unwrap().rows_affected(),
        1
    );
    let shown = json_of(world.app.get(ADA, "/api/ai-session/status").await, 200).await;
    assert_eq!(
        (&shown["aiStatus"], &shown["session"]["id"]),
        (&json!("active"), &active["id"])
    );
    let history = json_of(world.app.get(ADA, "/api/ai-session").await, 200).await;
    assert_eq!(history["items"][0]["id"], ended["id"]);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_start_is_sent_again_only_while_it_is_in_doubt(pool: PgPool) {
    let world = World::answering(&pool, lost_answer()).await;
    let session = world.begin(10).await;
    let path = format!("/api/ai-session/{}/resend", id(&session));
    let doubt = world.app.until_delivery(&id(&session), "unknown").await;
    assert_eq!(doubt["status"], "active");
    assert!(doubt["delivery"]["lastError"]["message"].is_string());
    failed(world.app.post("bob", &path, json!({})).await, 404, "not_found").await;
    let again = json_of(world.app.post(ADA, &path, json!({})).await, 200).await["session"].clone();
    assert_ne!(again["delivery"]["state"], "unknown");
    world.app.until_delivery(&id(&session), "delivered").await;
    let received = world.received(2).await;
    assert_eq!(received[1].body().unwrap()["sessionId"], session["id"]);
    assert_ne!(
        received[0].header("idempotency-key"),
        received[1].header("idempotency-key")
    );
    let refused = failed(
        world.app.post(ADA, &path, json!({})).await,
        409,
        "delivery_not_unknown",
    )
    .await;
    assert_eq!(refused["session"]["delivery"]["state"], "delivered");
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn what_is_over_is_not_sent_again(pool: PgPool) {
    let world = World::answering(&pool, lost_answer()).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "unknown").await;
    json_of(world.app.post(ADA, STOP, json!({})).await, 200).await;
    let path = format!("/api/ai-session/{}/resend", id(&session));
    failed(
        world.app.post(ADA, &path, json!({})).await,
        409,
        "session_stopped",
    )
    .await;
    world.received(1).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_second_start_is_called_off_when_n8n_turns_out_to_have_the_first(pool: PgPool) {
    let world = World::answering(&pool, lost_answer()).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "unknown").await;
    world.n8n.down().await.unwrap();
    let path = format!("/api/ai-session/{}/resend", id(&session));
    json_of(world.app.post(ADA, &path, json!({})).await, 200).await;
    world
        .app
        .until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    world.app.claim(&id(&session), json!({})).await;
    assert_eq!(
        world.app.session(&id(&session)).await["delivery"]["state"],
        "delivered"
    );
    world.n8n.up().await.unwrap();
    json_of(world.app.post(ADA, STOP, json!({})).await, 200).await;
    world.begin(10).await;
    let starts = world.received(2).await;
    assert_ne!(starts[1].body().unwrap()["sessionId"], session["id"]);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn another_user_sees_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(10).await;
    let path = format!("/api/ai-session/{}", id(&session));
    json_of(world.app.get(ADA, &path).await, 200).await;
    let hidden = failed(world.app.get("bob", &path).await, 404, "not_found").await;
    let nowhere = "/api/ai-session/0197a9f2-0000-7000-8000-000000000000";
    assert_eq!(
        hidden,
        failed(world.app.get("bob", nowhere).await, 404, "not_found").await
    );
    let list = json_of(world.app.get("bob", "/api/ai-session").await, 200).await;
    assert_eq!(list, json!({"success": true, "items": [], "next": null}));
    assert_eq!(
        json_of(world.app.get("bob", "/api/ai-session/status").await, 200).await["session"],
        Value::Null
    );
    failed(
        world.app.post("bob", STOP, json!({})).await,
        409,
        "no_active_session",
    )
    .await;
    assert_eq!(world.app.session(&id(&session)).await["status"], "active");
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn every_address_wants_its_own_kind_of_caller(pool: PgPool) {
    let world = World::new(&pool).await;
    let app = &world.app;
    let session = world.begin(10).await;
    let own = format!("/api/ai-session/{}", id(&session));
    let of_users = [
        (Method::POST, START.to_owned()),
        (Method::POST, STOP.to_owned()),
        (Method::GET, "/api/ai-session".into()),
        (Method::GET, "/api/ai-session/status".into()),
        (Method::GET, "/api/ai-session/stats".into()),
        (Method::GET, "/api/ai-session/events".into()),
        (Method::POST, format!("{own}/resend")),
    ];
    for (method, path) in of_users {
        let bare = app
            .client()
            .request(method.clone(), app.url(&path))
            .send()
            .await
            .unwrap();
        failed(bare, 401, "unauthorized").await;
        let machine = app
            .client()
            .request(method, app.url(&path))
            .header("x-n8n-webhook-secret", app.secret());
        failed(machine.send().await.unwrap(), 403, "forbidden").await;
    }
    for path in ["/api/ai-session/webhook".to_owned(), format!("{own}/calls")] {
        failed(
            app.client().post(app.url(&path)).send().await.unwrap(),
            401,
            "unauthorized",
        )
        .await;
        failed(app.post(ADA, &path, json!({})).await, 403, "forbidden").await;
        let wrong = app
            .client()
            .post(app.url(&path))
            .header("x-n8n-webhook-secret", "wrong")
            .send();
        failed(wrong.await.unwrap(), 401, "unauthorized").await;
        let bearer = app
            .client()
            .post(app.url(&path))
            .bearer_auth(app.secret())
            .json(&json!({}))
            .send();
        assert!(matches!(bearer.await.unwrap().status().as_u16(), 200 | 400));
    }
    failed(
        app.client().get(app.url(&own)).send().await.unwrap(),
        401,
        "unauthorized",
    )
    .await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_whole_way_works_with_a_workflow_that_claims_and_calls_back(pool: PgPool) {
    let world = World::with(&pool, &[]).await;
    world.n8n.push(Control {
        mode: Some(Mode::Callback),
        ..Control::default()
    });
    let session = world.begin(3).await;
    let over = world.app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(
        (&over["stopReason"], &over["callsMade"]),
        (&json!("completed"), &json!(3))
    );
    assert_eq!(over["message"], "Completed all calls");
}
