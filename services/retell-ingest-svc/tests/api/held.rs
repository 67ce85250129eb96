//! Calls of an agent that nobody has wait for whoever proves that it is his.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};

use crate::world::{ADA, ADAS_KEY, AGENT, BOB, SOON, World, event, event_of, ms, replica};

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_held_call_is_answered_202_and_shown_to_nobody(pool: PgPool) {
    let world = World::new(&pool).await;
    let started = event("call_started", "call_1", json!({"start_timestamp": ms(-60)}));
    let expected =
        json!({"success": true, "held": true, "message": "No client found for this agent", "agentId": AGENT});
    assert_eq!(world.forward(started.clone(), 202).await, expected);
    assert_eq!(world.forward(started, 202).await["duplicate"], true);
    assert!(world.calls(ADA).await.is_empty());
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn with_proof_the_held_calls_become_the_clients(pool: PgPool) {
    let world = World::new(&pool).await;
    for call in 0..450 {
        let facts = json!({"start_timestamp": 1_609_459_200_000_i64, "duration_ms": 60_000});
        world
            .forward(event("call_ended", &format!("call_{call}"), facts), 202)
            .await;
    }
    world
        .forward(event_of("agent_of_nobody", "call_ended", "other", json!({})), 202)
        .await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let adopted = "SELECT count(*) FROM retell.calls WHERE user_id = 'ada'";
    let adopted: i64 = sqlx::query_scalar(adopted).fetch_one(&world.pool).await.unwrap();
    assert_eq!(adopted, 450);
    let call = world.call(ADA, "call_7").await;
    assert_eq!(call["durationMinutes"], 1.0);
    let told = world
        .forward(event("call_analyzed", "call_7", json!({})), 200)
        .await;
    assert_eq!(told["data"]["userId"], ADA);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn without_proof_nobody_gets_what_was_held_before_he_connected(pool: PgPool) {
    let world = World::new(&pool).await;
    world
        .forward(
            event("call_started", "call_1", json!({"start_timestamp": ms(-60)})),
            202,
        )
        .await;
    world.connect(BOB, AGENT).await;
    // Also when the call goes on after he connected.
    world
        .forward(
            event("call_ended", "call_1", json!({"start_timestamp": ms(-60)})),
            202,
        )
        .await;
    world
        .forward(
            event("call_started", "call_2", json!({"start_timestamp": ms(0)})),
            200,
        )
        .await;
    let calls = world.calls(BOB).await;
    assert_eq!((calls.len(), &calls[0]["callId"]), (1, &json!("call_2")));
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    assert_eq!(world.call(ADA, "call_1").await["status"], "ended");
    assert_eq!(world.calls(BOB).await.len(), 1);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn proof_can_be_waived(pool: PgPool) {
    let world = World::with(&pool, &[("RETELL_ADOPT_UNPROVEN", "true")]).await;
    world
        .forward(event("call_started", "call_1", json!({})), 202)
        .await;
    world.connect(BOB, AGENT).await;
    assert_eq!(world.calls(BOB).await.len(), 1);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn proving_later_brings_what_was_held(pool: PgPool) {
    let world = World::new(&pool).await;
    world
        .forward(event("call_started", "call_1", json!({})), 202)
        .await;
    world.connect(ADA, AGENT).await;
    assert!(world.calls(ADA).await.is_empty());
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    assert_eq!(world.calls(ADA).await.len(), 1);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_came_before_the_window_is_not_adopted_whatever_the_call_s_own_time(pool: PgPool) {
    let world = World::with(&pool, &[("HELD_CALLS_WINDOW", "1h")]).await;
    for call in ["old", "young"] {
        world
            .forward(
                event(
                    "call_ended",
                    call,
                    json!({"start_timestamp": ms(-30 * 24 * 3600)}),
                ),
                202,
            )
            .await;
    }
    let age = "UPDATE retell.calls SET heard_at = heard_at - interval '2 hours' WHERE call_id = 'old'";
    sqlx::query(age).execute(&world.pool).await.unwrap();
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let calls = world.calls(ADA).await;
    assert_eq!((calls.len(), &calls[0]["callId"]), (1, &json!("young")));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_that_met_the_connecting_on_the_way_is_found_by_the_next_round(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(ADA, AGENT).await;
    // As if it had been stored a moment before the connecting was committed, and counted a moment after.
    let met = "INSERT INTO retell.calls (agent_id, call_id, channel, stage, sources, created_at, heard_at, sort_at) \
               VALUES ($1, 'call_1', 'voice', 1, '[]', now(), now(), now())";
    sqlx::query(met).bind(AGENT).execute(&world.pool).await.unwrap();
    eventually(
        || async { (world.calls(ADA).await.len() == 1).then_some(()) },
        SOON,
    )
    .await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_held_call_that_the_client_has_already_is_merged_with_it(pool: PgPool) {
    let world = World::new(&pool).await;
    // The same call by two agents of one client: a call that was handed over.
    world.connect(ADA, "agent_second").await;
    let first = event_of(
        "agent_second",
        "call_started",
        "call_1",
        json!({"direction": "inbound", "start_timestamp": ms(-60)}),
    );
    world.forward(first, 200).await;
    let other = event(
        "call_analyzed",
        "call_1",
        json!({"call_analysis": {"call_summary": "Both."}}),
    );
    world.forward(other.clone(), 202).await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let call = world.call(ADA, "call_1").await;
    assert_eq!(
        (&call["direction"], &call["summary"]),
        (&json!("inbound"), &json!("Both."))
    );
    assert_eq!((world.count("calls").await, world.count("events").await), (1, 2));
    assert_eq!(world.forward(other, 200).await["duplicate"], true);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn two_replicas_adopt_a_call_once(pool: PgPool) {
    let world = World::new(&pool).await;
    let _other = replica(&pool, &world.retell, &[]).await;
    for call in 0..50 {
        world
            .forward(event("call_ended", &format!("call_{call}"), json!({})), 202)
            .await;
    }
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    let all = || async { (world.count("calls WHERE user_id = 'ada'").await == 50).then_some(()) };
    eventually(all, SOON).await;
    assert_eq!(world.count("events").await, 50);
}
