//! The history page by page, and calls per day.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, Ask, World, failed, id};

async fn over(world: &World, calls: i64) -> Value {
    let session = world.begin(10_000).await;
    let done = json!({"sessionId": session["id"], "status": "finished", "callsMade": calls});
    json_of(world.app.report(done).await, 200).await["session"].clone()
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_history_is_walked_by_its_own_links(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut made = Vec::new();
    for calls in 0..7 {
        made.push(id(&over(&world, calls).await));
    }
    // Two of the same moment are told apart by their ids.
    sqlx::query!("UPDATE session.ai_sessions SET started_at = '2026-01-02T03:04:05Z'")
        .execute(&pool)
        .await
        .unwrap();
    made.sort_unstable();
    made.reverse();
    let mut seen = Vec::new();
    let mut url = world.app.url("/api/ai-session?limit=3");
    loop {
        let asked = world
            .app
            .client()
            .get(&url)
            .bearer_auth(world.app.user(ADA))
            .send()
            .await
            .unwrap();
        let page = json_of(asked, 200).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(id));
        match page["next"].as_str() {
            Some(next) => {
                assert!(
                    next.starts_with(&world.app.url("/api/ai-session?limit=3&cursor=")),
                    "{next}"
                );
                assert_eq!(items.len(), 3);
                url = next.to_owned();
            }
            None => break,
        }
    }
    assert_eq!(seen, made);
    let all = json_of(world.app.get(ADA, "/api/ai-session").await, 200).await;
    assert_eq!(
        (all["items"].as_array().unwrap().len(), &all["next"]),
        (7, &Value::Null)
    );
    let exact = json_of(world.app.get(ADA, "/api/ai-session?limit=7").await, 200).await;
    assert_eq!(exact["next"], Value::Null);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn newer_sessions_come_first(pool: PgPool) {
    let world = World::new(&pool).await;
    let (first, second) = (id(&over(&world, 1).await), id(&over(&world, 2).await));
    let all = json_of(world.app.get(ADA, "/api/ai-session").await, 200).await;
    assert_eq!((id(&all["items"][0]), id(&all["items"][1])), (second, first));
    assert_eq!(
        (&all["items"][0]["callsMade"], &all["items"][1]["callsMade"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (
            &all["items"][0]["callsMadeToday"],
            &all["items"][1]["callsMadeToday"]
        ),
        (&json!(3), &json!(3))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn every_day_of_the_range_has_its_calls(pool: PgPool) {
    let world = World::new(&pool).await;
    over(&world, 5).await;
    sqlx::query!("UPDATE session.day_counts SET day = day - 2")
        .execute(&pool)
        .await
        .unwrap();
    over(&world, 3).await;
    let calls = |stats: &Value| -> Vec<i64> {
        stats["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["calls"].as_i64().unwrap())
            .collect()
    };
    let stats = json_of(world.app.get(ADA, "/api/ai-session/stats?days=4").await, 200).await;
    assert_eq!(calls(&stats), [3, 0, 5, 0]);
    let short = json_of(world.app.get(ADA, "/api/ai-session/stats?days=2").await, 200).await;
    assert_eq!(calls(&short), [3, 0]);
    let usual = json_of(world.app.get(ADA, "/api/ai-session/stats").await, 200).await;
    assert_eq!(usual["items"].as_array().unwrap().len(), 30);
    let others = json_of(world.app.get("bob", "/api/ai-session/stats?days=3").await, 200).await;
    assert_eq!(calls(&others), [0, 0, 0]);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn what_is_no_page_is_refused(pool: PgPool) {
    let world = World::new(&pool).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=1.2", "cursor"),
        ("limit=1&limit=2", "limit"),
    ] {
        let body = failed(
            world.app.get(ADA, &format!("/api/ai-session?{query}")).await,
            400,
            "invalid_field",
        )
        .await;
        assert!(body["fields"][field].is_string(), "{query}: {body}");
    }
    for days in ["0", "367", "-1", "x", ""] {
        let path = format!("/api/ai-session/stats?days={days}");
        let body = failed(world.app.get(ADA, &path).await, 400, "invalid_field").await;
        assert!(body["fields"]["days"].is_string(), "{days}: {body}");
    }
}
