//! The promises of the outbox, held against processes that die, an n8n that misbehaves, and each other.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

mod beside;
mod order;
mod outages;
mod repeats;
mod stage;

use serde_json::json;
use sqlx::PgPool;
use stage::{ONCE, REPEATED, Stage, delivery, eventually};
use switchhook_standins::Control;
use switchhook_standins::control::{Break, Mode};

#[sqlx::test(migrations = "tests/migrations")]
async fn a_delivery_is_sent_once_and_its_outcome_is_told(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        status: Some(200),
        body: Some(json!({"status": "finished"})),
        ..Control::default()
    });
    let process = stage
        .process_with(&[("N8N_OUTBOUND_SECRET", "outbound-secret-words")])
        .await;
    let id = process.owe(ONCE, "a", "n8n").await;
    stage.until_state(id, "answered").await;
    let log = stage.n8n.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].header("idempotency-key"), Some(id.to_string().as_str()));
    assert_eq!(
        log[0].header("x-n8n-webhook-secret"),
        Some("outbound-secret-words")
    );
    assert!(
        log[0]
            .header("traceparent")
            .is_some_and(|header| header.starts_with("00-"))
    );
    assert_eq!(
        stage.told("a").await,
        [("answered".to_owned(), r#"{"status":"finished"}"#.to_owned())]
    );
    let (body, headers): (Option<Vec<u8>>, Option<serde_json::Value>) =
        sqlx::query_as("SELECT body, headers FROM outbox_test.outbox")
            .fetch_one(&stage.pool)
            .await
            .unwrap();
    assert_eq!((body, headers), (None, None), "what is over keeps no content");
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_was_rolled_back_is_never_sent(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    let mut tx = process.kit.pool.begin().await.unwrap();
    let owed = process
        .outbox
        .owe(&mut tx, ONCE, delivery("rolled-back", "n8n"))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    process.outbox.send_now(owed);
    let id = process.owe(ONCE, "committed", "n8n").await;
    stage.until_state(id, "answered").await;
    assert_eq!(stage.got(), ["committed"]);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_request_that_broke_after_its_first_byte_is_never_sent_again(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        drop: Some(Break::After),
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    stage.until_state(id, "unknown").await;
    // Another goes through meanwhile: the target is not to blame, and the first stays where it is.
    let other = process.owe(ONCE, "b", "n8n").await;
    stage.until_state(other, "answered").await;
    assert_eq!(stage.times("a"), 1);
    assert_eq!(
        stage.told("a").await,
        [("unknown".to_owned(), "connection_lost".to_owned())]
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_request_that_may_be_repeated_is(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        drop: Some(Break::After),
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(REPEATED, "a", "n8n").await;
    stage.until_state(id, "answered").await;
    let log = stage.n8n.log();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].header("idempotency-key"), log[1].header("idempotency-key"));
}

#[sqlx::test(migrations = "tests/migrations")]
async fn refused_and_failed_are_final(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let elsewhere = stage.n8n.webhook_url("elsewhere");
    let answers = [
        (
            "forbidden",
            403,
            "Authorization data is wrong!",
            "refused",
            "n8n_refused",
        ),
        ("gone", 410, "", "refused", "n8n_refused"),
        ("moved", 302, "", "refused", "redirected"),
        (
            "broken",
            500,
            r#"{"message":"Error in workflow"}"#,
            "failed",
            "workflow_failed",
        ),
        ("gateway", 502, "<html>", "unknown", "n8n_error"),
    ];
    let process = stage.process().await;
    for (key, status, body, outcome, code) in answers {
        stage.n8n.push(Control {
            status: Some(status),
            body: Some(json!(body)),
            headers: vec![("Location".to_owned(), elsewhere.clone())],
            ..Control::default()
        });
        let id = process.owe(ONCE, key, "n8n").await;
        stage.until_state(id, outcome).await;
        assert_eq!(stage.told(key).await, [(outcome.to_owned(), code.to_owned())]);
        assert_eq!(stage.times(key), 1);
    }
    assert!(
        stage
            .n8n
            .log()
            .iter()
            .all(|entry| entry.path == switchhook_standins::n8n::CALLBACK_PATH),
        "no redirect was followed"
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_is_called_off_before_it_is_sent_never_goes_out(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    eventually("a first try failed", || async {
        (stage.state(id).await == "owed").then_some(())
    })
    .await;
    let mut tx = process.kit.pool.begin().await.unwrap();
    assert!(process.outbox.cancel_unsent(&mut tx, ONCE, "a").await.unwrap());
    tx.commit().await.unwrap();
    stage.n8n.up().await.unwrap();
    let other = process.owe(ONCE, "b", "n8n").await;
    stage.until_state(other, "answered").await;
    assert_eq!(stage.got(), ["b"]);
    assert_eq!(stage.state(id).await, "cancelled");
    assert!(stage.told("a").await.is_empty());
}

#[sqlx::test(migrations = "tests/migrations")]
async fn calling_off_and_sending_never_both_happen(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    let races = (0..60).map(|n| {
        let (process, stage) = (&process, &stage);
        async move {
            let key = format!("race-{n}");
            let id = process.owe(ONCE, &key, "n8n").await;
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            let mut tx = process.kit.pool.begin().await.unwrap();
            let called_off = process.outbox.cancel_unsent(&mut tx, ONCE, &key).await.unwrap();
            tx.commit().await.unwrap();
            stage
                .until_state(id, if called_off { "cancelled" } else { "answered" })
                .await;
            (key, called_off)
        }
    });
    let outcomes = futures_util::future::join_all(races).await;
    for (key, called_off) in outcomes {
        assert_eq!(stage.times(&key), usize::from(!called_off), "{key}");
    }
}

#[sqlx::test(migrations = "tests/migrations")]
async fn an_answer_that_comes_after_the_verdict_counts(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    eventually("n8n holds the request", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    // What another replica writes that takes this one for dead.
    stage
        .execute("UPDATE outbox_test.outbox SET state = 'unknown', replica = NULL, finished_at = now()")
        .await;
    stage.n8n.clear();
    stage.until_state(id, "answered").await;
    assert_eq!(stage.times("a"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_target_that_is_not_configured_is_refused(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "nowhere").await;
    stage.until_state(id, "refused").await;
    assert_eq!(
        stage.told("a").await,
        [("refused".to_owned(), "unknown_target".to_owned())]
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_waits_at_a_shutdown_is_recorded_as_unknown(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let process = stage.process_with(&[("SHUTDOWN_TIMEOUT", "1s")]).await;
    let id = process.owe(ONCE, "a", "n8n").await;
    eventually("n8n holds the request", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    process.stop().await;
    assert_eq!(stage.state(id).await, "unknown");
    assert_eq!(
        stage.told("a").await,
        [("unknown".to_owned(), "service_restarted".to_owned())]
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_nobody_wants_any_more_is_not_sent_again(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        status: Some(503),
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    eventually("n8n holds the request", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    // The owner's state moves on while the request waits; then a proxy says that n8n never had it.
    stage.unwanted.lock().unwrap().insert("a".to_owned());
    stage.n8n.clear();
    stage.until_state(id, "cancelled").await;
    let other = process.owe(ONCE, "b", "n8n").await;
    stage.until_state(other, "answered").await;
    assert_eq!(stage.times("a"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn an_answer_that_breaks_in_its_body_is_still_an_answer(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        drop: Some(Break::Middle),
        status: Some(200),
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    stage.until_state(id, "answered").await;
    assert_eq!(stage.told("a").await, [("answered".to_owned(), String::new())]);
}
