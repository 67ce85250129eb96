//! Killed at every step of a dial: after the restart and the retry with the same key, LiveKit has acted on exactly one dispatch,
//! or on at most one and the caller is told that nobody knows.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, json_of};
use switchhook_standins::Control;
use switchhook_standins::livekit::RoomSeen;

use crate::world::{
    Ask, CREATE_DISPATCH, CREATE_ROOM, LIST_DISPATCH, SOON, World, call, call_with, failed, late, lost,
    replica,
};

const NUMBER: &str = "61402012298";

/// Kills the replica while it waits for LiveKit's answer, once LiveKit is as described; and starts another.
async fn killed_at(
    pool: &PgPool,
    (path, control): (&str, Control),
    described: fn(&[RoomSeen]) -> bool,
) -> World {
    let world = World::new(pool).await;
    world.on(path, control);
    let url = world.app.url("/dispatch");
    let request = world.app.client().post(url);
    let request = request.header("x-n8n-webhook-secret", world.app.secret());
    let request = request.header("Idempotency-Key", "k").json(&call(NUMBER));
    let waiting = tokio::spawn(request.send());
    world.until_asked(path, 1).await;
    let look = || async { described(&world.livekit.rooms()).then_some(()) };
    eventually(look, SOON).await;
    let world = world.reborn(pool).await;
    // Broken, or the last words of a server without a service.
    drop(waiting.await);
    world.livekit.clear();
    world
}

/// LiveKit has done what it was asked.
fn has_a_room(rooms: &[RoomSeen]) -> bool {
    rooms.len() == 1
}

/// LiveKit has done what it was asked.
fn has_a_dispatch(rooms: &[RoomSeen]) -> bool {
    rooms.iter().any(|room| room.dispatches.len() == 1)
}

/// LiveKit does not do what it was asked.
fn as_it_is(_: &[RoomSeen]) -> bool {
    true
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_while_the_room_is_made(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_ROOM, late()), has_a_room).await;
    let answer = json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(world.acted().len(), 1);
    assert_eq!(answer["dispatch_id"], world.acted()[0].dispatch_id.as_str());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_after_the_dispatch_was_made_and_before_its_answer(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, late()), has_a_dispatch).await;
    let answer = json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(world.acted().len(), 1);
    assert_eq!(answer["dispatch_id"], world.acted()[0].dispatch_id.as_str());
    assert_eq!(
        json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await,
        answer
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_while_a_dispatch_is_still_on_its_way(pool: PgPool) {
    // The request was written before the process died, and is acted on later: here by the test's own hand.
    let world = killed_at(&pool, (CREATE_DISPATCH, lost()), as_it_is).await;
    let room = world.livekit.open_rooms().remove(0);
    let retry = world.app.keyed(Some("k"), call(NUMBER));
    let late = async {
        // Whoever repeats it has looked, and waits.
        world.until_asked(LIST_DISPATCH, 4).await;
        world.dispatch_at_livekit(&room).await;
    };
    let (answer, ()) = tokio::join!(retry, late);
    let answer = json_of(answer, 200).await;
    assert_eq!(world.acted().len(), 1);
    assert_eq!(answer["dispatch_id"], world.acted()[0].dispatch_id.as_str());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_while_a_dispatch_gets_lost(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, lost()), as_it_is).await;
    let answer = json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    let acted = world.acted();
    assert_eq!(acted.len(), 1);
    assert_eq!(
        (&answer["dispatch_id"], &answer["room"]),
        (&json!(acted[0].dispatch_id), &json!(acted[0].room))
    );
    assert_eq!(world.livekit.rooms().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_and_the_room_is_gone_by_then(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, late()), has_a_dispatch).await;
    let room = world.livekit.open_rooms().remove(0);
    assert!(world.livekit.close_room(&room));
    for _ in 0..2 {
        failed(
            world.app.keyed(Some("k"), call(NUMBER)).await,
            502,
            "outcome_unknown",
        )
        .await;
    }
    assert!(world.acted().len() <= 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn killed_after_the_record_and_before_the_answer(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with(NUMBER, json!({"wait": "ended", "wait_seconds": 3}));
    let url = world.app.url("/dispatch");
    let request = world
        .app
        .client()
        .post(url)
        .header("x-n8n-webhook-secret", world.app.secret());
    let waiting = tokio::spawn(request.header("Idempotency-Key", "k").json(&body).send());
    let listed = world.app.until_listed(|item| item["job_id"].is_string()).await;
    let world = world.reborn(&pool).await;
    drop(waiting.await);
    let answer = json_of(world.app.keyed(Some("k"), body).await, 200).await;
    assert_eq!(answer["dispatch_id"], listed["dispatch_id"]);
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn nobody_repeats_a_dial_that_was_not_begun_and_its_number_is_free(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_ROOM, lost()), as_it_is).await;
    let failed = world.app.until_listed(|item| item["status"] == "failed").await;
    assert_eq!(
        (&failed["dispatch_id"], &failed["end_reason"]),
        (&Value::Null, &Value::Null)
    );
    world.dialled(call(NUMBER)).await;
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn nobody_repeats_a_dial_that_was_made_and_it_is_adopted(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, late()), has_a_dispatch).await;
    let adopted = world.app.until_listed(|item| item["job_id"].is_string()).await;
    assert_eq!(adopted["dispatch_id"], world.acted()[0].dispatch_id.as_str());
    let again = json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(again["dispatch_id"], adopted["dispatch_id"]);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn nobody_repeats_a_dial_that_got_lost_and_the_job_never_sends(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, lost()), as_it_is).await;
    sqlx::query("UPDATE dispatch.dispatches SET sending_at = sending_at - interval '1 minute'")
        .execute(&pool)
        .await
        .unwrap();
    let failed_row = world.app.until_listed(|item| item["status"] == "failed").await;
    assert_eq!(failed_row["end_reason"], "unknown");
    world.until_no_room().await;
    failed(
        world.app.keyed(Some("k"), call(NUMBER)).await,
        502,
        "outcome_unknown",
    )
    .await;
    assert_eq!(world.acted().len(), 0);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_dispatch_too_much_is_removed(pool: PgPool) {
    let world = killed_at(&pool, (CREATE_DISPATCH, lost()), as_it_is).await;
    // Two dispatches in the room: the one that got through late and one that nobody knows.
    let room = world.livekit.open_rooms().remove(0);
    world.livekit.set_workers(0);
    for _ in 0..2 {
        world.dispatch_at_livekit(&room).await;
    }
    let adopted = world
        .app
        .until_listed(|item| item["dispatch_id"].is_string())
        .await;
    let look =
        || async { (world.dispatches_in(&room).await == [adopted["dispatch_id"].clone()]).then_some(()) };
    eventually(look, SOON).await;
}

impl World {
    async fn twirp(&self, method: &str, body: Value) -> Value {
        let grants = json!({"iss": switchhook_standins::livekit::DEFAULT_KEY, "exp": 4_000_000_000_i64, "nbf": 0,
            "video": {"roomAdmin": true, "room": body["room"]}});
        let spec = switchhook_chassis::testing::TokenSpec { claims: grants };
        let url = format!(
            "{}/twirp/livekit.AgentDispatchService/{method}",
            self.livekit.url()
        );
        let token = spec.sign(switchhook_standins::livekit::DEFAULT_SECRET);
        let request = self.app.client().post(url).bearer_auth(token).json(&body);
        json_of(request.send().await.unwrap(), 200).await
    }

    async fn dispatch_at_livekit(&self, room: &str) {
        let body = json!({"room": room, "agentName": "nehos-outbound-agent", "metadata": "{}"});
        self.twirp("CreateDispatch", body).await;
    }

    async fn dispatches_in(&self, room: &str) -> Vec<Value> {
        let listed = self.twirp("ListDispatch", json!({"room": room})).await;
        let dispatches = listed["agentDispatches"].as_array().cloned().unwrap_or_default();
        dispatches.iter().map(|found| found["id"].clone()).collect()
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn another_replica_takes_over_from_a_dead_one(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.livekit, &world.n8n, &[]).await;
    world.on(CREATE_DISPATCH, late());
    let url = world.app.url("/dispatch");
    let request = world
        .app
        .client()
        .post(url)
        .header("x-n8n-webhook-secret", world.app.secret());
    let waiting = tokio::spawn(request.header("Idempotency-Key", "k").json(&call(NUMBER)).send());
    world.until_asked(CREATE_DISPATCH, 1).await;
    let World { app, livekit, .. } = world;
    app.kill();
    drop(waiting.await);
    // Its row grows old by itself: no clock is helped here.
    let answer = json_of(other.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(livekit.acted().len(), 1);
    assert_eq!(answer["dispatch_id"], livekit.acted()[0].dispatch_id.as_str());
}
