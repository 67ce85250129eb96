//! Figures: by day of the zone, for whole days and pieces of days, before and after calls were digested.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{eventually, failed, json_of};

use crate::search::{Undigested, digested};
use crate::world::{ADA, AGENT, BOB, SOON, World, event, replica};

async fn figures(world: &World, user: &str, query: &str) -> Value {
    json_of(
        world
            .app
            .get(user, &format!("/api/retell/analytics?{query}"))
            .await,
        200,
    )
    .await["data"]
        .clone()
}

/// The figures must be what the digests add up to, and each digest what its call says.
pub(crate) async fn assert_figures_agree(pool: &PgPool) {
    let differences: i64 = sqlx::query_scalar(
        "WITH added AS (
            SELECT user_id, day, sentiment, outcome, reason, count(*) AS calls, sum(centiminutes)::bigint AS centiminutes,
                sum(millicents)::bigint AS millicents
            FROM retell.digests GROUP BY 1, 2, 3, 4, 5)
        SELECT (SELECT count(*) FROM (TABLE retell.figures EXCEPT TABLE added) more)
            + (SELECT count(*) FROM (TABLE added EXCEPT TABLE retell.figures) less)
            + (SELECT count(*) FROM retell.calls c LEFT JOIN retell.digests d ON d.call = c.id
                WHERE c.user_id IS NOT NULL AND c.id NOT IN (SELECT call FROM retell.undigested)
                AND (d.call IS NULL OR d.user_id <> c.user_id
                    OR d.centiminutes <> COALESCE(round(c.duration_minutes * 100), 0)))",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(differences, 0);
}

async fn say(world: &World, call: &str, start: &str, said: Value) {
    let mut about = said;
    let start = start.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    about["start_timestamp"] = json!(start.timestamp_millis());
    world.forward(event("call_analyzed", call, about), 200).await;
}

fn analysed(minutes: f64, cents: f64, sentiment: &str, successful: Value, reason: &str) -> Value {
    json!({"duration_ms": (minutes * 60_000.0) as i64, "call_cost": {"combined_cost": cents}, "disconnection_reason": reason,
        "call_analysis": {"user_sentiment": sentiment, "call_successful": successful}})
}

async fn four_calls(world: &World) {
    say(
        world,
        "c1",
        "2026-01-14T22:59:00Z",
        analysed(1.5, 10.25, "Positive", json!(true), "user_hangup"),
    )
    .await;
    say(
        world,
        "c2",
        "2026-01-14T23:00:00Z",
        analysed(2.0, 0.1, "Positive", json!(false), "agent_hangup"),
    )
    .await;
    say(
        world,
        "c3",
        "2026-01-15T12:00:00Z",
        analysed(0.25, 0.2, "Negative", json!(true), "user_hangup"),
    )
    .await;
    say(world, "c4", "2026-01-17T09:00:00Z", json!({})).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn calls_add_up_at_once_and_after_they_were_digested(pool: PgPool) {
    let world = World::with(&pool, &[("DAY_TIMEZONE", "Europe/Berlin")]).await;
    world.connect(ADA, AGENT).await;
    let held_back = Undigested::begin(&pool).await;
    four_calls(&world).await;
    let all = figures(&world, ADA, "").await;
    insta::assert_json_snapshot!("four_calls", all);
    let text = world
        .app
        .get(ADA, "/api/retell/analytics")
        .await
        .text()
        .await
        .unwrap();
    let reasons = r#""disconnectionReasons":{"user_hangup":2,"agent_hangup":1}"#;
    assert!(text.contains(reasons), "the most frequent comes first: {text}");
    let ranges = [
        "from=2026-01-15&to=2026-01-15",
        "from=2026-01-15",
        "to=2026-01-14",
        "from=2026-01-14T22:59:30Z&to=2026-01-15T12:00:00Z",
        "from=2026-01-15T12:00:00Z&to=2026-01-15T12:00:01Z",
        "from=2026-01-14T12:00:00Z&to=2026-01-18",
        "from=2027-01-01",
    ];
    let mut before = Vec::new();
    for range in ranges {
        before.push(figures(&world, ADA, range).await);
    }
    let calls: Vec<_> = before
        .iter()
        .map(|data| data["calls"].as_i64().unwrap())
        .collect();
    assert_eq!(calls, [2, 3, 1, 1, 1, 4, 0]);
    assert_eq!(
        before[0]["perDay"],
        json!([{"day": "2026-01-15", "calls": 2, "minutes": 2.25}])
    );
    held_back.end(&world).await;
    assert_eq!(figures(&world, ADA, "").await, all);
    for (range, before) in ranges.iter().zip(&before) {
        assert_eq!(figures(&world, ADA, range).await, *before, "{range}");
    }
    assert_eq!(figures(&world, BOB, "").await["calls"], 0);
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_that_changed_counts_as_what_it_is_now(pool: PgPool) {
    let world = World::connected(&pool).await;
    let start = json!({"start_timestamp": 1_768_399_200_000_i64, "duration_ms": 60_000});
    world.forward(event("call_started", "c1", start), 200).await;
    world
        .forward(event("call_ended", "c2", json!({"duration_ms": 30_000})), 200)
        .await;
    digested(&world).await;
    let before = figures(&world, ADA, "").await;
    assert_eq!((&before["calls"], &before["minutes"]), (&json!(2), &json!(1.5)));
    let held_back = Undigested::begin(&pool).await;
    let late = json!({"duration_ms": 120_000, "call_analysis": {"user_sentiment": "Neutral"}});
    world.forward(event("call_analyzed", "c1", late), 200).await;
    // When a call began is known late: it moves to that day.
    world
        .forward(
            event(
                "call_analyzed",
                "c2",
                json!({"start_timestamp": 1_768_399_200_000_i64}),
            ),
            200,
        )
        .await;
    let now = figures(&world, ADA, "").await;
    assert_eq!(
        (&now["calls"], &now["minutes"], &now["sentiment"]["Neutral"]),
        (&json!(2), &json!(2.5), &json!(1))
    );
    assert_eq!(
        now["perDay"],
        json!([{"day": "2026-01-14", "calls": 2, "minutes": 2.5}])
    );
    held_back.end(&world).await;
    assert_eq!(figures(&world, ADA, "").await, now);
    assert_figures_agree(&pool).await;
    let empty: i64 = sqlx::query_scalar("SELECT count(*) FROM retell.figures WHERE calls <= 0")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(empty, 0);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn figures_move_when_the_time_zone_is_changed(pool: PgPool) {
    let world = World::connected(&pool).await;
    four_calls(&world).await;
    digested(&world).await;
    let days = |data: &Value| -> Vec<String> {
        let days = data["perDay"].as_array().unwrap().iter();
        days.map(|day| format!("{}:{}", day["day"].as_str().unwrap(), day["calls"]))
            .collect()
    };
    let utc = figures(&world, ADA, "").await;
    assert_eq!(days(&utc), ["2026-01-14:2", "2026-01-15:1", "2026-01-17:1"]);
    let World { app, retell, pool } = world;
    app.stop().await;
    let app = replica(&pool, &retell, &[("DAY_TIMEZONE", "Europe/Berlin")]).await;
    let world = World { app, retell, pool };
    let moved = async || {
        let data = figures(&world, ADA, "").await;
        (days(&data) == ["2026-01-14:1", "2026-01-15:2", "2026-01-17:1"]).then_some(())
    };
    eventually(moved, SOON).await;
    assert_figures_agree(&world.pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn many_writers_and_two_replicas_leave_exact_figures(pool: PgPool) {
    let world = World::connected(&pool).await;
    let other = replica(&pool, &world.retell, &[]).await;
    let send = async |nth: i64| {
        for (stage, name) in ["call_started", "call_ended", "call_analyzed"].iter().enumerate() {
            let said = json!({"start_timestamp": 1_768_399_200_000_i64 + nth % 5 * 86_400_000,
                "duration_ms": 6_000 * (stage as i64 + 1), "disconnection_reason": format!("reason_{}", nth % 3)});
            let app = if (nth + stage as i64) % 2 == 0 {
                &world.app
            } else {
                &other
            };
            json_of(
                app.as_n8n(crate::world::FORWARDED, event(name, &format!("c{nth}"), said))
                    .await,
                200,
            )
            .await;
        }
    };
    futures_util::future::join_all((0..60).map(send)).await;
    let data = figures(&world, ADA, "").await;
    assert_eq!((&data["calls"], &data["minutes"]), (&json!(60), &json!(18.0)));
    digested(&world).await;
    assert_eq!(figures(&world, ADA, "").await, data);
    assert_figures_agree(&pool).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_range_that_cannot_be_read_is_refused(pool: PgPool) {
    let world = World::connected(&pool).await;
    for (query, field) in [
        ("from=x", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-01-02&to=2026-01-01", "to"),
    ] {
        let body = failed(
            world
                .app
                .get(ADA, &format!("/api/retell/analytics?{query}"))
                .await,
            400,
            "invalid_field",
        )
        .await;
        assert!(body["fields"][field].is_string(), "{query}: {body}");
    }
}
