//! A dial that goes well: what is asked of LiveKit, what is answered, what the answer waits for.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};
use switchhook_standins::Control;
use switchhook_standins::livekit::{Delivery, Ending, Plan};

use crate::world::{
    ACCOUNT, Ask, CREATE_DISPATCH, CREATE_ROOM, LIST_DISPATCH, SOON, World, call, call_with, failed, id_of,
    says,
};

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn one_request_makes_a_room_and_one_dispatch_and_answers_with_the_job(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with(
        "61402012298",
        json!({"transfer_target": 61_731_071_901_u64, "llm": "openai/gpt-4o-mini",
        "session_options": {"preemptive_generation": "no"}, "record_call": "off", "metadata": {"ticket_id": "INC-1234"}}),
    );
    let answer = world.dialled(body).await;
    let acted = world.acted();
    assert_eq!(acted.len(), 1);
    assert_eq!(answer["dispatch_id"], acted[0].dispatch_id.as_str());
    assert_eq!(answer["job_id"], acted[0].job_id.as_str());
    assert_eq!(answer["room"], acted[0].room.as_str());
    assert!(
        acted[0].room.starts_with("outbound-") && acted[0].room.len() == 19,
        "{answer}"
    );
    assert_eq!(answer["agent_name"], "nehos-outbound-agent");
    let metadata = json!({"destination": "61402012298", "account_code": ACCOUNT, "transfer_target": "61731071901",
        "ticket_id": "INC-1234"});
    let options = json!({"preemptive_generation": false, "llm": "openai/gpt-4o-mini"});
    assert_eq!(
        (&answer["metadata"], &answer["session_options"]),
        (&metadata, &options)
    );
    assert_eq!(
        (&answer["status"], &answer["call_start"]),
        (&json!("dispatched"), &Value::Null)
    );
    let job = &answer["state"]["jobs"][0];
    assert_eq!(
        (&job["id"], &job["dispatch_id"]),
        (&answer["job_id"], &answer["dispatch_id"])
    );
    assert_eq!(job["state"]["status"], 1);
    assert!(
        job["state"]["started_at"].as_str().unwrap().ends_with('Z'),
        "{job}"
    );
    let mut told = metadata;
    told["session_options"] = options;
    told["record_call"] = json!(false);
    assert_eq!(serde_json::from_str::<Value>(&acted[0].metadata).unwrap(), told);
    let room = world
        .livekit
        .log()
        .into_iter()
        .find(|entry| entry.path == CREATE_ROOM)
        .unwrap();
    let room = room.body().unwrap();
    assert_eq!(
        (&room["emptyTimeout"], &room["departureTimeout"]),
        (&json!(600), &json!(600))
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_n8n_wraps_is_unwrapped(pool: PgPool) {
    let world = World::new(&pool).await;
    let item = json!([{"headers": {"host": "x"}, "params": {}, "query": {}, "body": call("61402012298")}]);
    let answer = world.dialled(item).await;
    assert_eq!(answer["metadata"]["destination"], "61402012298");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_worker_that_takes_its_time_is_waited_for(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        ending: Ending::Never,
        job_after: Duration::from_millis(300),
        ..Plan::default()
    });
    let answer = world.dialled(call("61402012298")).await;
    assert!(answer["job_id"].as_str().unwrap().starts_with("AJ_"), "{answer}");
    let other = world
        .dialled(call_with("61402012299", json!({"wait_seconds": 0})))
        .await;
    assert_eq!(
        (&other["job_id"], &other["status"]),
        (&Value::Null, &json!("dispatched"))
    );
    let shown = world
        .app
        .until(&id_of(&other), |shown| shown["job_id"].is_string())
        .await;
    assert_eq!(shown["state"]["jobs"][0]["id"], shown["job_id"]);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn without_a_worker_the_room_is_deleted_and_the_number_free_again(pool: PgPool) {
    let world = World::with(&pool, &[("WORKER_WAIT", "1s")]).await;
    world.livekit.set_workers(0);
    let body = call("61402012298");
    let answer = json_of(world.app.keyed(Some("k"), body.clone()).await, 200).await;
    assert_eq!(
        (&answer["status"], &answer["job_id"]),
        (&json!("no_worker"), &Value::Null)
    );
    assert!(
        answer["warning"]
            .as_str()
            .unwrap()
            .contains("nehos-outbound-agent"),
        "{answer}"
    );
    world.until_no_room().await;
    assert_eq!(world.app.shown(&id_of(&answer)).await["status"], "no_worker");
    world.livekit.set_workers(1);
    // Key and window are free: the same request dials, and so does one without a key.
    let again = json_of(world.app.keyed(Some("k"), body.clone()).await, 200).await;
    assert_ne!(again["dispatch_id"], answer["dispatch_id"]);
    assert!(again["job_id"].is_string(), "{again}");
    failed(world.app.dispatch(body).await, 409, "duplicate_dial").await;
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn that_livekit_cannot_be_asked_is_no_proof_that_nobody_has_the_job(pool: PgPool) {
    let world = World::with(&pool, &[("WORKER_WAIT", "300ms")]).await;
    world.livekit.set_delivery(Delivery {
        sends: false,
        ..Delivery::default()
    });
    let broken = Control {
        times: 0,
        ..says(500, json!({"code": "internal", "msg": "oops"}))
    };
    world.on(LIST_DISPATCH, broken);
    let body = call_with("61402012298", json!({"wait_seconds": 0}));
    let answer = json_of(world.app.keyed(Some("k"), body).await, 200).await;
    // Twice as long as a worker may take.
    world.until_asked(LIST_DISPATCH, 8).await;
    let shown = world.app.shown(&id_of(&answer)).await;
    assert_eq!(shown["status"], "dispatched");
    assert_eq!(world.livekit.open_rooms().len(), 1);
    world.livekit.clear();
    let shown = world
        .app
        .until(&id_of(&answer), |shown| shown["job_id"].is_string())
        .await;
    assert_eq!(shown["job_id"], world.acted()[0].job_id.as_str());
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn where_the_room_is_gone_nobody_knows_and_the_key_never_dials_again(pool: PgPool) {
    let world = World::with(&pool, &[("WORKER_WAIT", "1s")]).await;
    world.livekit.set_workers(0);
    let body = call_with("61402012298", json!({"wait_seconds": 0}));
    let answer = json_of(world.app.keyed(Some("k"), body.clone()).await, 200).await;
    assert!(world.livekit.close_room(answer["room"].as_str().unwrap()));
    let shown = world
        .app
        .until(&id_of(&answer), |shown| shown["status"] != "dispatched")
        .await;
    assert_eq!(
        (&shown["status"], &shown["end_reason"]),
        (&json!("ended"), &json!("unknown"))
    );
    let again = json_of(world.app.keyed(Some("k"), body).await, 200).await;
    assert_eq!(again["dispatch_id"], answer["dispatch_id"]);
}

/// A job that LiveKit lists before a worker takes it.
fn pending(job_after: Duration) -> Plan {
    Plan {
        ending: Ending::Never,
        pends: true,
        job_after,
        ..Plan::default()
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_job_that_is_only_pending_is_waited_for_until_a_worker_has_it(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(pending(Duration::from_millis(300)));
    let answer = world.dialled(call("61402012298")).await;
    assert_eq!(answer["job_id"], world.acted()[0].job_id.as_str());
    assert_eq!(answer["state"]["jobs"][0]["state"]["status"], 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_job_that_stays_pending_has_no_worker(pool: PgPool) {
    let world = World::with(&pool, &[("WORKER_WAIT", "500ms")]).await;
    world.livekit.clear_plans();
    world.livekit.plan(pending(Duration::from_secs(3_600)));
    let answer = world.dialled(call("61402012298")).await;
    assert_eq!(
        (&answer["status"], &answer["job_id"]),
        (&json!("no_worker"), &Value::Null)
    );
    world.until_no_room().await;
    assert!(world.acted().is_empty());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_late_worker_finds_the_room_gone(pool: PgPool) {
    let world = World::with(&pool, &[("WORKER_WAIT", "200ms")]).await;
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        ending: Ending::Never,
        job_after: Duration::from_secs(2),
        ..Plan::default()
    });
    let answer = world.dialled(call("61402012298")).await;
    assert_eq!(answer["status"], "no_worker");
    world.until_no_room().await;
    let look = || async { (world.livekit.turned_away() == 1).then_some(()) };
    eventually(look, SOON).await;
    assert!(
        world.acted().iter().all(|acted| !acted.dialled),
        "{:?}",
        world.acted()
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn an_answer_may_wait_for_no_longer_than_it_was_told(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with("61402012298", json!({"wait": "ended", "wait_seconds": 1}));
    let answer = world.dialled(body).await;
    assert!(
        ["dispatched", "ringing"].contains(&answer["status"].as_str().unwrap()),
        "{answer}"
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_dial_once_begun_is_finished_though_its_caller_hangs_up(pool: PgPool) {
    let world = World::new(&pool).await;
    world.on(
        CREATE_ROOM,
        Control {
            delay: Duration::from_secs(1),
            ..Default::default()
        },
    );
    let request = world.app.client().post(world.app.url("/dispatch"));
    let request = request.header("x-n8n-webhook-secret", world.app.secret());
    let request = request
        .json(&call("61402012298"))
        .timeout(Duration::from_millis(300));
    request.send().await.unwrap_err();
    let listed = world.app.until_listed(|item| item["job_id"].is_string()).await;
    assert_eq!(listed["dispatch_id"], world.acted()[0].dispatch_id.as_str());
    assert_eq!(
        world
            .livekit
            .log()
            .iter()
            .filter(|entry| entry.path == CREATE_DISPATCH)
            .count(),
        1
    );
}
