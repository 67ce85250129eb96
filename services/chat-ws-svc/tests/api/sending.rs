//! Machines and operators write to visitors.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, SAM, SEND, World, failed, gone, operator_of, stored, texts, to};
use crate::ws_client::{Door, Visitor, replica};

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_reaches_a_visitor_and_the_answer_has_the_documented_keys(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let body = json!({"sessionId": visitor.session, "text": "Hello\nthere", "name": "Sarah"});
    let answer = json_of(world.app.as_n8n(SEND, body).await, 200).await;
    let shown = visitor.frame_of("message").await;
    assert_eq!(
        answer,
        json!({"success": true, "message": "Message sent to user successfully", "sessionId": visitor.session,
            "messageId": shown["messageId"], "timestamp": shown["timestamp"]})
    );
    assert_eq!(
        (&shown["from"], &shown["name"], &shown["text"]),
        (&json!("operator"), &json!("Sarah"), &json!("Hello\nthere"))
    );
    assert_eq!(
        texts(&world.app.transcript(&visitor.session).await),
        ["Hello\nthere"]
    );
    assert_eq!(world.app.chat(&visitor.session).await["mode"], "bot");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_is_missing_is_told_to_the_letter(pool: PgPool) {
    let world = World::silent(&pool).await;
    for (body, session, text) in [
        (json!({}), false, false),
        (json!({"sessionId": "cw-1-a"}), true, false),
        (json!({"text": "hello"}), false, true),
        (json!({"sessionId": "cw-1-a", "text": " \n"}), true, false),
        (json!({"sessionId": "", "text": "x"}), false, true),
        (json!({"sessionId": null, "text": null}), false, false),
        (
            json!([{"body": {"sessionId": "cw-1-a"}, "headers": {}, "params": {}, "query": {}}]),
            true,
            false,
        ),
    ] {
        let answer = json_of(world.app.as_n8n(SEND, body.clone()).await, 400).await;
        let expected = json!({"success": false, "error": "sessionId and text are required", "code": "missing_parameters",
            "received": {"sessionId": session, "text": text}});
        assert_eq!(answer, expected, "{body}");
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_unknown_chat_is_told_with_how_many_are_connected(pool: PgPool) {
    let world = World::silent(&pool).await;
    let (_one, _two) = (Visitor::new(&world.app).await, Visitor::new(&world.app).await);
    gone(&world.app).await;
    for unknown in ["cw-1759838400000-aaaaaaaaaaaaaaaa", "nonsense", "7"] {
        let answer = json_of(world.app.as_n8n(SEND, to(unknown, "hello")).await, 404).await;
        let expected = json!({"success": false, "error": "Session not found", "code": "session_not_found",
            "sessionId": unknown, "activeSessions": 2});
        assert_eq!(answer, expected);
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn to_a_visitor_who_is_away_nothing_is_stored_unless_that_is_asked_for(pool: PgPool) {
    let world = World::silent(&pool).await;
    let (session, token) = gone(&world.app).await;
    let answer = json_of(world.app.as_n8n(SEND, to(&session, "lost")).await, 404).await;
    let expected = json!({"success": false, "error": "Connection closed", "code": "connection_closed",
        "sessionId": session});
    assert_eq!(answer, expected);
    assert!(world.app.transcript(&session).await.is_empty());
    let mut kept = to(&session, "kept");
    kept["whenOffline"] = json!("store");
    let answer = json_of(world.app.as_n8n(SEND, kept).await, 202).await;
    assert_eq!(
        (&answer["success"], &answer["delivered"]),
        (&json!(true), &json!(false))
    );
    let mut back = Door::new().resume(&token).enter(&world.app).await;
    let shown = back.frame_of("message").await;
    assert_eq!(
        (&shown["text"], &shown["messageId"]),
        (&json!("kept"), &answer["messageId"])
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_of_another_replica_is_reached_through_it(pool: PgPool) {
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let mut visitor = Visitor::new(&other).await;
    stored(world.app.as_n8n(SEND, to(&visitor.session, "over there")).await).await;
    assert_eq!(visitor.frame_of("message").await["text"], "over there");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_has_a_longest_length_in_code_points(pool: PgPool) {
    let world = World::with(&pool, &[("MESSAGE_CHARS", "10")]).await;
    let visitor = Visitor::new(&world.app).await;
    let fits = to(&visitor.session, &"😀".repeat(10));
    stored(world.app.as_n8n(SEND, fits).await).await;
    let long = world
        .app
        .as_n8n(SEND, to(&visitor.session, &"a".repeat(11)))
        .await;
    failed(long, 400, "message_too_long").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn each_chat_takes_so_many_messages_a_minute(pool: PgPool) {
    let world = World::with(&pool, &[("SEND_MESSAGE_RATE", "5")]).await;
    let (visitor, other) = (Visitor::new(&world.app).await, Visitor::new(&world.app).await);
    for at in 0..5 {
        stored(
            world
                .app
                .as_n8n(SEND, to(&visitor.session, &at.to_string()))
                .await,
        )
        .await;
    }
    let over = world.app.as_n8n(SEND, to(&visitor.session, "over")).await;
    let wait: u64 = over.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    failed(over, 429, "rate_limited").await;
    stored(world.app.as_n8n(SEND, to(&other.session, "other")).await).await;
    assert_eq!(world.app.transcript(&visitor.session).await.len(), 5);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_connection_that_is_kept_for_the_next_message_is_there_for_others_too(pool: PgPool) {
    // One is the heartbeat's: everybody else shares the other.
    let world = World::with(&pool, &[("DATABASE_MAX_CONNECTIONS", "2")]).await;
    let visitor = Visitor::new(&world.app).await;
    for at in 1..=5 {
        stored(world.app.as_n8n(SEND, to(&visitor.session, "hello")).await).await;
        assert_eq!(world.app.transcript(&visitor.session).await.len(), at);
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_repeated_key_repeats_the_answer_and_stores_nothing(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let mut body = to(&visitor.session, "once");
    body["idempotencyKey"] = json!("k1");
    let first = json_of(world.app.as_n8n(SEND, body.clone()).await, 200).await;
    let again = json_of(world.app.as_n8n(SEND, body.clone()).await, 200).await;
    assert_eq!(first, again);
    let request = world
        .app
        .client()
        .post(world.app.url(SEND))
        .json(&to(&visitor.session, "once"));
    let by_header = request
        .bearer_auth(world.app.secret())
        .header("Idempotency-Key", "k1");
    assert_eq!(json_of(by_header.send().await.unwrap(), 200).await, first);
    body["text"] = json!("another");
    failed(world.app.as_n8n(SEND, body).await, 409, "idempotency_conflict").await;
    assert_eq!(texts(&world.app.transcript(&visitor.session).await), ["once"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_hangs_after_the_storing_costs_no_error(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    // Writing that it is delivered hangs for as long as the test holds this lock.
    sqlx::raw_sql(
        "CREATE FUNCTION chat.hang() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END';
        CREATE TRIGGER hang BEFORE UPDATE ON chat.idempotency FOR EACH ROW WHEN (NEW.status = 200)
            EXECUTE FUNCTION chat.hang()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(7)")
        .execute(&mut *holding)
        .await
        .unwrap();
    let mut body = to(&visitor.session, "once");
    body["idempotencyKey"] = json!("k1");
    let answer = json_of(world.app.as_n8n(SEND, body).await, 202).await;
    assert_eq!(
        (&answer["success"], &answer["delivered"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        visitor.frame_of("message").await["messageId"],
        answer["messageId"]
    );
    holding.rollback().await.unwrap();
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_request_that_stored_nothing_leaves_its_key_free(pool: PgPool) {
    let world = World::silent(&pool).await;
    let (session, token) = gone(&world.app).await;
    let mut body = to(&session, "hello");
    body["idempotencyKey"] = json!("k1");
    failed(
        world.app.as_n8n(SEND, body.clone()).await,
        404,
        "connection_closed",
    )
    .await;
    let _back = Door::new().resume(&token).enter(&world.app).await;
    stored(world.app.as_n8n(SEND, body).await).await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_n8n_wraps_is_unwrapped(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let bare = to(&visitor.session, "hello");
    let item = json!({"headers": {}, "params": {}, "query": {}, "body": bare.clone()});
    for body in [bare.clone(), json!([bare]), item.clone(), json!([item])] {
        stored(world.app.as_n8n(SEND, body).await).await;
    }
    assert_eq!(world.app.transcript(&visitor.session).await.len(), 4);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_operator_writes_under_his_name_and_a_bot_under_its_own(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let sam = operator_of(&world.app, SAM, json!("*"));
    let body = to(&visitor.session, "hello");
    stored(world.app.bearing(&sam, Method::POST, SEND, Some(body)).await).await;
    let shown = visitor.frame_of("message").await;
    assert_eq!(
        (&shown["from"], &shown["name"]),
        (&json!("operator"), &json!("SAM"))
    );
    // Without a name in his token the visitor does not learn his address.
    let body = Some(to(&visitor.session, "hello"));
    stored(world.app.as_operator("ann", Method::POST, SEND, body).await).await;
    assert_eq!(visitor.frame_of("message").await.get("name"), None);
    let mut late = to(&visitor.session, "late");
    late["from"] = json!("bot");
    stored(world.app.as_n8n(SEND, late).await).await;
    let shown = visitor.frame_of("message").await;
    assert_eq!((&shown["from"], shown.get("name")), (&json!("bot"), None));
    let mut pretended = to(&visitor.session, "x");
    pretended["from"] = json!("user");
    failed(world.app.as_n8n(SEND, pretended).await, 400, "invalid_field").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_late_answer_of_the_bot_is_for_operators_while_they_have_the_chat(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    json_of(
        world
            .app
            .hand_over(&world.app.operator(SAM), &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    let mut late = to(&visitor.session, "late");
    late["from"] = json!("bot");
    let answer = json_of(world.app.as_n8n(SEND, late).await, 202).await;
    assert_eq!(
        (&answer["delivered"], &answer["message"]),
        (
            &json!(false),
            &json!("Message stored; it is kept for the operator who has the chat")
        )
    );
    stored(world.app.as_n8n(SEND, to(&visitor.session, "for you")).await).await;
    assert_eq!(visitor.frame_of("message").await["text"], "for you");
    let said = world.app.transcript(&visitor.session).await;
    assert_eq!(
        (&said[0]["audience"], said[1].get("audience")),
        (&json!("operators"), None::<&Value>)
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn who_may_write_and_who_may_not(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let body = to(&visitor.session, "hello");
    let nobody = world
        .app
        .client()
        .post(world.app.url(SEND))
        .json(&body)
        .send()
        .await
        .unwrap();
    failed(nobody, 401, "unauthorized").await;
    let wrong = world
        .app
        .bearing("wrong", Method::POST, SEND, Some(body.clone()))
        .await;
    failed(wrong, 401, "unauthorized").await;
    // A token without the role.
    failed(world.app.post("ada", SEND, body).await, 403, "forbidden").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn without_webhook_auth_n8n_posts_and_nothing_else_is_open(pool: PgPool) {
    let world = World::with(&pool, &[("WEBHOOK_AUTH", "off")]).await;
    let mut visitor = Visitor::new(&world.app).await;
    let session = visitor.session.clone();
    let open = |method: Method, path: String, body: Value| {
        let request = world
            .app
            .client()
            .request(method, world.app.url(&path))
            .json(&body);
        async move { request.send().await.unwrap() }
    };
    stored(open(Method::POST, SEND.into(), to(&session, "hello")).await).await;
    assert_eq!(visitor.frame_of("message").await["text"], "hello");
    let typing = json!({"sessionId": session, "active": true});
    json_of(open(Method::POST, "/api/typing".into(), typing).await, 200).await;
    for (method, path) in [
        (Method::GET, "/api/sessions".to_owned()),
        (Method::GET, format!("/api/sessions/{session}/messages")),
        (Method::DELETE, format!("/api/sessions/{session}")),
        (Method::POST, format!("/api/sessions/{session}/takeover")),
        (Method::GET, "/api/operator/events".to_owned()),
    ] {
        failed(open(method, path, json!({})).await, 401, "unauthorized").await;
    }
}
