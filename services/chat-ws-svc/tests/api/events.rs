//! The operators' stream.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, json_of};

use crate::world::{Ask, SAM, SEND, World, failed, operator_of, to};
use crate::ws_client::{App, Door, Visitor, replica};

const EVENTS: &str = "/api/operator/events";

async fn listen(app: &App, last: Option<&str>) -> EventReader {
    EventReader::open_with(app, &operator_of(app, SAM, json!("*")), EVENTS, last).await
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_operator_sees_what_is_there_and_what_comes_from_any_replica(pool: PgPool) {
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let first = Visitor::new(&world.app).await;
    let mut events = listen(&world.app, None).await;
    let there = events.until(|seen| seen.event == "session").await;
    assert_eq!(there.data["sessionId"], json!(first.session));
    assert_eq!(there.data, world.app.chat(&first.session).await);
    let mut visitor = Visitor::new(&other).await;
    let new = events
        .until(|seen| seen.data["sessionId"] == json!(visitor.session))
        .await;
    assert_eq!(
        (new.event.as_str(), &new.data["connected"]),
        ("session", &json!(true))
    );
    let id = visitor.say("hello", "c1").await;
    let message = events.until(|seen| seen.event == "message").await;
    let item = &world.app.transcript(&visitor.session).await[0];
    assert_eq!(
        (&message.data["messageId"], &message.data["sessionId"]),
        (&json!(id), &json!(visitor.session))
    );
    assert_eq!(
        (&message.data["text"], &message.data["timestamp"]),
        (&item["text"], &item["timestamp"])
    );
    let (session, sam) = (visitor.session.clone(), other.operator(SAM));
    json_of(other.hand_over(&sam, &session, "takeover", json!({})).await, 200).await;
    events
        .until(|seen| seen.event == "session" && seen.data["mode"] == "operator")
        .await;
    visitor.leave().await;
    events
        .until(|seen| seen.data["sessionId"] == json!(session) && seen.data["connected"] == false)
        .await;
    json_of(
        other
            .as_operator(SAM, Method::DELETE, &format!("/api/sessions/{session}"), None)
            .await,
        200,
    )
    .await;
    let erased = events.until(|seen| seen.event == "erased").await;
    assert_eq!(erased.data, json!({"sessionId": session}));
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn whoever_comes_back_gets_what_he_missed_and_nothing_twice(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let mut events = listen(&world.app, None).await;
    visitor.say("seen", "c1").await;
    events.until(|seen| seen.event == "message").await;
    let last = events
        .until(|seen| seen.event == "session" && seen.data["lastMessage"]["text"] == "seen")
        .await;
    drop(events);
    for text in ["missed 1", "missed 2"] {
        visitor.say(text, text).await;
    }
    let mut back = listen(&world.app, Some(&last.id)).await;
    for text in ["missed 1", "missed 2"] {
        assert_eq!(
            back.until(|seen| seen.event == "message").await.data["text"],
            text
        );
    }
    visitor.say("live", "c4").await;
    assert_eq!(
        back.until(|seen| seen.event == "message").await.data["text"],
        "live"
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_position_that_is_none_begins_with_what_is_there(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    for last in [
        "x",
        "1",
        "1:2:3:4",
        "0:0:",
        "99999999999:99999999999:",
        "5:4:",
        "1:3:2,2",
        "18446744073709551615:1:",
    ] {
        let mut events = listen(&world.app, Some(last)).await;
        let first = events.next().await.unwrap();
        assert_eq!(
            (first.event.as_str(), &first.data["sessionId"]),
            ("session", &json!(visitor.session)),
            "{last}"
        );
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_operator_hears_of_his_own_channels_only(pool: PgPool) {
    let n8n = crate::world::n8n();
    n8n.push(crate::world::silent());
    let url = n8n.webhook_url("chat");
    let channels = json!({"default": {"n8nUrl": url}, "acme": {"n8nUrl": url}}).to_string();
    let app = replica(&pool, &n8n, &[("CHAT_CHANNELS", &channels)]).await;
    let mut events =
        EventReader::open_with(&app, &operator_of(&app, SAM, json!(["acme"])), EVENTS, None).await;
    let mut foreign = Visitor::new(&app).await;
    foreign.say("not for sam", "c1").await;
    let mut own = Door::new().query("?channel=acme").enter(&app).await;
    own.say("for sam", "c1").await;
    let message = events.until(|seen| {
        assert_eq!(seen.data["sessionId"], json!(own.session));
        seen.event == "message"
    });
    assert_eq!(message.await.data["text"], "for sam");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_operator_sees_that_a_visitor_writes_wherever_both_are(pool: PgPool) {
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let mut visitor = Visitor::new(&other).await;
    let mut events = listen(&world.app, None).await;
    events.until(|seen| seen.event == "session").await;
    // Nothing keeps it for a replica that has just come: it is repeated while somebody writes.
    let writes = async {
        loop {
            visitor.send(&json!({"type": "typing", "active": true})).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let typing = tokio::select! {
        typing = events.until(|seen| seen.event == "typing") => typing,
        () = writes => unreachable!("it goes on"),
    };
    assert_eq!(
        typing.data,
        json!({"sessionId": visitor.session, "from": "user", "active": true})
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_visitor_sees_that_an_operator_writes(pool: PgPool) {
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    for app in [&world.app, &other] {
        let mut visitor = Visitor::new(app).await;
        let body = json!({"sessionId": visitor.session, "active": "true"});
        // Nothing keeps it for a replica that has just come: whoever writes goes on writing.
        let writes = async {
            loop {
                json_of(world.app.as_n8n("/api/typing", body.clone()).await, 200).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let shown = tokio::select! {
            shown = visitor.frame_of("typing") => shown,
            () = writes => unreachable!("it goes on"),
        };
        assert_eq!(
            shown,
            json!({"type": "typing", "from": "operator", "active": true})
        );
    }
    let unknown = json!({"sessionId": "cw-1-a", "active": true});
    failed(
        world.app.as_n8n("/api/typing", unknown).await,
        404,
        "session_not_found",
    )
    .await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_stream_is_for_operators(pool: PgPool) {
    let world = World::silent(&pool).await;
    failed(
        world.app.as_machine(Method::GET, EVENTS, None).await,
        403,
        "forbidden",
    )
    .await;
    failed(world.app.get("ada", EVENTS).await, 403, "forbidden").await;
    let nobody = world
        .app
        .client()
        .get(world.app.url(EVENTS))
        .send()
        .await
        .unwrap();
    failed(nobody, 401, "unauthorized").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_is_committed_late_is_told_when_it_is(pool: PgPool) {
    let world = World::silent(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let late = Visitor::new(&world.app).await;
    let mut events = listen(&world.app, None).await;
    let mut tx = pool.begin().await.unwrap();
    sqlx::query(
        "WITH raised AS (UPDATE chat.sessions SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq)
        INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, created_at)
        SELECT $1, last_seq, gen_random_uuid(), 'message', 'all', 'user', 'committed late', now() FROM raised",
    )
    .bind(&late.session)
    .execute(&mut *tx)
    .await
    .unwrap();
    for text in ["one", "two"] {
        visitor.say(text, text).await;
        let told = events.until(|seen| seen.event == "message").await;
        assert_eq!(told.data["text"], text);
    }
    tx.commit().await.unwrap();
    let told = events.until(|seen| seen.event == "message").await;
    assert_eq!(told.data["text"], "committed late");
    visitor.say("three", "three").await;
    let told = events.until(|seen| seen.event == "message").await;
    assert_eq!(told.data["text"], "three");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn many_writers_on_two_replicas_and_no_message_is_missed_or_told_twice(pool: PgPool) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let world = World::silent(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let mut events = listen(&world.app, None).await;
    let write = |app: &App| {
        let (app_url, client, secret) = (app.url(SEND), app.client().clone(), app.secret().to_owned());
        move |session: String| async move {
            for at in 0..EACH {
                let request = client
                    .post(&app_url)
                    .bearer_auth(&secret)
                    .json(&to(&session, &at.to_string()));
                let status = request.send().await.unwrap().status().as_u16();
                assert!(status == 200 || status == 202, "{status}");
            }
        }
    };
    let mut visitors = Vec::new();
    let mut writing = Vec::new();
    for at in 0..WRITERS {
        let app = if at % 2 == 0 { &world.app } else { &other };
        let visitor = Visitor::new(app).await;
        writing.push(tokio::spawn(write(app)(visitor.session.clone())));
        visitors.push(visitor);
    }
    let mut told: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for _ in 0..WRITERS * EACH {
        let message = events.until(|seen| seen.event == "message").await.data;
        let text = message["text"].as_str().unwrap().to_owned();
        told.entry(message["sessionId"].as_str().unwrap().to_owned())
            .or_default()
            .push(text);
    }
    for task in writing {
        task.await.unwrap();
    }
    let expected: Vec<String> = (0..EACH).map(|at| at.to_string()).collect();
    for visitor in &visitors {
        assert_eq!(told[&visitor.session], expected);
    }
}
