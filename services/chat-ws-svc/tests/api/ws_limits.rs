//! Who writes too much, reads too little, or nothing at all, harms nobody else.

use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::eventually;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::ws_client::{App, Door, SOON, Visitor, replica, silent_bot};
use crate::ws_visitor::send_message;

/// The slowest of some round trips of a visitor who does nothing wrong.
async fn slowest(visitor: &mut Visitor, name: &str) -> Duration {
    let mut slowest = Duration::ZERO;
    for nth in 0..20 {
        let begun = Instant::now();
        visitor.say("hello", &format!("{name}-{nth}")).await;
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_burst_is_taken_and_what_comes_after_it_is_refused_until_later(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("VISITOR_RATE", "5")]).await;
    let mut visitor = Visitor::new(&app).await;
    let mut tab = visitor.again(&app, "").await;
    for nth in 0..5 {
        visitor.say("hello", &format!("c{nth}")).await;
    }
    tab.send(&json!({"text": "too much", "clientId": "c9"})).await;
    let error = tab.frame_of("error").await;
    assert_eq!(
        (&error["code"], &error["clientId"]),
        (&json!("rate_limited"), &json!("c9")),
        "{error}"
    );
    let wait_s = error["retryAfter"].as_u64().unwrap();
    assert!((1..=60).contains(&wait_s), "{error}");
    // A repeat is no new message.
    visitor.say("hello", "c0").await;
    let passes = async |seconds: f64| {
        sqlx::query("UPDATE chat.sessions SET visitor_minute = visitor_minute - make_interval(secs => $1)")
            .bind(seconds)
            .execute(&pool)
            .await
            .unwrap();
    };
    // However slowly: no more in this minute.
    passes(30.0).await;
    tab.send(&json!({"text": "still too much", "clientId": "c9"}))
        .await;
    let error = tab.frame_of("error").await;
    assert_eq!(error["code"], "rate_limited", "{error}");
    assert!(error["retryAfter"].as_u64().unwrap() <= 30, "{error}");
    passes(30.0).await;
    tab.say("now it may be said", "c9").await;
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_flood_a_silent_reader_and_a_half_open_connection_harm_nobody_else(pool: PgPool) {
    let settings = [("VISITOR_RATE", "6000"), ("SEND_MESSAGE_RATE", "6000")];
    let app = replica(&pool, &silent_bot(), &settings).await;
    let mut visitor = Visitor::new(&app).await;
    let alone = slowest(&mut visitor, "alone").await;
    // One that never ends its handshake, one that never reads, one that writes without end.
    let mut half_open = TcpStream::connect(app.state().ws_addr().unwrap()).await.unwrap();
    half_open.write_all(b"GET /ws HTTP/1.1\r\n").await.unwrap();
    let silent = Visitor::new(&app).await;
    let mut flooding = Visitor::new(&app).await;
    let flood = async {
        let frame = json!({"type": "typing", "active": true}).to_string();
        loop {
            if flooding.socket.send(Message::text(frame.clone())).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let stuff = async {
        let text = "x".repeat(5_000);
        for _ in 0..200 {
            let answer = send_message(&app, &silent.session, &text).await;
            assert!(answer.status().is_success(), "{answer:?}");
        }
        std::future::pending::<()>().await
    };
    let beside = tokio::select! {
        beside = slowest(&mut visitor, "beside") => beside,
        () = flood => unreachable!(),
        () = stuff => unreachable!(),
    };
    // Generous: the machine of a test is slow. A connection that waited for another would wait for ever.
    assert!(
        beside < alone * 20 + Duration::from_secs(2),
        "alone {alone:?}, beside the others {beside:?}"
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_reader_who_never_reads_is_dropped_and_finds_everything_later(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("SEND_MESSAGE_RATE", "6000")]).await;
    let stuck = Visitor::new(&app).await;
    let (session, token) = (stuck.session.clone(), stuck.token.clone());
    let text = "x".repeat(5_000);
    // More than the buffers of both machines hold; then nobody says any more that it arrived.
    let begun = Instant::now();
    let mut answers = Vec::new();
    while answers.last() != Some(&404) {
        answers.push(send_message(&app, &session, &text).await.status().as_u16());
        assert!(begun.elapsed() < SOON * 3, "it is not dropped: {answers:?}");
    }
    assert!(answers.contains(&202), "{answers:?}");
    let stored = answers.iter().filter(|answer| **answer != 404).count();
    let mut back = Door::new().resume(&token).enter(&app).await;
    for _ in 0..stored.min(100) {
        back.frame_of("message").await;
    }
    drop(stuck);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_stop_asks_everybody_to_come_back_one_after_the_other(pool: PgPool) {
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[("SHUTDOWN_TIMEOUT", "5s")]).await;
    let mut visitors = Vec::new();
    for _ in 0..40 {
        visitors.push(Visitor::new(&app).await);
    }
    visitors[0].say("before the end", "c1").await;
    let token = visitors[0].token.clone();
    let begun = Instant::now();
    let closing: Vec<_> = visitors
        .into_iter()
        .map(|visitor| tokio::spawn(async move { (visitor.closed().await, begun.elapsed()) }))
        .collect();
    app.stop().await;
    let mut times = Vec::new();
    for closed in closing {
        let (code, at) = closed.await.unwrap();
        assert_eq!(code, 1012);
        times.push(at);
    }
    times.sort_unstable();
    let spread = times[times.len() - 1] - times[0];
    assert!(
        spread >= Duration::from_secs(3),
        "they go one after the other: {times:?}"
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM chat.registrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "who has gone is registered nowhere");
    let next = replica(&pool, &n8n, &[]).await;
    let mut back = Door::new().resume(&token).enter(&next).await;
    assert_eq!(back.frame_of("message").await["text"], "before the end");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn nobody_says_anything_for_long_and_the_connection_ends(pool: PgPool) {
    let app = replica(&pool, &silent_bot(), &[("IDLE_TIMEOUT", "1s")]).await;
    assert_eq!(Visitor::new(&app).await.closed().await, 1000);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_replica_that_was_killed_holds_nothing_any_more(pool: PgPool) {
    let n8n = silent_bot();
    let settings = [("SEND_MESSAGE_RATE", "6000")];
    let (here, there): (App, App) = (
        replica(&pool, &n8n, &settings).await,
        replica(&pool, &n8n, &settings).await,
    );
    let mut visitor = Visitor::new(&here).await;
    let id = visitor.say("hello", "c1").await;
    here.kill();
    // Ten seconds after its last sign of life it is dead; until then it may only be slow.
    let closed = async || {
        let answer = send_message(&there, &visitor.session, "are you there?").await;
        (answer.status() == 404).then_some(())
    };
    eventually(closed, SOON).await;
    let mut back = visitor.again(&there, &id).await;
    assert_eq!(back.frame_of("message").await["text"], "are you there?");
    assert_eq!(
        send_message(&there, &back.session, "there you are")
            .await
            .status(),
        200
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_the_database_says_wrongly_of_who_is_here_is_set_right(pool: PgPool) {
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[]).await;
    let visitor = Visitor::new(&app).await;
    // What a registration leaves that was committed after its connection had gone, and what a sibling's error takes.
    sqlx::query("UPDATE chat.registrations SET session_id = 'cw-1000000000000-ghost'")
        .execute(&pool)
        .await
        .unwrap();
    let look = || async {
        let all: Vec<String> = sqlx::query_scalar("SELECT session_id FROM chat.registrations")
            .fetch_all(&pool)
            .await
            .unwrap();
        (all == [visitor.session.as_str()]).then_some(())
    };
    eventually(look, SOON).await;
}
