//! PostgreSQL cannot write at the worst moment, or the process stands still then.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use switchhook_chassis::testing::{eventually, json_of};
use switchhook_standins::control::Break;
use switchhook_standins::livekit::{Ending, Plan};

use crate::follow::silence;
use crate::upkeep::clock;
use crate::world::{Ask, CREATE_DISPATCH, SOON, World, breaks, call, call_with, failed, id_of};

const NUMBER: &str = "61402012298";
/// What a test holds while a statement is to wait.
const LOCK: i64 = 4_711;

/// From now on PostgreSQL refuses changes of a call that are as described, as one that shuts down does, and counts them.
async fn refuse(pool: &PgPool, described: &str) {
    let sql = format!(
        "CREATE SEQUENCE dispatch.refusals;
        CREATE FUNCTION dispatch.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('dispatch.refusals');
            RAISE EXCEPTION 'refused' USING ERRCODE = 'cannot_connect_now';
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON dispatch.dispatches FOR EACH ROW WHEN ({described})
            EXECUTE FUNCTION dispatch.refuse()"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

/// Waits until a change was refused.
async fn until_refused(pool: &PgPool) {
    let look = || async {
        let refused: bool = sqlx::query_scalar("SELECT is_called FROM dispatch.refusals")
            .fetch_one(pool)
            .await
            .unwrap();
        refused.then_some(())
    };
    eventually(look, SOON).await;
}

/// Refuses nothing any more.
async fn relent(pool: &PgPool) {
    sqlx::raw_sql("DROP TRIGGER refuse ON dispatch.dispatches")
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_dispatch_that_cannot_be_recorded_is_unknown_to_its_caller_and_is_found_again(pool: PgPool) {
    let world = World::new(&pool).await;
    refuse(&pool, "new.step = 'placed' AND old.step <> 'placed'").await;
    let body = failed(
        world.app.keyed(Some("k"), call(NUMBER)).await,
        502,
        "outcome_unknown",
    )
    .await;
    assert_eq!(
        (&body["outcome"], &body["room"]),
        (&json!("unknown"), &json!(world.acted()[0].room))
    );
    relent(&pool).await;
    let again = json_of(world.app.keyed(Some("k"), call(NUMBER)).await, 200).await;
    assert_eq!(world.acted().len(), 1);
    assert_eq!(again["dispatch_id"], world.acted()[0].dispatch_id.as_str());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_dial_that_may_have_happened_is_told_and_its_room_deleted_though_nothing_can_be_written(
    pool: PgPool,
) {
    let world = World::new(&pool).await;
    refuse(
        &pool,
        "new.step IN ('unknown', 'placed') AND old.step = 'sending'",
    )
    .await;
    world.on(CREATE_DISPATCH, breaks(Break::After));
    failed(
        world.app.keyed(Some("k"), call(NUMBER)).await,
        502,
        "outcome_unknown",
    )
    .await;
    world.until_no_room().await;
    relent(&pool).await;
    failed(
        world.app.keyed(Some("k"), call(NUMBER)).await,
        502,
        "outcome_unknown",
    )
    .await;
    assert!(world.acted().len() <= 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_job_that_cannot_be_recorded_is_recorded_as_soon_as_it_can(pool: PgPool) {
    let world = World::new(&pool).await;
    world.livekit.set_delivery(silence());
    world.livekit.clear_plans();
    world.livekit.plan(Plan {
        ending: Ending::Never,
        job_after: Duration::from_millis(200),
        ..Plan::default()
    });
    refuse(&pool, "new.job_id IS NOT NULL AND old.job_id IS NULL").await;
    let body = call_with(NUMBER, json!({"wait_seconds": 0}));
    let id = id_of(&world.dialled(body).await);
    until_refused(&pool).await;
    relent(&pool).await;
    // Long before whoever follows the call would look after it.
    let look = || async {
        let shown = world.app.shown(&id).await;
        shown["job_id"].is_string().then_some(shown)
    };
    let shown = eventually(look, SOON / 3).await;
    assert_eq!(shown["job_id"], world.acted()[0].job_id.as_str());
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_process_that_stood_still_notes_anew_that_it_sends(pool: PgPool) {
    let clock = clock();
    let world = World::at(&pool, Arc::new(clock.clone())).await;
    sqlx::raw_sql(
        "CREATE FUNCTION dispatch.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_advisory_xact_lock(4711);
            RETURN new;
        END $$;
        CREATE TRIGGER hold BEFORE UPDATE ON dispatch.dispatches FOR EACH ROW WHEN (new.step = 'sending')
            EXECUTE FUNCTION dispatch.hold()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut holder = pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *holder)
        .await
        .unwrap();
    let waits = async {
        let look = || async {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            (waiting > 0).then_some(())
        };
        eventually(look, SOON).await;
        clock.advance(TimeDelta::seconds(20));
        let released: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(&pool)
            .await
            .unwrap();
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(LOCK)
            .execute(&mut *holder)
            .await
            .unwrap();
        released
    };
    let (answer, released) = tokio::join!(world.app.keyed(Some("k"), call(NUMBER)), waits);
    json_of(answer, 200).await;
    let sent: DateTime<Utc> = sqlx::query_scalar("SELECT sending_at FROM dispatch.dispatches")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(sent > released, "{sent} {released}");
    assert_eq!(world.acted().len(), 1);
}
