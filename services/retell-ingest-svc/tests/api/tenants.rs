//! No request of one client, by any address, parameter, cursor or id, shows anything of another.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, json_of};

use crate::world::{ADA, AGENT, BOB, OTHER_AGENT, World, event, event_of, ms};

/// What stands in everything of Bob's.
const MARK: &str = "bobsmark";

async fn stage(pool: &PgPool) -> World {
    let world = World::connected(pool).await;
    for nth in 0..5 {
        let start = ms(-600 + nth);
        let bobs = json!({"start_timestamp": start, "duration_ms": 60_000, "from_number": "+15550001", "transcript": MARK,
            "recording_url": format!("https://example.com/{MARK}"), "disconnection_reason": MARK,
            "call_analysis": {"call_summary": MARK, "user_sentiment": "Positive"}});
        world
            .forward(
                event_of(OTHER_AGENT, "call_analyzed", &format!("{MARK}_{nth}"), bobs),
                200,
            )
            .await;
        let adas = json!({"start_timestamp": start, "from_number": "+15550002", "transcript": "hers"});
        world
            .forward(event("call_ended", &format!("adas_{nth}"), adas), 200)
            .await;
    }
    world
        .forward(
            event_of(
                "agent_of_nobody",
                "call_ended",
                &format!("{MARK}_held"),
                json!({}),
            ),
            202,
        )
        .await;
    world
}

/// All values that a parameter of this name may have when somebody looks for what is not his.
fn values(name: &str, cursor: &str) -> Vec<String> {
    let fixed: &[&str] = match name {
        "callId" => &["bobsmark_0", "bobsmark_held", "adas_0' OR '1'='1"],
        "q" => &[MARK, "bobs", "bobsmark OR hers"],
        "sentiment" => &["Positive"],
        "from" | "to" => &["2020-01-01", "2099-01-01T00:00:00Z"],
        "limit" => &["200"],
        "phone" => &["+15550001", "15550001"],
        "Last-Event-ID" => &["0", "1"],
        _ => &[],
    };
    let mut values: Vec<String> = fixed.iter().map(|&value| value.to_owned()).collect();
    if name == "cursor" {
        values.push(cursor.to_owned());
    }
    values
}

fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn no_address_of_the_description_shows_another_client_s_data(pool: PgPool) {
    let world = stage(&pool).await;
    let bobs_page = json_of(world.app.get(BOB, "/api/retell/calls?limit=2").await, 200).await;
    let next = bobs_page["next"].as_str().unwrap();
    let cursor: String = url::Url::parse(next)
        .unwrap()
        .query_pairs()
        .find_map(|(name, value)| (name == "cursor").then(|| value.into_owned()))
        .unwrap();
    let before = world.calls(BOB).await;
    let description = json_of(world.app.get(ADA, "/openapi.json").await, 200).await;
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if !path.starts_with("/api/") || path.contains("webhook") || path.ends_with("/events") {
                continue;
            }
            asked += ask_everything(&world, path, method, operation, &cursor).await;
        }
    }
    assert!(asked > 30, "{asked} requests");
    assert_eq!(world.calls(BOB).await, before, "and nothing of his was touched");
    for last in [None, Some("0"), Some("1")] {
        let mut reader = EventReader::open(&world.app, ADA, "/api/retell/events", last).await;
        for _ in 0..2 {
            let seen = reader.next().await.unwrap();
            assert!(!seen.data.to_string().contains(MARK), "{seen:?}");
        }
    }
}

async fn ask_everything(world: &World, path: &str, method: &str, operation: &Value, cursor: &str) -> usize {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let mut requests = vec![(path.replace("{callId}", "bobsmark_1"), None)];
    for parameter in &parameters {
        let name = parameter["name"].as_str().unwrap();
        for value in values(name, cursor) {
            let path = match parameter["in"].as_str() {
                Some("path") => path.replace(&format!("{{{name}}}"), &encoded(&value)),
                Some("query") => format!("{path}?{name}={}", encoded(&value)),
                _ => continue,
            };
            requests.push((path, None));
        }
    }
    if method != Method::GET {
        for body in [
            json!({"callId": "bobsmark_0"}),
            json!({"phone": "+15550001"}),
            json!({"agentId": OTHER_AGENT}),
        ] {
            requests.push((path.to_owned(), Some(body)));
        }
    }
    for (path, body) in &requests {
        let answer = world.app.as_user(ADA, method.clone(), path, body.clone()).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!(
            status < 500 && !text.contains(MARK),
            "{method} {path}: {status} {text}"
        );
        if let Some(deleted) = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|body| body["deleted"].as_i64())
        {
            assert_eq!(deleted, 0, "{method} {path}");
        }
    }
    requests.len()
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_event_of_another_account_never_touches_the_row(pool: PgPool) {
    let world = stage(&pool).await;
    let forged = event(
        "call_analyzed",
        "bobsmark_0",
        json!({"call_analysis": {"call_summary": "Taken over."}}),
    );
    world.forward(forged, 200).await;
    assert_eq!(world.call(BOB, "bobsmark_0").await["summary"], MARK);
    assert_eq!(world.call(ADA, "bobsmark_0").await["summary"], "Taken over.");
    assert_eq!(world.call(ADA, "bobsmark_0").await["agentId"], AGENT);
}
