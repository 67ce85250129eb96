//! Calls are followed to their end: by looks at LiveKit alone, by webhooks alone, and by another replica when one dies.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::eventually;
use switchhook_standins::Control;
use switchhook_standins::livekit::{Delivery, Ending, Plan};

use crate::world::{Ask, CREATE_DISPATCH, SOON, World, call, call_with, id_of, replica};

/// How exact a moment has to be that only looks at LiveKit can tell, on a slow machine.
const EXACT: TimeDelta = TimeDelta::seconds(6);

/// No webhook is ever sent.
pub(crate) fn silence() -> Delivery {
    Delivery {
        sends: false,
        ..Delivery::default()
    }
}

/// A call that rings shortly and is talked shortly.
pub(crate) fn brief(ending: Ending) -> Plan {
    Plan {
        ending,
        rings: Duration::from_millis(300),
        talks: Duration::from_millis(1_500),
        ..Plan::default()
    }
}

/// The room in an answer.
pub(crate) fn room_of(shown: &Value) -> &str {
    shown["room"].as_str().unwrap()
}

fn moment(shown: &Value, name: &str) -> DateTime<Utc> {
    shown[name].as_str().unwrap().parse().unwrap()
}

/// Does something to a call of LiveKit's as soon as that is possible, and gives the moment before.
pub(crate) async fn moved(world: &World, act: impl Fn() -> bool) -> DateTime<Utc> {
    let look = || async {
        let before = world.app.kit().clock.now();
        act().then_some(before)
    };
    eventually(look, SOON).await
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn without_any_webhook_a_call_has_its_right_times(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    let (id, room) = (id_of(&placed), room_of(&placed));
    world.app.until(&id, |shown| shown["status"] == "ringing").await;

    let answered = moved(&world, || world.livekit.answer(room)).await;
    let talking = world.app.until(&id, |shown| shown["status"] == "answered").await;
    let late = moment(&talking, "call_start") - answered;
    assert!(late >= TimeDelta::milliseconds(-1) && late < EXACT, "{late}");

    let hung_up = moved(&world, || world.livekit.hang_up(room)).await;
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    let late = moment(&over, "call_end") - hung_up;
    assert!(late >= TimeDelta::milliseconds(-1) && late < EXACT, "{late}");
    assert_eq!(
        (&over["end_reason"], &over["call_start"]),
        (&json!("hangup"), &talking["call_start"])
    );
    let duration = moment(&over, "call_end") - moment(&over, "call_start");
    assert_eq!(
        over["call_duration_seconds"],
        json!(duration.num_milliseconds() as f64 / 1e3)
    );
    assert_eq!(over["state"]["jobs"][0]["id"], placed["job_id"]);
    world.until_no_room().await;
}

/// The events of a call as LiveKit tells them, long ago, in their order.
pub(crate) fn story(room: &str, destination: &str, end: DateTime<Utc>) -> Vec<Value> {
    let phone = |status: &str, reason: &str| {
        json!({"sid": "PA_1", "identity": "sip_1", "kind": "SIP", "disconnectReason": reason,
            "attributes": {"sip.phoneNumber": destination, "sip.callStatus": status}})
    };
    let event = |name: &str, before_s: i64, more: Value| {
        let at = (end - TimeDelta::seconds(before_s)).timestamp();
        let mut body = json!({"event": name, "id": format!("EV_{room}_{name}_{before_s}"), "createdAt": at.to_string(),
            "room": {"sid": "RM_1", "name": room}});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    vec![
        event(
            "participant_joined",
            20,
            json!({"participant": phone("ringing", "UNKNOWN_REASON")}),
        ),
        event(
            "track_published",
            15,
            json!({"participant": phone("active", "UNKNOWN_REASON")}),
        ),
        event(
            "track_unpublished",
            1,
            json!({"participant": phone("active", "UNKNOWN_REASON")}),
        ),
        event(
            "participant_left",
            0,
            json!({"participant": phone("hangup", "CLIENT_INITIATED")}),
        ),
        event("something_newer", 0, json!({"participant": {"kind": "NEWER"}})),
        event("room_finished", -2, json!({"roomEndReason": "ROOM_END_NEWER"})),
    ]
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn webhooks_in_any_order_and_twice_make_the_same_row(pool: PgPool) {
    const ORDERS: [[usize; 6]; 4] = [
        [0, 1, 2, 3, 4, 5],
        [5, 4, 3, 2, 1, 0],
        [3, 0, 5, 1, 4, 2],
        [2, 5, 1, 0, 3, 4],
    ];
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let end = world.app.kit().clock.now() - TimeDelta::seconds(60);
    let mut placed = Vec::new();
    for number in 0..ORDERS.len() {
        placed.push(world.dialled(call(&format!("6140201229{number}"))).await);
    }
    // Nobody can look at LiveKit any more.
    world.livekit.down().await.unwrap();
    let mut rows = Vec::new();
    for (number, (placed, order)) in placed.iter().zip(ORDERS).enumerate() {
        let events = story(room_of(placed), &format!("+6140201229{number}"), end);
        for index in order.into_iter().chain(order) {
            assert!(world.livekit.send(&events[index]).await);
        }
        let over = world
            .app
            .until(&id_of(placed), |shown| shown["status"] == "ended")
            .await;
        rows.push(json!([
            over["status"],
            over["call_start"],
            over["call_end"],
            over["end_reason"],
            over["message"]
        ]));
        let told = over["events"].as_array().unwrap().iter();
        assert_eq!(
            told.filter(|event| event["kind"] == "participant_left").count(),
            1
        );
    }
    assert_eq!(rows[0][3], "hangup");
    assert_eq!(
        rows[0][2]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
            .timestamp(),
        end.timestamp()
    );
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:#?}");
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn why_a_call_is_over_is_not_waited_for_while_livekit_cannot_be_asked(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    world.livekit.down().await.unwrap();
    for event in without_reason(room_of(&placed), world.app.kit().clock.now()) {
        assert!(world.livekit.send(&event).await);
    }
    let over = world
        .app
        .until(&id_of(&placed), |shown| shown["status"] == "ended")
        .await;
    assert_eq!(over["end_reason"], "hangup");
}

/// A call that is answered and left, as LiveKit tells it where it knows no reason.
pub(crate) fn without_reason(room: &str, end: DateTime<Utc>) -> Vec<Value> {
    let mut events = story(room, "+61402012298", end);
    events.truncate(4);
    events[3]["participant"]["disconnectReason"] = json!("UNKNOWN_REASON");
    events
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn no_call_is_followed_longer_than_one_can_last_though_livekit_cannot_be_asked(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let with_job = id_of(&world.dialled(call("61402012298")).await);
    world.livekit.set_workers(0);
    let body = call_with("61402012299", json!({"wait_seconds": 0}));
    let without_job = id_of(&world.dialled(body).await);
    world.livekit.down().await.unwrap();
    sqlx::query("UPDATE dispatch.dispatches SET sending_at = sending_at - interval '26 hours'")
        .execute(&pool)
        .await
        .unwrap();
    for id in [with_job, without_job] {
        let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
        assert_eq!(over["end_reason"], "unknown");
    }
}

/// How calls to some numbers end, whose last digits tell the stand-in how.
const ENDS: [(&str, &str, &str, Option<&str>); 6] = [
    ("61402010486", "ended", "busy", Some("486 Busy Here")),
    ("61402010603", "ended", "declined", Some("603 Decline")),
    (
        "61402010480",
        "ended",
        "no_answer",
        Some("480 Temporarily Unavailable"),
    ),
    ("61402010403", "failed", "refused", Some("403 Forbidden auth ID")),
    (
        "61402010503",
        "failed",
        "trunk_failure",
        Some("503 Service Unavailable"),
    ),
    (
        "61402010500",
        "failed",
        "agent_error",
        Some("RuntimeError: the agent crashed"),
    ),
];

async fn calls_end_for_their_reasons(world: &World) {
    world.livekit.clear_plans();
    let mut ids = Vec::new();
    for (number, ..) in ENDS {
        ids.push(id_of(&world.dialled(call(number)).await));
    }
    for ((number, status, reason, message), id) in ENDS.into_iter().zip(ids) {
        let over = world.app.until(&id, |shown| !shown["end_reason"].is_null()).await;
        assert_eq!(
            (&over["status"], &over["end_reason"]),
            (&json!(status), &json!(reason)),
            "{over:#}"
        );
        assert_eq!(over["message"], json!(message), "{number}");
        assert_eq!(
            (&over["call_start"], &over["call_duration_seconds"]),
            (&Value::Null, &Value::Null)
        );
        assert!(over["call_end"].is_string());
        let hint = over["hint"].as_str().unwrap_or_default();
        assert_eq!(
            hint.contains("set caller_id / caller_number"),
            reason == "refused",
            "{hint}"
        );
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_that_does_not_come_about_says_why(pool: PgPool) {
    calls_end_for_their_reasons(&World::new(&pool).await).await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_that_does_not_come_about_says_why_without_any_webhook(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    calls_end_for_their_reasons(&world).await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn an_agent_that_hangs_up_and_a_room_that_closes_end_the_call(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        destination: Some("61402012298".into()),
        ..brief(Ending::AgentHangsUp)
    });
    world.livekit.plan(Plan {
        destination: Some("61402012299".into()),
        ..brief(Ending::Never)
    });
    let hung_up = id_of(&world.dialled(call("61402012298")).await);
    let closed = world.dialled(call("61402012299")).await;
    let over = world
        .app
        .until(&hung_up, |shown| shown["status"] == "ended")
        .await;
    assert_eq!(over["end_reason"], "hangup");
    assert!(over["call_start"].is_string());
    world
        .app
        .until(&id_of(&closed), |shown| shown["status"] == "ringing")
        .await;
    assert!(world.livekit.close_room(room_of(&closed)));
    let over = world
        .app
        .until(&id_of(&closed), |shown| shown["status"] == "ended")
        .await;
    assert_eq!(
        (&over["end_reason"], &over["call_start"]),
        (&json!("unknown"), &Value::Null)
    );
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_is_followed_by_one_replica_and_by_another_when_that_one_dies(pool: PgPool) {
    let World { app, livekit, n8n } = World::new(&pool).await;
    livekit.set_delivery(silence());
    let other = replica(&pool, &livekit, &n8n, &[]).await;
    let placed = switchhook_chassis::testing::json_of(app.dispatch(call("61402012298")).await, 200).await;
    let (id, room) = (id_of(&placed), room_of(&placed).to_owned());
    app.until(&id, |shown| shown["status"] == "ringing").await;
    assert_eq!(holder(&pool, &room).await, Some(app.kit().replica.id()));

    app.kill();
    sqlx::query("UPDATE dispatch.replicas SET beat_at = now() - interval '1 minute' WHERE id <> $1")
        .bind(other.kit().replica.id())
        .execute(&pool)
        .await
        .unwrap();
    let look = || async { (holder(&pool, &room).await == Some(other.kit().replica.id())).then_some(()) };
    eventually(look, SOON).await;
    assert!(livekit.answer(&room));
    other.until(&id, |shown| shown["status"] == "answered").await;
    assert!(livekit.hang_up(&room));
    let over = other.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(over["end_reason"], "hangup");
    assert_eq!(livekit.acted().len(), 1);
}

async fn holder(pool: &PgPool, room: &str) -> Option<uuid::Uuid> {
    let holder = sqlx::query_scalar("SELECT holder FROM dispatch.dispatches WHERE room = $1").bind(room);
    holder.fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_call_goes_on_while_livekit_is_away_and_is_found_again(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    let placed = world.dialled(call("61402012298")).await;
    let id = id_of(&placed);
    world.app.until(&id, |shown| shown["status"] == "ringing").await;
    world.livekit.down().await.unwrap();
    assert!(world.livekit.answer(room_of(&placed)));
    world.livekit.up().await.unwrap();
    world.app.until(&id, |shown| shown["status"] == "answered").await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_answer_that_a_request_waits_for_comes_with_the_call(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(brief(Ending::Completed));
    let answered = call_with("61402012298", json!({"wait": "answered", "wait_seconds": 60}));
    let ended = call_with("61402012299", json!({"wait": "ended", "wait_seconds": 60}));
    let (answered, ended) = tokio::join!(world.dialled(answered), world.dialled(ended));
    assert!(answered["call_start"].is_string(), "{answered:#}");
    assert_eq!(
        (&ended["status"], &ended["end_reason"]),
        (&json!("ended"), &json!("hangup"))
    );
    let kinds: Vec<Value> = world.app.shown(&id_of(&ended)).await["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    for kind in ["participant_joined", "answered", "participant_left", "ended"] {
        assert!(kinds.contains(&json!(kind)), "{kinds:?}");
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_webhooks_tell_before_the_dispatch_is_recorded_counts(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        rings: Duration::from_millis(100),
        talks: Duration::from_millis(100),
        ..brief(Ending::Completed)
    });
    world.on(
        CREATE_DISPATCH,
        Control {
            delay: Duration::from_secs(3),
            ..Control::default()
        },
    );
    let id = id_of(&world.dialled(call("61402012298")).await);
    let over = world.app.until(&id, |shown| shown["status"] == "ended").await;
    assert_eq!(over["end_reason"], "hangup");
    let kinds: Vec<&Value> = over["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["kind"])
        .collect();
    assert!(kinds.contains(&&json!("participant_left")), "{kinds:?}");
}
