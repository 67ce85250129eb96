//! A call belongs to whoever had its agent when it started, whenever its events arrive.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ADAS_KEY, AGENT, BOB, World, event, ms};

/// Moves the tenures of the agent into the past, in seconds from now.
async fn had_it(world: &World, user: &str, from: i64, to: Option<i64>) {
    let sql = "UPDATE retell.tenures SET began_at = now() + make_interval(secs => $2), \
               ended_at = now() + make_interval(secs => $3) WHERE user_id = $1";
    let done = sqlx::query(sql)
        .bind(user)
        .bind(from as f64)
        .bind(to.map(|to| to as f64))
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

/// Ada had the agent from an hour to half an hour ago, Bob has it since twenty minutes.
async fn after_each_other(pool: &PgPool) -> World {
    let world = World::new(pool).await;
    world.connect(ADA, AGENT).await;
    json_of(world.app.delete(ADA, "/api/retell/disconnect-agent").await, 200).await;
    world.connect(BOB, AGENT).await;
    had_it(&world, ADA, -3600, Some(-1800)).await;
    had_it(&world, BOB, -1200, None).await;
    world
}

fn owner(told: &Value) -> &str {
    told["data"]["userId"].as_str().unwrap()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_late_event_goes_to_whoever_had_the_agent_when_the_call_started(pool: PgPool) {
    let world = after_each_other(&pool).await;
    let started = json!({"start_timestamp": ms(-3000)});
    assert_eq!(
        owner(&world.forward(event("call_ended", "old", started), 200).await),
        ADA
    );
    let counted_back = json!({"end_timestamp": ms(-1750), "duration_ms": 100_000});
    assert_eq!(
        owner(
            &world
                .forward(event("call_ended", "counted", counted_back), 200)
                .await
        ),
        ADA
    );
    let new = json!({"start_timestamp": ms(-600)});
    assert_eq!(
        owner(&world.forward(event("call_ended", "new", new), 200).await),
        BOB
    );
    assert_eq!(
        (world.calls(ADA).await.len(), world.calls(BOB).await.len()),
        (2, 1)
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn without_a_time_or_a_tenure_that_holds_it_whoever_has_the_agent_gets_the_call(pool: PgPool) {
    let world = after_each_other(&pool).await;
    for (call, facts) in [
        ("untimed", json!({})),
        ("of_2021", json!({"start_timestamp": 1_609_459_200_000_i64})),
        ("between", json!({"start_timestamp": ms(-1500)})),
    ] {
        assert_eq!(
            owner(&world.forward(event("call_ended", call, facts), 200).await),
            BOB,
            "{call}"
        );
    }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_same_call_id_of_two_clients_is_two_calls(pool: PgPool) {
    let world = after_each_other(&pool).await;
    let of = |seconds| json!({"start_timestamp": ms(seconds), "call_analysis": {"call_summary": format!("at {seconds}")}});
    world
        .forward(event("call_analyzed", "call_1", of(-3000)), 200)
        .await;
    world
        .forward(event("call_analyzed", "call_1", of(-600)), 200)
        .await;
    assert_eq!(world.call(ADA, "call_1").await["summary"], "at -3000");
    assert_eq!(world.call(BOB, "call_1").await["summary"], "at -600");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn after_disconnecting_earlier_calls_stay_and_go_on_and_later_ones_are_held(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(ADA, AGENT).await;
    world
        .forward(event("call_started", "running", json!({})), 200)
        .await;
    json_of(world.app.delete(ADA, "/api/retell/disconnect-agent").await, 200).await;
    assert_eq!(
        owner(
            &world
                .forward(event("call_ended", "running", json!({})), 200)
                .await
        ),
        ADA
    );
    let later = event("call_started", "later", json!({"start_timestamp": ms(60)}));
    assert_eq!(world.forward(later, 202).await["held"], true);
    let calls = world.calls(ADA).await;
    assert_eq!((calls.len(), &calls[0]["status"]), (1, &json!("ended")));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_second_agent_takes_the_place_of_the_first_whose_later_calls_are_held(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(ADA, "agent_first").await;
    world.connect(ADA, AGENT).await;
    let of_first = |call: &str| json!({"event": "call_ended", "call": {"call_id": call, "agent_id": "agent_first", "start_timestamp": ms(60)}});
    world.forward(of_first("call_1"), 202).await;
    world.forward(event("call_ended", "call_2", json!({})), 200).await;
    world.connect(BOB, "agent_first").await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_takeover_leaves_the_loser_his_earlier_calls(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(BOB, AGENT).await;
    world
        .forward(
            event("call_ended", "before", json!({"start_timestamp": ms(0)})),
            200,
        )
        .await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    world
        .forward(
            event("call_ended", "after", json!({"start_timestamp": ms(60)})),
            200,
        )
        .await;
    let ids = |calls: Vec<Value>| {
        calls
            .iter()
            .map(|call| call["callId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(world.calls(BOB).await), ids(world.calls(ADA).await)),
        (vec!["before".into()], vec!["after".into()])
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_that_has_its_client_stays_his_whoever_has_the_agent_by_now(pool: PgPool) {
    let world = World::new(&pool).await;
    // It started before anybody had the agent, so only its arrival tells whose it is.
    let start = json!({"start_timestamp": ms(-3600)});
    world.connect(ADA, AGENT).await;
    let started = event("call_started", "call_1", start.clone());
    assert_eq!(owner(&world.forward(started.clone(), 200).await), ADA);
    json_of(world.app.delete(ADA, "/api/retell/disconnect-agent").await, 200).await;
    world.connect("carol", AGENT).await;
    json_of(
        world.app.delete("carol", "/api/retell/disconnect-agent").await,
        200,
    )
    .await;
    world.connect(BOB, AGENT).await;
    let again = world.forward(started, 200).await;
    assert_eq!((owner(&again), &again["duplicate"]), (ADA, &json!(true)));
    for more in [start, json!({"transcript": "Agent: This is Ada's."})] {
        assert_eq!(
            owner(&world.forward(event("call_analyzed", "call_1", more), 200).await),
            ADA
        );
    }
    assert!(world.calls(BOB).await.is_empty());
    assert_eq!(
        world.call(ADA, "call_1").await["transcript"],
        "Agent: This is Ada's."
    );
}
