//! What goes wrong between a statement and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::clock::SystemClock;
use switchhook_chassis::testing::eventually;
use switchhook_standins::{N8n, Options};

use crate::wire::Wire;
use crate::world::{Ask, World, held, n8n, texts};
use crate::ws_client::{App, SOON, Visitor, replica};

/// Strays are looked for every 30 s: what comes sooner was not left to that.
const SOONER_THAN_STRAYS: Duration = Duration::from_secs(20);

async fn waiting_for_locks(pool: &PgPool) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_message_whose_commit_nobody_heard_of_is_sent_to_the_bot_at_once(pool: PgPool) {
    let (n8n, wire) = (n8n(), Wire::losing(&pool, b"lose this answer").await);
    let webhook = n8n.webhook_url("chat");
    let settings = [
        ("WS_BIND_ADDR", "127.0.0.1:0"),
        ("N8N_WEBHOOK_URL", webhook.as_str()),
        ("SHUTDOWN_TIMEOUT", "2s"),
    ];
    let (app, started): (App, _) = App::start_unready(&wire.url, &settings, Arc::new(SystemClock)).await;
    tokio::time::timeout(SOON, started.cancelled()).await.unwrap();
    let mut visitor = Visitor::new(&app).await;
    let id = visitor.say("lose this answer", "c1").await;
    assert!(wire.has_lost(), "the test is about a lost answer");
    let answer = tokio::time::timeout(SOONER_THAN_STRAYS, visitor.frame_of("message")).await;
    assert_eq!(
        answer.expect("it is not left lying")["text"],
        "You said: lose this answer"
    );
    let sent = n8n.log_of("/webhook/chat");
    assert_eq!(
        (sent.len(), &sent[0].body().unwrap()["messageId"]),
        (1, &json!(id))
    );
    assert_eq!(app.transcript(&visitor.session).await.len(), 2);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_answer_that_loses_its_row_changes_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.push(held(json!({"text": "too late"})));
    let mut visitor = Visitor::new(&world.app).await;
    visitor.say("hello", "c1").await;
    world.n8n.wait_for("/webhook/chat", 1, SOON).await;
    sqlx::query("UPDATE chat.sessions SET flagged_at = now()")
        .execute(&pool)
        .await
        .unwrap();
    // Somebody else ends the row, and is not done with it when the answer comes.
    let mut tx = pool.begin().await.unwrap();
    sqlx::query("UPDATE chat.outbox SET state = 'cancelled', replica = NULL, finished_at = now()")
        .execute(&mut *tx)
        .await
        .unwrap();
    world.n8n.clear();
    let waits = async || (waiting_for_locks(&pool).await > 0).then_some(());
    eventually(waits, SOON).await;
    tx.commit().await.unwrap();
    let idle = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND state <> 'idle'";
        let busy: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        (busy == 0).then_some(())
    };
    eventually(idle, SOON).await;
    let (flagged, last_seq): (bool, i64) =
        sqlx::query_as("SELECT flagged_at IS NOT NULL, last_seq FROM chat.sessions")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((flagged, last_seq), (true, 1));
    assert_eq!(texts(&world.app.transcript(&visitor.session).await), ["hello"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_answer_that_is_in_the_log_already_takes_back_what_is_shown_of_it(pool: PgPool) {
    let n8n = N8n::start(Options {
        thinking: Duration::from_secs(1),
        ..Options::default()
    })
    .unwrap();
    let webhook = n8n.webhook_url("chat-stream");
    let app = replica(&pool, &n8n, &[("N8N_WEBHOOK_URL", &webhook)]).await;
    let mut visitor = Visitor::new(&app).await;
    visitor.say("a b c d e f", "c1").await;
    let shown = visitor.frame_of("delta").await;
    // As a try leaves it whose record got through and was not confirmed.
    sqlx::query(
        "WITH ended AS (
            UPDATE chat.outbox SET state = 'answered', replica = NULL, finished_at = now() RETURNING id, key
        ), raised AS (UPDATE chat.sessions s SET last_seq = last_seq + 1 FROM ended WHERE s.id = ended.key RETURNING last_seq)
        INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, in_reply_to, part, created_at)
        SELECT key, last_seq, gen_random_uuid(), 'message', 'all', 'bot', 'recorded', id, 0, now() FROM ended, raised",
    )
    .execute(&pool)
    .await
    .unwrap();
    let (mut is_told, mut is_void) = (false, false);
    while !(is_told && is_void) {
        let frame = visitor.frame().await;
        is_told |= frame["text"] == "recorded";
        if frame["reset"] == true {
            assert_eq!(frame["messageId"], shown["messageId"]);
            is_void = true;
        }
    }
    assert_eq!(
        texts(&app.transcript(&visitor.session).await),
        ["a b c d e f", "recorded"]
    );
}
