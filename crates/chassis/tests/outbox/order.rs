//! Deliveries of one key stand in line; keys do not wait for each other.

use serde_json::json;
use sqlx::PgPool;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::stage::{REPEATED, Stage, eventually};

#[sqlx::test(migrations = "tests/migrations")]
async fn a_head_in_backoff_holds_back_its_key_and_no_other(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    // The head waits for an hour, on a target of its own, so that no breaker explains what follows.
    let head = process.owe(REPEATED, "line", "n8n").await;
    stage.until_state(head, "answered").await;
    stage
        .execute("UPDATE outbox_test.outbox SET state = 'owed', next_attempt_at = now() + interval '1 hour'")
        .await;
    let second = process.owe(REPEATED, "line", "n8n").await;
    let third = process.owe(REPEATED, "line", "n8n").await;
    let other = process.owe(REPEATED, "other", "n8n").await;
    stage.until_state(other, "answered").await;
    assert_eq!(stage.state(second).await, "owed");
    assert_eq!(stage.state(third).await, "owed");
    assert_eq!(stage.times("line"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_key_has_one_request_under_way_and_keeps_its_order(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let (one, two) = (stage.process().await, stage.process().await);
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let mut ids = vec![one.owe(REPEATED, "line", "n8n").await];
    eventually("n8n holds the head", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    for n in 0..6 {
        let process = if n % 2 == 0 { &two } else { &one };
        ids.push(process.owe(REPEATED, "line", "n8n").await);
    }
    assert_eq!(stage.times("line"), 1, "the others wait for the head");
    stage.n8n.clear();
    for id in &ids {
        stage.until_state(*id, "answered").await;
    }
    let sent: Vec<String> = stage
        .n8n
        .log()
        .iter()
        .filter_map(|entry| entry.header("idempotency-key").map(str::to_owned))
        .collect();
    let owed: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(sent, owed);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_head_that_is_refused_lets_the_next_through(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        status: Some(400),
        body: Some(json!("no")),
        ..Control::default()
    });
    let process = stage.process().await;
    let first = process.owe(REPEATED, "line", "n8n").await;
    stage.until_state(first, "refused").await;
    let second = process.owe(REPEATED, "line", "n8n").await;
    stage.until_state(second, "answered").await;
}
