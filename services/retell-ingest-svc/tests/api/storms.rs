//! Many events at once: on two replicas, while their calls are erased, and where connections are few.

use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::analytics::assert_figures_agree;
use crate::search::digested;
use crate::world::{ADA, AGENT, FORWARDED, World, event, replica};

const NAMES: [&str; 4] = [
    "call_started",
    "transcript_updated",
    "call_ended",
    "call_analyzed",
];

/// The events of so many calls.
fn events(calls: usize) -> Vec<Value> {
    let of_call =
        |call| NAMES.map(|name| event(name, &format!("call_{call}"), json!({"duration_ms": 60_000})));
    (0..calls).flat_map(of_call).collect()
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// What is derived from calls that are gone.
const ORPHANS: &str =
    "SELECT (SELECT count(*) FROM retell.changes WHERE call NOT IN (SELECT id FROM retell.calls))
    + (SELECT count(*) FROM retell.digests WHERE call NOT IN (SELECT id FROM retell.calls))";

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn two_replicas_that_get_the_same_events_at_once_keep_each_once(pool: PgPool) {
    let world = World::connected(&pool).await;
    let other = replica(&pool, &world.retell, &[]).await;
    let events = events(40);
    let both = [&world.app, &other];
    let sent = both
        .iter()
        .flat_map(|app| events.iter().map(|event| app.as_n8n(FORWARDED, event.clone())));
    let mut duplicates = 0;
    for answer in join_all(sent).await {
        let told = json_of(answer, 200).await;
        assert_eq!(told["data"]["userId"], ADA);
        duplicates += usize::from(told["duplicate"] == true);
    }
    assert_eq!((duplicates, world.count("events").await), (160, 160));
    let complete =
        "SELECT count(*) FROM retell.calls WHERE stage = 5 AND user_id = 'ada' AND duration_ms = 60000";
    assert_eq!(
        (number(&pool, complete).await, world.count("calls").await),
        (40, 40)
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_that_is_erased_in_the_middle_of_its_events_stays_away(pool: PgPool) {
    let world = World::connected(&pool).await;
    let one_call = async |call: usize| {
        let id = format!("call_{call}");
        let [first, later @ ..] =
            NAMES.map(|name| event(name, &id, json!({"transcript": "User: forget me"})));
        world.forward(first, 200).await;
        let later = later.into_iter().map(|event| world.forward(event, 200));
        let path = format!("/api/retell/calls?callId={id}");
        let erased = world.app.as_user(ADA, Method::DELETE, &path, None);
        let (_, erased) = join(join_all(later), erased).await;
        assert_eq!(json_of(erased, 200).await["deleted"], 1, "{id}");
    };
    join_all((0..30).map(one_call)).await;
    assert_eq!((world.count("calls").await, world.count("events").await), (0, 0));
    digested(&world).await;
    assert_eq!(number(&pool, ORPHANS).await, 0);
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn where_connections_are_few_events_and_readers_get_through_and_readers_see_what_was_answered(
    pool: PgPool,
) {
    // With two, one is the heartbeat's: all others share the other.
    for connections in ["2", "3", "4"] {
        let world = World::with(&pool, &[("DATABASE_MAX_CONNECTIONS", connections)]).await;
        world.connect(ADA, AGENT).await;
        let sender = async |sender: usize| {
            for call in 0..20 {
                let id = format!("call_{connections}_{sender}_{call}");
                world
                    .forward(event("call_ended", &id, json!({"duration_ms": 60_000})), 200)
                    .await;
                let call = world.call(ADA, &id).await;
                assert_eq!(call["durationMinutes"], 1.0);
            }
        };
        join_all((0..16).map(sender)).await;
    }
    let adas = "SELECT count(*) FROM retell.calls WHERE user_id = 'ada'";
    assert_eq!(number(&pool, adas).await, 3 * 16 * 20);
}
