//! What a visitor writes, and what he and his other tabs see of it.

use std::time::Duration;

use futures_util::SinkExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};
use tokio_tungstenite::tungstenite::Message;

use crate::ws_client::{App, Door, SOON, Visitor, replica, silent_bot};

/// n8n, or an operator's tool, writes to a visitor.
pub(crate) async fn send_message(app: &App, session: &str, text: &str) -> reqwest::Response {
    let body = json!({"sessionId": session, "text": text, "name": "Sarah"});
    app.as_machine(Method::POST, "/api/send-message", Some(body))
        .await
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_is_acked_to_its_sender_and_shown_to_his_other_tabs_on_any_replica(pool: PgPool) {
    let n8n = silent_bot();
    let (here, there) = (replica(&pool, &n8n, &[]).await, replica(&pool, &n8n, &[]).await);
    let mut visitor = Visitor::new(&here).await;
    let mut near = visitor.again(&here, "").await;
    let mut far = visitor.again(&there, "").await;
    assert_eq!(
        (&near.session, &far.session),
        (&visitor.session, &visitor.session)
    );
    assert_eq!(far.greeting["resumed"], true);
    let id = visitor.say("hello\nthere 😀", "c1").await;
    for tab in [&mut near, &mut far] {
        let message = tab.frame_of("message").await;
        let timestamp = message["timestamp"].as_str().unwrap().to_owned();
        let expected = json!({"type": "message", "messageId": id, "from": "user", "text": "hello\nthere 😀",
            "timestamp": timestamp, "clientId": "c1"});
        assert_eq!(message, expected);
    }
    let back = far.say("from the other tab", "c2").await;
    for tab in [&mut visitor, &mut near] {
        let message = tab.frame_of("message").await;
        assert_eq!(
            (&message["messageId"], &message["clientId"]),
            (&json!(back), &json!("c2"))
        );
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_without_a_name_is_acked_without_one(pool: PgPool) {
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[]).await;
    let mut visitor = Visitor::new(&app).await;
    visitor.send(&json!({"text": "hello"})).await;
    let ack = visitor.frame_of("ack").await;
    assert_eq!(ack, json!({"type": "ack", "messageId": ack["messageId"]}));
    visitor.send(&json!({"type": "message", "text": "hello"})).await;
    assert_ne!(visitor.frame_of("ack").await["messageId"], ack["messageId"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_resent_message_is_stored_once_and_sent_to_the_bot_once(pool: PgPool) {
    let n8n = silent_bot();
    let (here, there) = (replica(&pool, &n8n, &[]).await, replica(&pool, &n8n, &[]).await);
    let mut visitor = Visitor::new(&here).await;
    let mut tab = visitor.again(&there, "").await;
    let id = visitor.say("hello", "c1").await;
    assert_eq!(visitor.say("hello", "c1").await, id);
    assert_eq!(tab.say("hello", "c1").await, id);
    let mut later = visitor.again(&there, &id).await;
    assert_eq!(later.say("hello", "c1").await, id);
    // The same name at the same moment from both: one of them is the first.
    for round in 0..10 {
        let name = format!("race-{round}");
        let (first, second) = tokio::join!(visitor.say("both", &name), tab.say("both", &name));
        assert_eq!(first, second);
    }
    let requests = n8n.wait_for("/webhook/chat", 11, SOON).await;
    let mut sent: Vec<Value> = requests
        .iter()
        .map(|request| request.body().unwrap()["messageId"].clone())
        .collect();
    sent.dedup();
    assert_eq!((sent.len(), requests.len()), (11, 11));
    assert_eq!(sent[0], json!(id));
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_that_somebody_has_locked_holds_up_nobody_else(pool: PgPool) {
    const AT_ONCE: Duration = Duration::from_secs(5);
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[]).await;
    let (mut locked, mut free) = (Visitor::new(&app).await, Visitor::new(&app).await);
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM chat.sessions WHERE id = $1 FOR UPDATE")
        .bind(&locked.session)
        .execute(&mut *tx)
        .await
        .unwrap();
    let message = json!({"type": "message", "text": "hello", "clientId": "c1"});
    locked.send(&message).await;
    for round in 0..5 {
        let name = format!("f{round}");
        let said = tokio::time::timeout(AT_ONCE, free.say("hello", &name)).await;
        assert!(said.is_ok(), "he waits for a chat that is not his");
    }
    tx.commit().await.unwrap();
    assert_eq!(locked.frame_of("ack").await["clientId"], "c1");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_visitor_gets_what_is_sent_to_him_wherever_it_was_posted(pool: PgPool) {
    let n8n = silent_bot();
    let (here, there) = (replica(&pool, &n8n, &[]).await, replica(&pool, &n8n, &[]).await);
    let mut visitor = Visitor::new(&here).await;
    for (nth, app) in [&here, &there, &here, &there].into_iter().enumerate() {
        let text = format!("message {nth}");
        let sent = json_of(send_message(app, &visitor.session, &text).await, 200).await;
        let message = visitor.frame_of("message").await;
        let expected = json!({"type": "message", "messageId": sent["messageId"], "from": "operator", "name": "Sarah",
            "text": text, "timestamp": sent["timestamp"]});
        assert_eq!(message, expected);
    }
    let (session, listening) = (visitor.session.clone(), &there);
    visitor.leave().await;
    let gone = async || {
        let answer = send_message(listening, &session, "anybody?").await;
        (answer.status() == 404).then_some(answer)
    };
    let answer = json_of(eventually(gone, SOON).await, 404).await;
    assert_eq!(answer["error"], "Connection closed");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_lost_hint_costs_about_a_second(pool: PgPool) {
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[]).await;
    let mut visitor = Visitor::new(&app).await;
    // As another replica does whose hint gets lost.
    sqlx::query(
        "WITH raised AS (UPDATE chat.sessions SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq)
        INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, created_at)
        SELECT $1, last_seq, gen_random_uuid(), 'message', 'all', 'bot', 'found by the poll', now() FROM raised",
    )
    .bind(&visitor.session)
    .execute(&pool)
    .await
    .unwrap();
    assert_eq!(visitor.frame_of("message").await["text"], "found by the poll");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_erased_chat_is_closed_with_4404_everywhere_and_does_not_come_back(pool: PgPool) {
    let n8n = silent_bot();
    let (here, there) = (replica(&pool, &n8n, &[]).await, replica(&pool, &n8n, &[]).await);
    let mut visitor = Visitor::new(&here).await;
    let far = visitor.again(&there, "").await;
    visitor.say("forget me", "c1").await;
    let (session, token) = (visitor.session.clone(), visitor.token.clone());
    let path = format!("/api/sessions/{session}");
    let request = here
        .client()
        .delete(here.url(&path))
        .bearer_auth(here.operator("olga"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(visitor.closed().await, 4404);
    assert_eq!(far.closed().await, 4404);
    let again = Door::new().resume(&token).enter(&here).await;
    assert!(again.session != session && again.token != token);
    assert_eq!(again.greeting["resumed"], false);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_that_vanishes_from_the_database_is_closed_too(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[]).await;
    let visitor = Visitor::new(&app).await;
    sqlx::query("DELETE FROM chat.sessions")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(visitor.closed().await, 4404);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn pings_are_answered_and_a_peer_that_never_answers_is_dropped(pool: PgPool) {
    let n8n = silent_bot();
    // Dead after two pings and ten seconds.
    let app = replica(&pool, &n8n, &[("PING_INTERVAL", "1s")]).await;
    let mut alive = Visitor::new(&app).await;
    let silent = Visitor::new(&app).await;
    alive
        .socket
        .send(Message::Ping("are you there?".into()))
        .await
        .unwrap();
    let session = silent.session.clone();
    let dropped = async {
        let look = async || {
            let answer = send_message(&app, &session, "hello?").await;
            (answer.status() == 404).then_some(())
        };
        eventually(look, SOON).await;
    };
    let reads = async {
        // Reading answers the pings.
        loop {
            let _ = tokio::time::timeout(Duration::from_millis(200), alive.next()).await;
        }
    };
    tokio::select! {
        () = dropped => {}
        never = reads => never,
    }
    let answer = send_message(&app, &alive.session, "you are there").await;
    assert_eq!(answer.status(), 200);
}
