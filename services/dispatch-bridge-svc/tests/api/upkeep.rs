//! What time and operators end: retention, erasure, settings that cannot work.

use chrono::{TimeDelta, Utc};
use dispatch_bridge_svc::app::DispatchBridgeSvc;
use reqwest::Method;
use sqlx::PgPool;
use std::sync::Arc;
use switchhook_chassis::app::Program;
use switchhook_chassis::clock::ManualClock;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_core::ids::UserId;

use crate::world::{ACCOUNT, Ask, SOON, World, call, failed, id_of, livekit};

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_person_is_erased_by_number_and_by_account(pool: PgPool) {
    let world = World::new(&pool).await;
    let first = id_of(&world.dialled(call("+61 402 012 298")).await);
    let second = id_of(&world.dialled(call("61402012299")).await);
    let state = world.app.state();
    let (number, account) = (
        UserId::parse("0061402012298").unwrap(),
        UserId::parse(ACCOUNT).unwrap(),
    );
    assert_eq!(DispatchBridgeSvc::erase(state, &number).await.unwrap(), 1);
    let path = format!("/dispatch/{first}");
    failed(
        world.app.as_machine(Method::GET, &path, None).await,
        404,
        "not_found",
    )
    .await;
    world.app.shown(&second).await;
    assert_eq!(DispatchBridgeSvc::erase(state, &account).await.unwrap(), 1);
    assert_eq!(
        world.app.read("/dispatches").await["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM dispatch.tombstones")
        .fetch_one(&pool)
        .await
        .unwrap();
    // Room, dispatch and job of each.
    assert_eq!(left, 6);
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test begins at the present: tokens are judged by it"
)]
pub(crate) fn clock() -> ManualClock {
    ManualClock::at(Utc::now())
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn calls_that_are_over_are_kept_for_as_long_as_was_set_and_others_stay(pool: PgPool) {
    let (clock, livekit) = (clock(), livekit());
    let url = livekit.api_url();
    let settings = [
        ("LIVEKIT_URL", url.as_str()),
        ("LIVEKIT_API_KEY", switchhook_standins::livekit::DEFAULT_KEY),
        ("LIVEKIT_API_SECRET", switchhook_standins::livekit::DEFAULT_SECRET),
        ("RETENTION_DAYS", "30"),
    ];
    let app = TestApp::<DispatchBridgeSvc>::start_at(&pool, &settings, Arc::new(clock.clone())).await;
    let over = id_of(&json_of(app.dispatch(call("61402012298")).await, 200).await);
    let rings = id_of(&json_of(app.dispatch(call("61402012299")).await, 200).await);
    json_of(app.cancel(&over).await, 200).await;
    app.stop().await;
    clock.advance(TimeDelta::days(31));
    let app = TestApp::<DispatchBridgeSvc>::start_at(&pool, &settings, Arc::new(clock)).await;
    let look = || async {
        let list = app.read("/dispatches").await;
        (list["items"].as_array().unwrap().len() == 1).then_some(list)
    };
    let list = eventually(look, SOON).await;
    assert_eq!(id_of(&list["items"][0]), rings);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn the_figures_tell_dispatches_and_what_is_under_way(pool: PgPool) {
    let world = World::new(&pool).await;
    world.dialled(call("61402012298")).await;
    let asked = world
        .app
        .client()
        .get(world.app.url("/metrics"))
        .send()
        .await
        .unwrap();
    let text = asked.text().await.unwrap();
    for figure in [
        "dispatches_total{outcome=\"dispatched\"}",
        "calls_under_way",
        "dials_under_way",
        "rooms_to_delete",
    ] {
        assert!(text.contains(figure), "{figure} is missing in {text}");
    }
    assert!(!text.contains("61402012298"), "a number in the figures");
}
