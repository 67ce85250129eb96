//! No input of any kind gets a 5xx: a table of what people, workflows and scanners send.

use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;

use crate::world::{ADA, AGENT, FORWARDED, World};

const CONNECT: &str = "/api/retell/connect-agent";

async fn sent(
    world: &World,
    user: bool,
    method: Method,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> (u16, Value) {
    let request = world
        .app
        .client()
        .request(method, world.app.url(path))
        .header("content-type", kind);
    let request = if user {
        request.bearer_auth(world.app.user(ADA))
    } else {
        request.header("x-n8n-webhook-secret", world.app.secret())
    };
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn bodies_that_cannot_be_read_are_told_why(pool: PgPool) {
    let world = World::connected(&pool).await;
    let deep = "[".repeat(5_000);
    let bodies = [
        "{",
        "null",
        "[]",
        "[1,2]",
        "\"x\"",
        "1",
        "{\"event\":}",
        "\u{0}",
        "event=call_ended",
        "{\"a\":\"\u{1}\"}",
        deep.as_str(),
    ];
    for (user, path) in [(true, CONNECT), (false, FORWARDED)] {
        for body in bodies {
            let (status, told) =
                sent(&world, user, Method::POST, path, "application/json", body.into()).await;
            assert_eq!(
                (status, &told["success"]),
                (400, &Value::Bool(false)),
                "{path} {body}: {told}"
            );
        }
        let (status, _) = sent(&world, user, Method::POST, path, "text/plain", b"{}".to_vec()).await;
        assert_eq!(status, 415, "{path}");
        let (status, _) = sent(
            &world,
            user,
            Method::PUT,
            path,
            "application/json",
            b"{}".to_vec(),
        )
        .await;
        assert_eq!(status, 405, "{path}");
        let (status, _) = sent(
            &world,
            !user,
            Method::POST,
            path,
            "application/json",
            b"{}".to_vec(),
        )
        .await;
        assert_eq!(status, 403, "{path}");
    }
    assert_eq!(world.count("events").await, 0);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn odd_events_are_kept_or_refused_and_never_break_anything(pool: PgPool) {
    let world = World::connected(&pool).await;
    let long = "x".repeat(300);
    for (body, expected) in [
        (
            format!(r#"{{"event":"call_ended","call":{{"call_id":"{long}","agent_id":"{AGENT}"}}}}"#),
            400,
        ),
        (
            format!(r#"{{"event":"{long}","call":{{"call_id":"c","agent_id":"{AGENT}"}}}}"#),
            400,
        ),
        (
            format!(r#"{{"event":"call_ended","call":{{"call_id":"a\u0000b","agent_id":"{AGENT}"}}}}"#),
            200,
        ),
        (
            format!(r#"{{"event":"call_ended","call":{{"call_id":{{}},"agent_id":"{AGENT}"}}}}"#),
            400,
        ),
        (format!(r#"{{"event":"call_ended","call":"{AGENT}"}}"#), 400),
        (
            r#"{"event":"call_ended","call":{"call_id":"c","agent_id":"agent_\ud83d\ude00"}}"#.to_owned(),
            202,
        ),
        (
            format!(
                r#"{{"event":"never_heard_of","call":{{"call_id":"c","agent_id":"{AGENT}","transcript":"a\u0000b"}}}}"#
            ),
            200,
        ),
        (
            format!(
                r#"{{"event":"call_ended","call":{{"call_id":"d","agent_id":"{AGENT}","start_timestamp":1e308,"end_timestamp":-1e308,"duration_ms":9e18}}}}"#
            ),
            200,
        ),
        (
            format!(
                r#"{{"event":"call_ended","call":{{"call_id":"e","agent_id":"{AGENT}","start_timestamp":99999999999999999999,"call_cost":{{"combined_cost":1e400}}}}}}"#
            ),
            400,
        ),
        (
            format!(
                r#"{{"event":"call_analyzed","call":{{"call_id":"f","agent_id":"{AGENT}","call_analysis":"none","transcript_object":[null,1,{{}},{{"role":1}}]}}}}"#
            ),
            200,
        ),
        (
            format!(
                r#"{{"event":"call_ended","call":{{"call_id":"g","agent_id":"{AGENT}","recording_url":"javascript:alert(1)","direction":"sideways"}}}}"#
            ),
            200,
        ),
    ] {
        let (status, told) = sent(
            &world,
            false,
            Method::POST,
            FORWARDED,
            "application/json",
            body.clone().into(),
        )
        .await;
        assert_eq!(status, expected, "{body}: {told}");
    }
    let (status, told) = sent(
        &world,
        true,
        Method::GET,
        "/api/retell/calls",
        "application/json",
        Vec::new(),
    )
    .await;
    assert_eq!(
        (status, told["items"].as_array().map(Vec::len)),
        (200, Some(5)),
        "{told}"
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_large_event_is_taken_and_one_that_is_too_large_is_refused(pool: PgPool) {
    let world = World::connected(&pool).await;
    let event = |size: usize| {
        let text = "word ".repeat(size / 5);
        format!(
            r#"{{"event":"call_ended","call":{{"call_id":"c","agent_id":"{AGENT}","transcript":"{text}"}}}}"#
        )
        .into_bytes()
    };
    let (status, told) = sent(
        &world,
        false,
        Method::POST,
        FORWARDED,
        "application/json",
        event(8 * 1024 * 1024),
    )
    .await;
    assert_eq!(status, 200, "{told}");
    let (status, _) = sent(
        &world,
        false,
        Method::POST,
        FORWARDED,
        "application/json",
        event(17 * 1024 * 1024),
    )
    .await;
    assert_eq!(status, 413);
    let (status, _) = sent(
        &world,
        true,
        Method::POST,
        CONNECT,
        "application/json",
        event(2 * 1024 * 1024),
    )
    .await;
    assert_eq!(status, 413);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn parameters_that_cannot_be_read_are_named(pool: PgPool) {
    let world = World::connected(&pool).await;
    for (path, field) in [
        ("/api/retell/calls?limit=0", "limit"),
        ("/api/retell/calls?limit=201", "limit"),
        ("/api/retell/calls?cursor=x", "cursor"),
        ("/api/retell/calls?cursor=9223372036854775807.1", "cursor"),
        ("/api/retell/calls?sentiment=happy", "sentiment"),
        ("/api/retell/calls?q=%21%21", "q"),
        ("/api/retell/calls?q=a%00b", "q"),
        ("/api/retell/calls?from=yesterday", "from"),
        ("/api/retell/calls?to=2026-13-01", "to"),
        ("/api/retell/analytics?from=x", "from"),
        ("/api/retell/calls.csv?sentiment=happy", "sentiment"),
    ] {
        let (status, told) = sent(&world, true, Method::GET, path, "application/json", Vec::new()).await;
        assert_eq!(status, 400, "{path}: {told}");
        assert!(told["fields"][field].is_string(), "{path}: {told}");
    }
    let (status, _) = sent(
        &world,
        true,
        Method::GET,
        "/api/retell/calls/%00",
        "application/json",
        Vec::new(),
    )
    .await;
    assert_eq!(status, 404);
}
