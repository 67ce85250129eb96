//! What agents report at the end of calls: kept once, passed on to n8n, shown with the call.

use dispatch_bridge_svc::app::DispatchBridgeSvc;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::app::Program;
use switchhook_chassis::testing::json_of;
use switchhook_core::ids::UserId;

use crate::world::{Ask, RESULTS, SOON, World, call, failed, id_of};

const PATH: &str = "/agent/call-summary";

async fn reported(world: &World, report: Value) {
    let said = json_of(world.app.as_n8n(PATH, report).await, 200).await;
    assert_eq!(said, json!({"success": true}));
}

/// The reports that n8n got, once there are so many.
async fn passed_on(world: &World, count: usize) -> Vec<Value> {
    let sent = world.n8n.wait_for(RESULTS, count, SOON).await;
    sent.iter().map(|entry| entry.body().unwrap()).collect()
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_report_is_kept_shown_and_passed_on_whatever_names_its_call(pool: PgPool) {
    let world = World::new(&pool).await;
    let placed = world.dialled(call("61402012298")).await;
    for (count, name) in ["dispatch_id", "room", "job_id"].into_iter().enumerate() {
        let report = json!({name: placed[name], "event": "session_closed", "transcript": [{"role": "user", "text": "Hi"}],
            "usage": {"llm_tokens": count}});
        reported(&world, report.clone()).await;
        let sent = passed_on(&world, count + 1).await.pop().unwrap();
        assert_eq!(sent["event"], "call_summary");
        for known in ["dispatch_id", "room", "job_id"] {
            assert_eq!(sent[known], placed[known], "{known}");
        }
        assert_eq!(
            (&sent["transcript"], &sent["usage"]),
            (&report["transcript"], &report["usage"])
        );
        let shown = world.app.shown(&id_of(&placed)).await;
        assert_eq!(shown["summary"], report);
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_same_report_twice_counts_once_and_wrapped_it_is_the_same(pool: PgPool) {
    let world = World::new(&pool).await;
    let placed = world.dialled(call("61402012298")).await;
    let report = json!({"dispatch_id": placed["dispatch_id"], "usage": 1});
    reported(&world, report.clone()).await;
    reported(&world, report.clone()).await;
    reported(&world, json!([report])).await;
    reported(
        &world,
        json!({"headers": {}, "params": {}, "query": {}, "body": report}),
    )
    .await;
    reported(&world, json!({"dispatch_id": placed["dispatch_id"], "usage": 2})).await;
    let sent = passed_on(&world, 2).await;
    assert_eq!(
        sent.iter().map(|body| body["usage"].clone()).collect::<Vec<_>>(),
        [json!(1), json!(2)]
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_report_of_an_unknown_call_is_passed_on_too(pool: PgPool) {
    let world = World::new(&pool).await;
    reported(&world, json!({"room": "inbound-7", "transcript": "a\u{0}b"})).await;
    let sent = passed_on(&world, 1).await.pop().unwrap();
    let names = ["dispatch_id", "room", "job_id"].map(|name| sent[name].clone());
    assert_eq!(names, [Value::Null, json!("inbound-7"), Value::Null]);
    assert_eq!(sent["transcript"], "a\u{0}b");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_report_waits_for_an_n8n_that_is_away_and_survives_its_replica(pool: PgPool) {
    let world = World::new(&pool).await;
    world.n8n.down().await.unwrap();
    reported(&world, json!({"room": "inbound-7", "usage": 1})).await;
    let world = world.reborn(&pool).await;
    world.n8n.up().await.unwrap();
    assert_eq!(passed_on(&world, 1).await[0]["room"], "inbound-7");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_names_no_call_is_refused(pool: PgPool) {
    let world = World::new(&pool).await;
    for report in [
        json!({}),
        json!({"usage": 1}),
        json!({"dispatch_id": null}),
        json!({"room": ["r"]}),
        json!({"job_id": "a\u{0}"}),
        json!({"dispatch_id": "x".repeat(300)}),
    ] {
        failed(world.app.as_n8n(PATH, report).await, 400, "invalid_field").await;
    }
    failed(world.app.as_n8n(PATH, json!("text")).await, 400, "invalid_json").await;
    assert!(world.n8n.log_of(RESULTS).is_empty());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn only_agents_with_the_secret_and_operators_report(pool: PgPool) {
    let world = World::new(&pool).await;
    let report = json!({"room": "inbound-7"});
    let nobody = world
        .app
        .client()
        .post(world.app.url(PATH))
        .json(&report)
        .send()
        .await
        .unwrap();
    failed(nobody, 401, "unauthorized").await;
    failed(
        world.app.post("ada", PATH, report.clone()).await,
        403,
        "forbidden",
    )
    .await;
    let operator = world
        .app
        .client()
        .post(world.app.url(PATH))
        .bearer_auth(world.app.operator("olga"));
    assert_eq!(operator.json(&report).send().await.unwrap().status(), 200);
    failed(
        world.app.as_machine(Method::GET, PATH, None).await,
        405,
        "method_not_allowed",
    )
    .await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_report_may_be_as_large_as_n8n_takes_one(pool: PgPool) {
    const MIB: usize = 1024 * 1024;
    let world = World::new(&pool).await;
    let placed = world.dialled(call("61402012298")).await;
    let large = |bytes: usize| json!({"dispatch_id": placed["dispatch_id"], "transcript": "x".repeat(bytes)});
    reported(&world, large(15 * MIB)).await;
    failed(
        world.app.as_n8n(PATH, large(16 * MIB)).await,
        413,
        "payload_too_large",
    )
    .await;
    // Too large to be shown with its call.
    let shown = world.app.shown(&id_of(&placed)).await;
    assert_eq!(shown["summary"], Value::Null);
    assert!(
        shown["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["kind"] == "call_summary")
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_late_report_of_an_erased_call_brings_nothing_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let placed = world.dialled(call("61402012298")).await;
    let person = UserId::parse("+61 402 012 298").unwrap();
    assert_eq!(
        DispatchBridgeSvc::erase(world.app.state(), &person)
            .await
            .unwrap(),
        1
    );
    for name in ["dispatch_id", "room", "job_id"] {
        reported(&world, json!({name: placed[name], "usage": name})).await;
    }
    let kept: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM dispatch.summaries) + (SELECT count(*) FROM dispatch.outbox)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(kept, 0);
}
