//! A replica dies, another goes on.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::world::{Ask, WEBHOOK, World, id, replica};

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_start_is_never_sent_again_when_the_one_who_waits_dies(pool: PgPool) {
    let World { app, n8n } = World::with(&pool, &[]).await;
    n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let session = app.begin("ada", 10).await;
    app.until_delivery(&id(&session), "waiting").await;
    app.kill();
    let heir = replica(&pool, &n8n, &[]).await;
    // Dead by the database's clock at once; the heir judges others after five renewals of its own.
    let old = "UPDATE session.replicas SET beat_at = beat_at - interval '1 minute' WHERE id <> $1";
    sqlx::query(old)
        .bind(heir.kit().replica.id())
        .execute(&pool)
        .await
        .unwrap();
    let judged = || async {
        let shown = heir.session(&id(&session)).await;
        (shown["delivery"]["state"] == "unknown").then_some(shown)
    };
    let shown = eventually(judged, Duration::from_secs(60)).await;
    assert_eq!(shown["status"], "active");
    assert_eq!(n8n.log_of(WEBHOOK).len(), 1);
    let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": 10});
    let over = json_of(heir.report(done).await, 200).await["session"].clone();
    assert_eq!(
        (&over["stopReason"], &over["delivery"]["state"]),
        (&json!("completed"), &json!("delivered"))
    );
    assert_eq!(n8n.log_of(WEBHOOK).len(), 1);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_start_that_was_not_sent_is_sent_by_another_replica(pool: PgPool) {
    let World { app, n8n } = World::new(&pool).await;
    n8n.down().await.unwrap();
    let session = app.begin("ada", 10).await;
    app.until(&id(&session), |s| s["delivery"]["lastError"].is_object())
        .await;
    app.stop().await;
    n8n.up().await.unwrap();
    let heir = replica(&pool, &n8n, &[]).await;
    heir.until_delivery(&id(&session), "delivered").await;
    assert_eq!(n8n.log_of(WEBHOOK).len(), 1);
}
