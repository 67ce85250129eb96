//! Calls as CSV.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::testing::failed;

use crate::world::{ADA, BOB, World, event, ms};

async fn rows(world: &World, user: &str, query: &str) -> Vec<Vec<String>> {
    let answer = world
        .app
        .get(user, &format!("/api/retell/calls.csv{query}"))
        .await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_export_is_a_file_of_the_same_selection(pool: PgPool) {
    let world = World::connected(&pool).await;
    let said = json!({"start_timestamp": 1_772_366_400_000_i64, "duration_ms": 61_000, "direction": "inbound",
        "from_number": "+14155550100", "to_number": "4155550199", "disconnection_reason": "user_hangup",
        "call_cost": {"combined_cost": 12.5}, "recording_url": "https://example.com/r.wav",
        "call_analysis": {"call_summary": "=HYPERLINK(\"http://evil\")\nsecond, line", "user_sentiment": "Positive",
            "call_successful": true}});
    world.forward(event("call_analyzed", "call_1", said), 200).await;
    world
        .forward(
            event("call_started", "call_2", json!({"start_timestamp": ms(-60)})),
            200,
        )
        .await;
    let answer = world.app.get(ADA, "/api/retell/calls.csv?to=2026-03-01").await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"calls.csv\""
    );
    let text = answer.text().await.unwrap();
    let created = world.call(ADA, "call_1").await["createdAt"]
        .as_str()
        .unwrap()
        .to_owned();
    insta::assert_snapshot!("export", text.replace(&created, "[createdAt]").replace('\r', ""));
    assert_eq!(text.matches("\r\n").count(), 2);
    let all = rows(&world, ADA, "").await;
    let ids: Vec<_> = all.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(ids, ["callId", "call_2", "call_1"]);
    assert_eq!(rows(&world, ADA, "?sentiment=positive").await.len(), 2);
    assert_eq!(rows(&world, ADA, "?q=second+line").await.len(), 2);
    assert_eq!(rows(&world, ADA, "?q=third").await.len(), 1);
    assert_eq!(rows(&world, BOB, "").await.len(), 1);
    failed(
        world.app.get(ADA, "/api/retell/calls.csv?q=").await,
        400,
        "invalid_field",
    )
    .await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_export_of_many_pieces_has_every_call_once(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let fill = include_str!("../../../../tests/data/retell/fill.sql");
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    for client in [ADA, BOB] {
        let fill = sqlx::query("SELECT pg_temp.fill($1, 5000)").bind(client);
        fill.execute(&mut *connection).await.unwrap();
    }
    let every = async |query: &str, sql: &'static str| {
        let exported = rows(&world, ADA, query).await;
        let exported: Vec<String> = exported
            .into_iter()
            .skip(1)
            .map(|mut row| row.swap_remove(0))
            .collect();
        let expected: Vec<String> = sqlx::query_scalar(sql).fetch_all(&pool).await.unwrap();
        assert_eq!(exported, expected, "{query}");
        expected.len()
    };
    let all = "SELECT call_id FROM retell.calls WHERE user_id = 'ada' ORDER BY sort_at DESC, id DESC";
    assert_eq!(every("", all).await, 5000);
    let some = "SELECT call_id FROM retell.calls WHERE user_id = 'ada' AND summary LIKE '%appointment%' \
        ORDER BY sort_at DESC, id DESC";
    assert_eq!(every("?q=appointment", some).await, 3000);
    // The only one lies in the last piece.
    let one = "SELECT call_id FROM retell.calls WHERE user_id = 'ada' AND summary LIKE '%ref4999'";
    assert_eq!(every("?q=ref4999", one).await, 1);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_export_that_cannot_be_completed_breaks_off(pool: PgPool) {
    let world = World::connected(&pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let fill = include_str!("../../../../tests/data/retell/fill.sql");
    sqlx::raw_sql(fill).execute(&mut *connection).await.unwrap();
    // More than what lies in the buffers of a connection.
    let fill = sqlx::query("SELECT pg_temp.fill('ada', 60000)");
    fill.execute(&mut *connection).await.unwrap();
    let mut answer = world.app.get(ADA, "/api/retell/calls.csv").await;
    assert!(answer.chunk().await.unwrap().is_some());
    sqlx::query("ALTER TABLE retell.calls RENAME TO gone")
        .execute(&pool)
        .await
        .unwrap();
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the body must not look complete");
}
