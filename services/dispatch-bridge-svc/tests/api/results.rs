//! What n8n is told of each call when it is over: once, however often it has to be sent.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_standins::Control;
use switchhook_standins::control::{Break, Mode};
use switchhook_standins::livekit::Ending;
use switchhook_standins::log::Entry;

use crate::follow::brief;
use crate::world::{Ask, RESULTS, SOON, World, breaks, call, call_with, id_of};

/// A call that goes well, up to its end.
async fn ended(world: &World, number: &str) -> Value {
    world.livekit.clear_plans();
    world.livekit.plan(brief(Ending::Completed));
    let id = id_of(
        &world
            .dialled(call_with(number, json!({"metadata": {"ticket_id": "INC-1"}})))
            .await,
    );
    world.app.until(&id, |shown| shown["status"] == "ended").await
}

/// Waits until the timeline of a call tells what became of its result.
async fn until_told(world: &World, id: &str, kind: &str) -> Value {
    let told = |shown: &Value| {
        shown["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["kind"] == kind)
    };
    world.app.until(id, told).await
}

fn key(entry: &Entry) -> &str {
    entry.header("idempotency-key").unwrap()
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn n8n_is_told_once_how_a_call_went(pool: PgPool) {
    let world = World::new(&pool).await;
    let over = ended(&world, "61402012298").await;
    let sent = world.n8n.wait_for(RESULTS, 1, SOON).await;
    let body = sent[0].body().unwrap();
    assert_eq!(body["event"], "call_result");
    for name in [
        "dispatch_id",
        "job_id",
        "room",
        "status",
        "call_start",
        "call_end",
        "call_duration_seconds",
        "end_reason",
        "metadata",
        "session_options",
        "agent_name",
    ] {
        assert_eq!(body[name], over[name], "{name}");
    }
    assert_eq!(body["metadata"]["ticket_id"], "INC-1");
    assert!(!key(&sent[0]).is_empty());
    until_told(&world, &id_of(&over), "call_result_delivered").await;
    assert_eq!(world.n8n.log_of(RESULTS).len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_result_that_may_not_have_arrived_is_sent_again_under_its_key(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.clear();
    for broken in [
        breaks(Break::After),
        Control {
            status: Some(500),
            ..Control::default()
        },
    ] {
        world.n8n.push(broken);
    }
    world.n8n.push(Control {
        mode: Some(Mode::Silent),
        times: 0,
        ..Control::default()
    });
    let over = ended(&world, "61402012298").await;
    let sent = world.n8n.wait_for(RESULTS, 3, SOON).await;
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter()
            .all(|entry| key(entry) == key(&sent[0]) && entry.body() == sent[0].body())
    );
    until_told(&world, &id_of(&over), "call_result_delivered").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_result_waits_for_an_n8n_that_is_away(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    let over = ended(&world, "61402012298").await;
    assert!(world.n8n.log_of(RESULTS).is_empty());
    world.n8n.up().await.unwrap();
    let sent = world.n8n.wait_for(RESULTS, 1, SOON).await;
    assert_eq!(sent[0].body().unwrap()["dispatch_id"], over["dispatch_id"]);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_result_that_n8n_refuses_is_told_on_the_timeline(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.clear();
    world.n8n.push(Control {
        status: Some(403),
        body: Some(json!({"message": "Authorization data is wrong!"})),
        times: 0,
        ..Control::default()
    });
    let over = ended(&world, "61402012298").await;
    let told = until_told(&world, &id_of(&over), "call_result_lost").await;
    let events = told["events"].as_array().unwrap();
    let lost = events
        .iter()
        .find(|event| event["kind"] == "call_result_lost")
        .unwrap();
    assert!(lost["detail"]["message"].is_string(), "{lost:#}");
    assert_eq!(world.n8n.log_of(RESULTS).len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn every_call_has_a_result_of_its_own_also_a_cancelled_and_a_refused_one(pool: PgPool) {
    let world = World::new(&pool).await;
    let cancelled = id_of(&world.dialled(call("61402012298")).await);
    world.livekit.clear_plans();
    let refused = id_of(&world.dialled(call("61402010403")).await);
    assert_eq!(world.app.cancel(&cancelled).await.status(), 200);
    let sent = world.n8n.wait_for(RESULTS, 2, SOON).await;
    let reasons = |id: &str| {
        let of = sent
            .iter()
            .map(|entry| entry.body().unwrap())
            .filter(|body| body["dispatch_id"] == id);
        of.map(|body| body["end_reason"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (reasons(&cancelled), reasons(&refused)),
        (vec![json!("cancelled")], vec![json!("refused")])
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn call_result_webhook_url_wins(pool: PgPool) {
    let world = World::with(
        &pool,
        &[("CALL_RESULT_WEBHOOK_URL", "http://127.0.0.1:9/nowhere")],
    )
    .await;
    let over = ended(&world, "61402012298").await;
    let owed = || async {
        let error: Option<Value> =
            sqlx::query_scalar("SELECT last_error FROM dispatch.outbox WHERE state = 'owed'")
                .fetch_optional(&pool)
                .await
                .unwrap()
                .flatten();
        error
    };
    switchhook_chassis::testing::eventually(owed, SOON).await;
    assert_eq!(over["status"], "ended");
    assert!(world.n8n.log_of(RESULTS).is_empty());
}
