//! What time and operators end: expiry, retention, erasure.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use session_svc::app::SessionSvc;
use sqlx::PgPool;
use switchhook_chassis::app::Program;
use switchhook_chassis::clock::ManualClock;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_core::ids::UserId;
use switchhook_standins::control::Mode;
use switchhook_standins::{Control, N8n, Options};

use crate::world::{ADA, Ask, SOON, World, failed, id};

async fn at(pool: &PgPool, clock: &ManualClock, settings: &[(&str, &str)]) -> (TestApp<SessionSvc>, N8n) {
    let n8n = N8n::start(Options::default()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Silent),
        times: 0,
        ..Control::default()
    });
    let url = n8n.webhook_url("ai-session");
    let mut all = vec![("N8N_WEBHOOK_URL", url.as_str())];
    all.extend(settings);
    (TestApp::start_at(pool, &all, Arc::new(clock.clone())).await, n8n)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test begins at the present: tokens are judged by it"
)]
fn clock() -> ManualClock {
    ManualClock::at(Utc::now())
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_session_that_nobody_completes_expires(pool: PgPool) {
    let clock = clock();
    let (app, _n8n) = at(&pool, &clock, &[("SESSION_MAX_DURATION", "2h")]).await;
    let session = app.begin(ADA, 10).await;
    app.until_delivery(&id(&session), "delivered").await;
    clock.advance(TimeDelta::minutes(119));
    let other = app.begin("bob", 10).await;
    clock.advance(TimeDelta::minutes(1));
    let over = app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(over["stopReason"], "expired");
    assert_eq!(app.session(&id(&other)).await["status"], "active");
    let late = json!({"sessionId": session["id"], "status": "finished", "callsMade": 3});
    let late = json_of(app.report(late).await, 200).await;
    assert_eq!(
        (&late["session"]["stopReason"], &late["session"]["callsMade"]),
        (&json!("expired"), &json!(3))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_start_that_was_not_sent_is_called_off_when_its_session_expires(pool: PgPool) {
    let clock = clock();
    let (app, n8n) = at(&pool, &clock, &[("SESSION_MAX_DURATION", "10m")]).await;
    n8n.down().await.unwrap();
    let session = app.begin(ADA, 10).await;
    app.until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    clock.advance(TimeDelta::minutes(10));
    let over = app.until(&id(&session), |s| s["status"] == "stopped").await;
    assert_eq!(
        (&over["stopReason"], &over["delivery"]["state"]),
        (&json!("expired"), &json!("cancelled"))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_day_ends_at_midnight_of_its_zone(pool: PgPool) {
    let zone = [("DAY_TIMEZONE", "Europe/Berlin")];
    // 23:30 of a winter evening in Berlin.
    let clock = ManualClock::at("2026-01-14T22:30:00Z".parse().unwrap());
    let (app, _n8n) = at(&pool, &clock, &zone).await;
    let session = app.begin(ADA, 2).await;
    let id = id(&session);
    assert_eq!(app.claim(&id, json!({})).await["remaining"], 1);
    assert_eq!(app.claim(&id, json!({})).await["remaining"], 0);
    assert_eq!(app.claim(&id, json!({})).await["allowed"], false);
    clock.advance(TimeDelta::minutes(30));
    let next_day = app.claim(&id, json!({})).await;
    assert_eq!(next_day, json!({"allowed": true, "callsMade": 3, "remaining": 1}));
    let stats = json_of(app.get(ADA, "/api/ai-session/stats?days=2").await, 200).await;
    let expected = json!([{"day": "2026-01-15", "calls": 1}, {"day": "2026-01-14", "calls": 2}]);
    assert_eq!(stats["items"], expected);
    let shown = app.session(&id).await;
    assert_eq!(
        (&shown["callsMade"], &shown["callsMadeToday"]),
        (&json!(3), &json!(1))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn old_sessions_are_removed_and_young_ones_kept(pool: PgPool) {
    let clock = clock();
    // It keeps everything: its first round may come late.
    let (app, _n8n) = at(&pool, &clock, &[("RETENTION_DAYS", "0")]).await;
    let finish = async |user: &str| {
        let session = app.begin(user, 10).await;
        let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": 1});
        json_of(app.report(done).await, 200).await;
        id(&session)
    };
    let old = finish(ADA).await;
    let young = finish("bob").await;
    let ages = "UPDATE session.ai_sessions SET started_at = started_at - interval '31 days', \
                stopped_at = stopped_at - interval '31 days' WHERE user_id = 'ada'";
    sqlx::query(ages).execute(&pool).await.unwrap();
    // More than one statement takes along.
    let claims = "INSERT INTO session.claims SELECT s.id, 'call-' || n, 1, 1 \
                  FROM session.ai_sessions s, generate_series(1, 12000) n WHERE s.user_id = 'ada'";
    sqlx::query(claims).execute(&pool).await.unwrap();
    sqlx::query("UPDATE session.day_counts SET day = day - 31 WHERE user_id = 'ada'")
        .execute(&pool)
        .await
        .unwrap();
    app.stop().await;
    // A replica tidies up when it starts.
    let (app, _n8n) = at(&pool, &clock, &[("RETENTION_DAYS", "30")]).await;
    let kept = async |user: &str| {
        let rows = sqlx::query_scalar::<_, i64>(
            "SELECT (SELECT count(*) FROM session.ai_sessions WHERE user_id = $1) \
             + (SELECT count(*) FROM session.day_counts WHERE user_id = $1) \
             + (SELECT count(*) FROM session.users WHERE id = $1)",
        );
        rows.bind(user).fetch_one(&pool).await.unwrap()
    };
    eventually(|| async { (kept(ADA).await == 0).then_some(()) }, SOON).await;
    assert_eq!(kept("bob").await, 3);
    assert_eq!(app.session(&young).await["status"], "stopped");
    let gone = app.report(json!({"sessionId": old, "status": "finished"})).await;
    failed(gone, 404, "not_found").await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn an_erased_user_leaves_nothing_and_a_late_event_brings_nothing_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(10).await;
    let other = world.app.begin("bob", 10).await;
    world.app.claim(&id(&session), json!({"callId": "lead-1"})).await;
    world.app.until_delivery(&id(&session), "delivered").await;
    let ada = UserId::parse(ADA).unwrap();
    assert_eq!(SessionSvc::erase(world.app.state(), &ada).await.unwrap(), 1);
    let erased = json!({"success": true, "erased": true});
    let late = json!({"sessionId": session["id"], "status": "finished", "callsMade": 9});
    assert_eq!(json_of(world.app.report(late).await, 200).await, erased);
    assert_eq!(
        world.app.claim(&id(&session), json!({"callId": "lead-2"})).await,
        json!({"success": true, "erased": true, "allowed": false, "callsMade": 0, "remaining": 0, "reason": "stopped"})
    );
    let path = format!("/api/ai-session/{}", id(&session));
    failed(world.app.get(ADA, &path).await, 404, "not_found").await;
    let status = json_of(world.app.get(ADA, "/api/ai-session/status").await, 200).await;
    assert_eq!(
        (&status["session"], &status["callsMadeToday"]),
        (&Value::Null, &json!(0))
    );
    let traces = sqlx::query_scalar::<_, i64>(
        "SELECT (SELECT count(*) FROM session.ai_sessions WHERE user_id = 'ada') \
         + (SELECT count(*) FROM session.day_counts WHERE user_id = 'ada') \
         + (SELECT count(*) FROM session.users WHERE id = 'ada') \
         + (SELECT count(*) FROM session.claims) \
         + (SELECT count(*) FROM session.outbox WHERE key = $1)",
    );
    assert_eq!(traces.bind(id(&session)).fetch_one(&pool).await.unwrap(), 0);
    assert_eq!(world.app.session(&id(&other)).await["status"], "active");
    sqlx::query("UPDATE session.tombstones SET at = at - interval '31 days'")
        .execute(&pool)
        .await
        .unwrap();
    let again = crate::world::replica(&pool, &world.n8n, &[]).await;
    let forgotten = async || {
        let late = again
            .report(json!({"sessionId": session["id"], "status": "finished"}))
            .await;
        (late.status() == 404).then_some(())
    };
    eventually(forgotten, SOON).await;
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_waiting_answer_of_an_erased_user_is_forgotten(pool: PgPool) {
    let held = Control {
        mode: Some(Mode::Hold),
        body: Some(json!({"status": "finished", "callsMade": 5})),
        ..Control::default()
    };
    let world = World::answering(&pool, held).await;
    let session = world.begin(10).await;
    world.app.until_delivery(&id(&session), "waiting").await;
    SessionSvc::erase(world.app.state(), &UserId::parse(ADA).unwrap())
        .await
        .unwrap();
    world.n8n.clear();
    let idle = async || (SessionSvc::outbox(world.app.state())?.in_flight() == 0).then_some(());
    eventually(idle, SOON).await;
    let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM session.ai_sessions")
        .fetch_one(&pool)
        .await;
    assert_eq!(rows.unwrap(), 0);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_figures_show_what_is_live(pool: PgPool) {
    let world = World::new(&pool).await;
    world.begin(10).await;
    world.received(1).await;
    let figures = async || {
        let asked = world
            .app
            .client()
            .get(world.app.url("/metrics"))
            .send()
            .await
            .unwrap();
        let text = asked.text().await.unwrap();
        let has = |name: &str| text.lines().any(|line| line.starts_with(name));
        (has("sessions_active ") && has("session_starts_waiting ")).then_some(())
    };
    eventually(figures, Duration::from_secs(30)).await;
}
