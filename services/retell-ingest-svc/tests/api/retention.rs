//! What is kept no longer.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::eventually;

use crate::analytics::assert_figures_agree;
use crate::search::digested;
use crate::world::{ADA, AGENT, BOB, SOON, World, event, event_of, ms, replica};

/// Everything that was heard of until now gets older.
async fn age(pool: &PgPool, days: i32) {
    for sql in [
        "UPDATE retell.calls SET created_at = created_at - $1 * interval '1 day', heard_at = heard_at - $1 * interval '1 day'",
        "UPDATE retell.tombstones SET at = at - $1 * interval '1 day'",
        "UPDATE retell.tenures SET began_at = began_at - $1 * interval '1 day', ended_at = ended_at - $1 * interval '1 day'",
    ] {
        sqlx::query(sql).bind(days).execute(pool).await.unwrap();
    }
}

/// A replica tidies up when it starts.
async fn restarted(world: World, settings: &[(&str, &str)]) -> World {
    let World { app, retell, pool } = world;
    app.stop().await;
    let app = replica(&pool, &retell, settings).await;
    World { app, retell, pool }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn old_calls_go_and_young_ones_stay(pool: PgPool) {
    let world = World::connected(&pool).await;
    let old = json!({"start_timestamp": ms(-40 * 86_400), "duration_ms": 60_000});
    world.forward(event("call_ended", "old", old.clone()), 200).await;
    world
        .forward(
            event("call_ended", "began_lately", json!({"start_timestamp": ms(-600)})),
            200,
        )
        .await;
    digested(&world).await;
    age(&pool, 31).await;
    // Began long ago, but heard of just now: somebody sent it again, and wants it.
    world.forward(event("call_ended", "heard_lately", old), 200).await;
    let world = restarted(world, &[("RETENTION_DAYS", "30")]).await;
    let gone = async || (world.calls(ADA).await.len() == 2).then_some(());
    eventually(gone, SOON).await;
    let mut left: Vec<_> = world
        .calls(ADA)
        .await
        .iter()
        .map(|call| call["callId"].clone())
        .collect();
    left.sort_by_key(|id| id.to_string());
    assert_eq!(left, [json!("began_lately"), json!("heard_lately")]);
    digested(&world).await;
    assert_figures_agree(&pool).await;
    assert_eq!(world.count("events").await, 2);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn nought_days_keep_calls_for_ever_but_no_held_ones(pool: PgPool) {
    let world = World::with(&pool, &[("RETENTION_DAYS", "0")]).await;
    world.connect(ADA, AGENT).await;
    world
        .forward(
            event("call_ended", "kept", json!({"start_timestamp": ms(-600)})),
            200,
        )
        .await;
    world
        .forward(event_of("agent_nobody", "call_ended", "held_old", json!({})), 202)
        .await;
    sqlx::query("UPDATE retell.calls SET sort_at = sort_at - interval '4000 days'")
        .execute(&pool)
        .await
        .unwrap();
    age(&pool, 4000).await;
    world
        .forward(
            event_of("agent_nobody", "call_ended", "held_young", json!({})),
            202,
        )
        .await;
    let world = restarted(world, &[("RETENTION_DAYS", "0"), ("HELD_CALLS_WINDOW", "2d")]).await;
    eventually(|| async { (world.count("calls").await == 2).then_some(()) }, SOON).await;
    let left: Vec<String> = sqlx::query_scalar("SELECT call_id FROM retell.calls ORDER BY 1")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(left, ["held_young", "kept"]);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn tombstones_and_tenures_without_calls_go(pool: PgPool) {
    let world = World::connected(&pool).await;
    for call in ["erased", "kept"] {
        world
            .forward(
                event("call_ended", call, json!({"start_timestamp": ms(-600)})),
                200,
            )
            .await;
    }
    world.app.delete(ADA, "/api/retell/calls?callId=erased").await;
    for user in [ADA, BOB] {
        world.app.delete(user, "/api/retell/disconnect-agent").await;
    }
    assert_eq!(
        (world.count("tombstones").await, world.count("tenures").await),
        (2, 2)
    );
    age(&pool, 31).await;
    let world = restarted(world, &[("RETENTION_DAYS", "30")]).await;
    let gone =
        async || ((world.count("tombstones").await, world.count("tenures").await) == (0, 1)).then_some(());
    eventually(gone, SOON).await;
    // Ada's tenure has a call.
    let left: String = sqlx::query_scalar("SELECT agent_id FROM retell.tenures")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, AGENT);
}
