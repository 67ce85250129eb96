//! What is sent again, and what is not, where a repeat is harmless only once the first run is over.

use serde_json::json;
use sqlx::PgPool;
use switchhook_standins::Control;
use switchhook_standins::control::{Break, Mode};

use crate::stage::{AGAIN, REPEATED, Stage, eventually};

#[sqlx::test(migrations = "tests/migrations")]
async fn a_broken_connection_is_followed_by_another_try(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    for (key, at) in [("read", Break::After), ("answered", Break::Middle)] {
        stage.n8n.push(Control {
            drop: Some(at),
            status: Some(200),
            body: Some(json!({"text": "half of it is lost"})),
            ..Control::default()
        });
        stage.n8n.push(Control {
            status: Some(200),
            body: Some(json!({"text": "whole"})),
            ..Control::default()
        });
        let id = process.owe(AGAIN, key, "n8n").await;
        stage.until_state(id, "answered").await;
        assert_eq!(stage.times(key), 2, "{key}");
        let told = stage.told(key).await;
        assert_eq!(told, [("answered".to_owned(), "{\"text\":\"whole\"}".to_owned())]);
    }
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_time_out_or_a_5xx_is_final_unless_a_repeat_is_always_harmless(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    let failing = |key: &str| Control {
        matching: serde_json::Map::from_iter([("key".to_owned(), json!(key))]),
        status: Some(502),
        body: Some(json!("<html>")),
        ..Control::default()
    };
    stage.n8n.push(failing("a"));
    stage.n8n.push(failing("b"));
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        status: None,
        body: None,
        ..failing("c")
    });
    let once = process.owe(AGAIN, "a", "n8n").await;
    stage.until_state(once, "unknown").await;
    assert_eq!(
        stage.told("a").await,
        [("unknown".to_owned(), "n8n_error".to_owned())]
    );
    let repeated = process.owe(REPEATED, "b", "n8n").await;
    stage.until_state(repeated, "answered").await;
    let slow = process.owe(AGAIN, "c", "n8n").await;
    stage.until_state(slow, "unknown").await;
    assert_eq!(
        stage.told("c").await,
        [("unknown".to_owned(), "answer_timeout".to_owned())]
    );
    let times = ["a", "b", "c"].map(|key| stage.times(key));
    assert_eq!(times, [1, 2, 1]);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_a_dead_replica_waited_for_is_sent_by_another(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let doomed = stage.process().await;
    let id = doomed.owe(AGAIN, "a", "n8n").await;
    eventually("n8n holds the request", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    doomed.kill();
    stage.age_replicas().await;
    let _heir = stage.process().await;
    stage.until_state(id, "answered").await;
    assert_eq!(stage.times("a"), 2);
}
