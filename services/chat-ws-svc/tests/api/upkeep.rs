//! Erasure, retention, figures, health, and what replicas tell each other.

use std::sync::Arc;

use chat_ws_svc::app::ChatWsSvc;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::app::Program;
use switchhook_chassis::clock::{Clock, ManualClock, SystemClock};
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_core::ids::UserId;

use crate::world::{Ask, SAM, SEND, World, failed, gone, held, operator_of, stored, to};
use crate::ws_client::{Door, SOON, Visitor};

async fn rows(pool: &PgPool, table: &'static str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM chat.{table}"));
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_erased_chat_is_gone_with_all_that_belongs_to_it(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.push(held(json!({"text": "too late"})));
    let mut visitor = Visitor::new(&world.app).await;
    let (session, token) = (visitor.session.clone(), visitor.token.clone());
    visitor.say("hello", "c1").await;
    let mut keyed = to(&session, "hi");
    keyed["idempotencyKey"] = json!("k1");
    stored(world.app.as_n8n(SEND, keyed).await).await;
    let path = format!("/api/sessions/{session}");
    failed(
        world.app.as_machine(Method::DELETE, &path, None).await,
        403,
        "forbidden",
    )
    .await;
    let erased = json_of(world.app.as_operator(SAM, Method::DELETE, &path, None).await, 200).await;
    assert_eq!(
        erased,
        json!({"success": true, "erased": true, "sessionId": session})
    );
    assert_eq!(visitor.closed().await, 4404);
    world.n8n.clear();
    for table in ["sessions", "entries", "outbox", "idempotency"] {
        assert_eq!(rows(&pool, table).await, 0, "{table}");
    }
    failed(
        world.app.as_operator(SAM, Method::DELETE, &path, None).await,
        404,
        "session_not_found",
    )
    .await;
    failed(
        world.app.as_machine(Method::GET, &path, None).await,
        404,
        "session_not_found",
    )
    .await;
    // What comes late brings nothing back.
    let late = json_of(world.app.as_n8n(SEND, to(&session, "late")).await, 200).await;
    assert_eq!(
        late,
        json!({"success": true, "erased": true, "sessionId": session})
    );
    let back = Door::new().resume(&token).enter(&world.app).await;
    assert!(back.session != session && back.greeting["resumed"] == false);
    assert_eq!(rows(&pool, "entries").await, 0);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_that_is_being_stored_goes_with_the_erased_chat(pool: PgPool) {
    let world = World::new(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let mut tx = pool.begin().await.unwrap();
    // As another replica stores one: under the chat's lock, and not committed yet.
    sqlx::query(
        "WITH new AS MATERIALIZED (SELECT gen_random_uuid() AS id), raised AS (
            UPDATE chat.sessions SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq
        ), said AS (
            INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, created_at)
            SELECT $1, last_seq, new.id, 'message', 'all', 'user', 'hello', now() FROM raised, new
        )
        INSERT INTO chat.outbox (id, topic, key, target, headers, body, guarantee, state, next_attempt_at, deadline)
        SELECT id, 'chat.message', $1, 'default', '{}', 'x', 'at_least_once', 'owed', now() + interval '1 hour',
            now() + interval '2 hours' FROM new",
    )
    .bind(&visitor.session)
    .execute(&mut *tx)
    .await
    .unwrap();
    let path = format!("/api/sessions/{}", visitor.session);
    let stored = async {
        let waits = async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
            (waiting > 0).then_some(())
        };
        eventually(waits, SOON).await;
        tx.commit().await.unwrap();
    };
    let (erased, ()) = tokio::join!(world.app.as_operator(SAM, Method::DELETE, &path, None), stored);
    json_of(erased, 200).await;
    for table in ["sessions", "entries", "outbox"] {
        assert_eq!(rows(&pool, table).await, 0, "{table}");
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_erased_operator_leaves_no_name_and_no_chat_behind(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let (sam, ann) = (
        operator_of(&world.app, SAM, json!("*")),
        operator_of(&world.app, "ann", json!("*")),
    );
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    for bearer in [&sam, &ann] {
        let mut body = to(&visitor.session, "hello");
        body["idempotencyKey"] = json!("k");
        stored(world.app.bearing(bearer, Method::POST, SEND, Some(body)).await).await;
    }
    let rows_erased = ChatWsSvc::erase(world.app.state(), &UserId::parse(SAM).unwrap())
        .await
        .unwrap();
    assert_eq!(rows_erased, 3);
    let chat = world.app.chat(&visitor.session).await;
    assert_eq!(
        (&chat["waiting"], &chat["operatorId"]),
        (&json!(true), &json!(null))
    );
    let said = world.app.transcript(&visitor.session).await;
    assert_eq!((said[0].get("name"), &said[1]["name"]), (None, &json!("ANN")));
    assert_eq!(rows(&pool, "idempotency").await, 1);
    // A visitor has no other name than his chat's.
    let visitor_id = UserId::parse(visitor.session.as_str()).unwrap();
    assert!(ChatWsSvc::erase(world.app.state(), &visitor_id).await.unwrap() > 0);
    assert_eq!(rows(&pool, "sessions").await, 0);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn old_chats_are_removed_and_those_that_are_used_stay(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut chats = Vec::new();
    for name in ["old", "used", "open"] {
        chats.push((gone(&world.app).await.0, name));
    }
    // All at once: a replica that tries its first round again must not find a chat old that is about to be used or open.
    let mut tx = pool.begin().await.unwrap();
    for (id, name) in chats {
        // Their ids say when they began.
        sqlx::query(
            "UPDATE chat.sessions SET id = $2, updated_at = now() - interval '200 days' WHERE id = $1",
        )
        .bind(id)
        .bind(format!("cw-1000000000000-{name}"))
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    for sql in [
        "UPDATE chat.sessions SET updated_at = now() WHERE id LIKE '%used'",
        // Another replica holds it, and lives.
        "WITH other AS (
            INSERT INTO chat.replicas (id, token, beat_at) VALUES (gen_random_uuid(), 't', now() + interval '1 hour') RETURNING id
        ) INSERT INTO chat.registrations (session_id, replica) SELECT 'cw-1000000000000-open', id FROM other",
        "UPDATE chat.changes SET at = now() - interval '2 hours'",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let look = || async {
        let old = "SELECT count(*) FROM chat.changes WHERE at < now() - interval '1 hour'";
        let old: i64 = sqlx::query_scalar(old).fetch_one(&pool).await.unwrap();
        (rows(&pool, "sessions").await == 2 && old == 0).then_some(())
    };
    // A further replica begins with a round.
    let next = crate::ws_client::replica(&pool, &world.n8n, &[]).await;
    eventually(look, SOON).await;
    drop(next);
    let left: Vec<String> = sqlx::query_scalar("SELECT id FROM chat.sessions ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(left, ["cw-1000000000000-open", "cw-1000000000000-used"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_that_waits_for_too_long_is_given_up_and_told(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.down().await.unwrap();
    visitor.say("hello", "c1").await;
    sqlx::query("UPDATE chat.outbox SET deadline = now() - interval '1 second', next_attempt_at = now()")
        .execute(&pool)
        .await
        .unwrap();
    let error = visitor.frame_of("error").await;
    assert_eq!(
        (&error["code"], &error["clientId"]),
        (&json!("bot_unavailable"), &json!("c1"))
    );
    world
        .app
        .until(&visitor.session, |chat| chat["flagged"] == true)
        .await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn health_tells_what_uptime_checks_ask(pool: PgPool) {
    let world = World::with(&pool, &[("SERVICE_TITLE", "Acme Chat")]).await;
    let _visitor = Visitor::new(&world.app).await;
    let health = world
        .app
        .client()
        .get(world.app.url("/health"))
        .send()
        .await
        .unwrap();
    let health = json_of(health, 200).await;
    assert_eq!(
        (&health["status"], &health["service"], &health["activeSessions"]),
        (&json!("ok"), &json!("Acme Chat"), &json!(1))
    );
    assert!(
        health["uptime"].as_f64().is_some_and(|uptime| uptime >= 0.0),
        "{health}"
    );
    assert!(
        health["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{health}"
    );
    let usual = World::new(&pool).await;
    let health = usual
        .app
        .client()
        .get(usual.app.url("/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        json_of(health, 200).await["service"],
        "Switchhook ChatBot WebSocket Server"
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn figures_tell_who_is_there(pool: PgPool) {
    let world = World::silent(&pool).await;
    let _visitor = Visitor::new(&world.app).await;
    let look = || async {
        let figures = world
            .app
            .client()
            .get(world.app.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let names = [
            "chat_connections ",
            "chat_sessions ",
            "chat_operators ",
            "chat_sessions_waiting ",
            "chat_sessions_flagged ",
        ];
        names
            .iter()
            .all(|name| figures.lines().any(|line| line.starts_with(name)))
            .then_some(())
    };
    eventually(look, SOON).await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_replicas_tell_each_other_is_theirs_alone(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let hint = json!({"hint": "entry", "sessionId": visitor.session, "seq": 0});
    let token: String = sqlx::query_scalar("SELECT token FROM chat.replicas")
        .fetch_one(&pool)
        .await
        .unwrap();
    let told = |bearer: String| {
        let request = world
            .app
            .client()
            .post(world.app.url("/internal/hints"))
            .bearer_auth(bearer)
            .json(&hint);
        async move { request.send().await.unwrap() }
    };
    for bearer in [
        world.app.secret().to_owned(),
        world.app.operator(SAM),
        String::new(),
        format!("{token}x"),
    ] {
        failed(told(bearer).await, 401, "unauthorized").await;
    }
    json_of(told(token.clone()).await, 200).await;
    let request = world
        .app
        .client()
        .post(world.app.url("/internal/hints"))
        .bearer_auth(token);
    failed(
        request.json(&json!({"hint": "nonsense"})).send().await.unwrap(),
        400,
        "invalid_json",
    )
    .await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_tombstone_goes_after_a_month(pool: PgPool) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let n8n = crate::world::n8n();
    let (url, ws) = (n8n.webhook_url("chat"), ("WS_BIND_ADDR", "127.0.0.1:0"));
    let settings = [("N8N_WEBHOOK_URL", url.as_str()), ws];
    let app = TestApp::<ChatWsSvc>::start_at(&pool, &settings, clock.clone()).await;
    let (session, _) = gone(&app).await;
    let path = format!("/api/sessions/{session}");
    json_of(app.as_operator(SAM, Method::DELETE, &path, None).await, 200).await;
    assert_eq!(rows(&pool, "tombstones").await, 1);
    drop(app);
    clock.advance(TimeDelta::days(31));
    let _next = TestApp::<ChatWsSvc>::start_at(&pool, &settings, clock).await;
    eventually(
        || async { (rows(&pool, "tombstones").await == 0).then_some(()) },
        SOON,
    )
    .await;
}
