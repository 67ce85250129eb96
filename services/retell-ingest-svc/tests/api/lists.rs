//! Calls page by page, filtered, and one by one.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{failed, json_of};

use crate::world::{ADA, BOB, World, event, ms};

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|call| call["callId"].as_str().unwrap())
        .collect()
}

/// Calls of Ada's that began at these moments, as `call_0`, `call_1`, …
async fn began(world: &World, starts: &[i64]) {
    for (nth, start) in starts.iter().enumerate() {
        let said = json!({"start_timestamp": start});
        world
            .forward(event("call_started", &format!("call_{nth}"), said), 200)
            .await;
    }
}

/// Milliseconds of a moment.
fn at(text: &str) -> i64 {
    text.parse::<chrono::DateTime<chrono::Utc>>()
        .unwrap()
        .timestamp_millis()
}

async fn listed(world: &World, query: &str) -> Vec<String> {
    let list = json_of(
        world.app.get(ADA, &format!("/api/retell/calls?{query}")).await,
        200,
    )
    .await;
    let items = list["items"].as_array().unwrap();
    ids(items).into_iter().map(str::to_owned).collect()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_list_is_walked_by_its_own_links(pool: PgPool) {
    let world = World::connected(&pool).await;
    // Two of the same moment are told apart by their numbers.
    let start = ms(-3600);
    began(
        &world,
        &[
            start,
            start + 5,
            start + 5,
            start + 5,
            start + 2,
            start + 9,
            start + 1,
        ],
    )
    .await;
    world
        .forward(event("call_started", "no_start", json!({})), 200)
        .await;
    let all: Vec<String> = ids(&world.calls(ADA).await)
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(all.len(), 8);
    // The time of the first event counts where a call does not say when it began.
    assert_eq!(
        (all[0].as_str(), all[1].as_str(), all[7].as_str()),
        ("no_start", "call_5", "call_0")
    );
    let mut seen = Vec::new();
    let mut url = world.app.url("/api/retell/calls?limit=3&from=2020-01-01");
    loop {
        let asked = world
            .app
            .client()
            .get(&url)
            .bearer_auth(world.app.user(ADA))
            .send();
        let page = json_of(asked.await.unwrap(), 200).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(ids(items).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        assert!(
            next.starts_with(&world.app.url("/api/retell/calls?limit=3&from=2020-01-01&cursor=")),
            "{next}"
        );
        assert_eq!(items.len(), 3);
        url = next.to_owned();
    }
    assert_eq!(seen, all);
    let exact = json_of(world.app.get(ADA, "/api/retell/calls?limit=8").await, 200).await;
    assert_eq!(exact["next"], Value::Null);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_range_of_days_is_one_of_the_days_of_the_zone(pool: PgPool) {
    let world = World::with(&pool, &[("DAY_TIMEZONE", "Europe/Berlin")]).await;
    world.connect(ADA, crate::world::AGENT).await;
    let starts = [
        "2026-01-14T22:59:59.999Z",
        "2026-01-14T23:00:00Z",
        "2026-01-15T22:59:59.999Z",
        "2026-01-15T23:00:00Z",
    ];
    began(&world, &starts.map(at)).await;
    assert_eq!(
        listed(&world, "from=2026-01-15&to=2026-01-15").await,
        ["call_2", "call_1"]
    );
    assert_eq!(listed(&world, "from=2026-01-16").await, ["call_3"]);
    assert_eq!(listed(&world, "to=2026-01-14").await, ["call_0"]);
    // A moment is not part of the range that it ends.
    assert_eq!(
        listed(&world, "from=2026-01-14T23:00:00Z&to=2026-01-15T23:00:00Z").await,
        ["call_2", "call_1"]
    );
    assert_eq!(
        listed(&world, "from=2026-01-15T00:00:00%2B01:00&to=2026-01-15").await,
        ["call_2", "call_1"]
    );
    for (query, field) in [
        ("from=2026-01-16&to=2026-01-15", "to"),
        ("from=soon", "from"),
        ("to=2026-02-30", "to"),
    ] {
        let body = failed(
            world.app.get(ADA, &format!("/api/retell/calls?{query}")).await,
            400,
            "invalid_field",
        )
        .await;
        assert!(body["fields"][field].is_string(), "{query}: {body}");
    }
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_call_is_shown_with_all_that_was_said(pool: PgPool) {
    let world = World::connected(&pool).await;
    let said = json!({
        "start_timestamp": at("2026-03-01T12:00:00Z"),
        "transcript": "Agent: Hello.\nUser: Hi\nthere.",
        "call_analysis": {"call_summary": "Hello.", "user_sentiment": "Positive", "custom": {"a": [1]}},
    });
    world.forward(event("call_analyzed", "call_1", said), 200).await;
    let call = world.call(ADA, "call_1").await;
    let turns = json!([{"speaker": "agent", "text": "Hello."}, {"speaker": "user", "text": "Hi\nthere."}]);
    assert_eq!(call["turns"], turns);
    assert_eq!(call["analysis"]["custom"], json!({"a": [1]}));
    assert_eq!(call["transcript"], "Agent: Hello.\nUser: Hi\nthere.");
    let listed = json!({"transcript_object": [{"role": "agent", "content": "Hey."}, {"role": "transfer_target", "content": "Yes?"}]});
    world
        .forward(event("transcript_updated", "call_2", listed), 200)
        .await;
    let turns = json!([{"speaker": "agent", "text": "Hey."}, {"speaker": "transfer_target", "text": "Yes?"}]);
    assert_eq!(world.call(ADA, "call_2").await["turns"], turns);
    // In a list there is a call as in its own answer, but without what was said.
    let list = world.calls(ADA).await;
    let in_list = list
        .iter()
        .find(|other| other["callId"] == "call_1")
        .unwrap()
        .as_object()
        .unwrap();
    assert!(in_list.iter().all(|(name, value)| call[name] == *value));
    assert!(!in_list.contains_key("transcript"));
    for (user, id) in [(BOB, "call_1"), (ADA, "call_3"), (ADA, "%00"), (ADA, "%FF")] {
        let answer = world.app.get(user, &format!("/api/retell/calls/{id}")).await;
        assert_eq!(answer.status(), 404, "{user} {id}");
    }
}
