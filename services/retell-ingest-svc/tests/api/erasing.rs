//! Erasing calls and people.

use reqwest::Method;
use retell_ingest_svc::app::RetellIngestSvc;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::app::Program;
use switchhook_chassis::testing::{failed, json_of};
use switchhook_core::ids::UserId;

use crate::analytics::assert_figures_agree;
use crate::search::digested;
use crate::world::{ADA, AGENT, BOB, OTHER_AGENT, World, event, event_of, ms};

const CALLS: &str = "/api/retell/calls";

async fn erase(world: &World, user: &str, query: &str, body: Option<Value>) -> i64 {
    let answer = world
        .app
        .as_user(user, Method::DELETE, &format!("{CALLS}{query}"), body)
        .await;
    let told = json_of(answer, 200).await;
    assert_eq!(told["success"], true);
    told["deleted"].as_i64().unwrap()
}

async fn call_from(world: &World, agent: &str, id: &str, from: &str, to: &str) {
    let said = json!({"start_timestamp": ms(-600), "duration_ms": 60_000, "from_number": from, "to_number": to,
        "transcript": "User: hello", "call_analysis": {"call_summary": "Hello."}});
    world
        .forward(event_of(agent, "call_analyzed", id, said), 200)
        .await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn all_calls_with_a_number_go_and_no_others(pool: PgPool) {
    let world = World::connected(&pool).await;
    for (id, from, to) in [
        ("c1", "+15550001", "+15559999"),
        ("c2", "+15559999", "15550001"),
        ("c3", "+15550002", "+15559999"),
    ] {
        call_from(&world, AGENT, id, from, to).await;
    }
    call_from(&world, OTHER_AGENT, "b1", "+15550001", "+15559999").await;
    // Two are digested, one is not.
    digested(&world).await;
    call_from(&world, AGENT, "c4", "+15550001", "+15559999").await;
    assert_eq!(
        erase(&world, ADA, "", Some(json!({"phone": "+15550001"}))).await,
        3
    );
    let left = world.calls(ADA).await;
    assert_eq!((left.len(), &left[0]["callId"]), (1, &json!("c3")));
    assert_eq!(world.calls(BOB).await.len(), 1);
    assert_eq!(
        erase(&world, ADA, "", Some(json!({"phone": "+15550001"}))).await,
        0
    );
    // An unescaped plus sign, and none at all.
    assert_eq!(erase(&world, BOB, "?phone=+15550001", None).await, 1);
    assert_eq!(erase(&world, ADA, "?phone=15550002", None).await, 1);
    let figures = json_of(world.app.get(ADA, "/api/retell/analytics").await, 200).await;
    assert_eq!(figures["data"]["calls"], 0);
    digested(&world).await;
    for table in ["calls", "events", "changes", "digests", "figures"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    assert_eq!(world.count("tombstones").await, 10, "by agent and by client");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_erased_call_stays_away_whatever_comes_late(pool: PgPool) {
    let world = World::connected(&pool).await;
    call_from(&world, AGENT, "c1", "+1", "+2").await;
    call_from(&world, AGENT, "c2", "+1", "+2").await;
    call_from(&world, OTHER_AGENT, "c1", "+1", "+2").await;
    assert_eq!(erase(&world, BOB, "?callId=c2", None).await, 0);
    assert_eq!(erase(&world, ADA, "", Some(json!({"callId": "c1"}))).await, 1);
    failed(world.app.get(ADA, &format!("{CALLS}/c1")).await, 404, "not_found").await;
    let late = world
        .forward(event("call_analyzed", "c1", json!({"transcript": "late"})), 200)
        .await;
    assert_eq!(late, json!({"success": true, "erased": true}));
    failed(world.app.get(ADA, &format!("{CALLS}/c1")).await, 404, "not_found").await;
    assert_eq!(world.call(ADA, "c2").await["callId"], "c2");
    assert_eq!(world.call(BOB, "c1").await["callId"], "c1");
    digested(&world).await;
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn exactly_one_thing_is_named(pool: PgPool) {
    let world = World::connected(&pool).await;
    call_from(&world, AGENT, "c1", "+1", "+2").await;
    for (query, body) in [
        ("", None),
        ("", Some(json!({}))),
        ("", Some(json!({"phone": null}))),
        ("", Some(json!({"phone": "+1", "callId": "c1"}))),
        ("?callId=c1", Some(json!({"phone": "+1"}))),
        ("?callId=c1&phone=1", None),
        ("?callId=", None),
        ("", Some(json!({"phone": ["+1"]}))),
        ("", Some(json!({"callId": "a\u{0}"}))),
    ] {
        let answer = world
            .app
            .as_user(ADA, Method::DELETE, &format!("{CALLS}{query}"), body.clone())
            .await;
        failed(answer, 400, "invalid_field").await;
    }
    assert_eq!(world.calls(ADA).await.len(), 1);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn many_calls_are_erased_by_one_request(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let fill = include_str!("../../../../tests/data/retell/fill.sql");
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    sqlx::query("SELECT pg_temp.fill('ada', 3000)")
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query("SELECT pg_temp.fill('bob', 10)")
        .execute(&mut *connection)
        .await
        .unwrap();
    // The number that all of them were made to.
    assert_eq!(erase(&world, ADA, "?phone=14155550100", None).await, 3000);
    assert_eq!(world.count("calls").await, 10);
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_erased_client_leaves_nothing_but_tombstones(pool: PgPool) {
    let world = World::connected(&pool).await;
    call_from(&world, AGENT, "c1", "+1", "+2").await;
    digested(&world).await;
    call_from(&world, AGENT, "c2", "+1", "+2").await;
    call_from(&world, OTHER_AGENT, "b1", "+1", "+2").await;
    let ada = UserId::parse(ADA).unwrap();
    assert_eq!(RetellIngestSvc::erase(world.app.state(), &ada).await.unwrap(), 2);
    let traces: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM retell.calls WHERE user_id = 'ada' OR agent_id = 'agent_of_ada')
            + (SELECT count(*) FROM retell.digests WHERE user_id = 'ada')
            + (SELECT count(*) FROM retell.figures WHERE user_id = 'ada')
            + (SELECT count(*) FROM retell.tenures WHERE user_id = 'ada')
            + (SELECT count(*) FROM retell.users WHERE id = 'ada')
            + (SELECT count(*) FROM retell.events WHERE call NOT IN (SELECT id FROM retell.calls))",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((traces, world.count("tombstones").await), (0, 4));
    let late = world.forward(event("call_analyzed", "c1", json!({})), 200).await;
    assert_eq!(late["erased"], true);
    assert_eq!(world.calls(BOB).await.len(), 1);
    digested(&world).await;
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_erased_call_does_not_come_back_by_another_agent_of_its_client(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(ADA, "agent_first").await;
    let by_first = event_of("agent_first", "call_started", "call_1", json!({}));
    world.forward(by_first.clone(), 200).await;
    world.connect(ADA, AGENT).await;
    let by_second = event("call_ended", "call_1", json!({"transcript": "User: forget me"}));
    world.forward(by_second.clone(), 200).await;
    assert_eq!(erase(&world, ADA, "?callId=call_1", None).await, 1);
    for late in [by_first, by_second, event("call_analyzed", "call_1", json!({}))] {
        assert_eq!(world.forward(late, 200).await["erased"], true);
    }
    assert_eq!((world.count("calls").await, world.count("events").await), (0, 0));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_number_is_the_same_however_people_write_it(pool: PgPool) {
    let world = World::connected(&pool).await;
    for (id, written) in [
        ("a", "+1 (415) 555-1234"),
        ("b", "0014155551234"),
        ("c", "1.415.555.1234"),
    ] {
        call_from(&world, AGENT, id, "+14155551234", "+14155550000").await;
        assert_eq!(
            erase(&world, ADA, "", Some(json!({"phone": written}))).await,
            1,
            "{written}"
        );
    }
}
