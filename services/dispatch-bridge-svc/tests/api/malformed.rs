//! No input of any kind gets a 5xx, and none of it dials.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, World, call_with, failed};

async fn post(world: &World, content_type: Option<&str>, body: Vec<u8>) -> reqwest::Response {
    let request = world.app.client().post(world.app.url("/dispatch"));
    let request = request
        .header("x-n8n-webhook-secret", world.app.secret())
        .body(body);
    let request = match content_type {
        Some(name) => request.header("Content-Type", name),
        None => request,
    };
    request.send().await.unwrap()
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn whatever_is_sent_is_refused_by_name_and_nothing_dials(pool: PgPool) {
    let world = World::new(&pool).await;
    for body in [
        "",
        "{",
        "null",
        "[]",
        "[1,2]",
        "\"x\"",
        "{}",
        "destination=61402012298",
        "{\"destination\":\"61402012298\"}",
        "{\"destination\":\"61402012298\",\"account_code\":\"\"}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\\u0000\"}",
        "{\"destination\":\"\\ud800\",\"account_code\":\"a\"}",
        "{\"destination\":6.5,\"account_code\":\"a\"}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"metadata\":{\"x\":\"\\u0000\"}}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"metadata\":[1]}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"wait\":\"for ever\"}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"wait_seconds\":281}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"record_call\":\"maybe\"}",
        "{\"destination\":\"61402012298\",\"account_code\":\"a\",\"allow_duplicate\":7}",
    ] {
        let response = post(&world, Some("application/json"), body.into()).await;
        let answer = json_of(response, 400).await;
        assert!(
            ["invalid_json", "invalid_field"].contains(&answer["code"].as_str().unwrap()),
            "{body}: {answer}"
        );
    }
    let faulty = json!({"destination": "1", "transfer_target": "x", "tts": 7});
    let answer = failed(world.app.dispatch(faulty).await, 400, "invalid_field").await;
    let fields: Vec<&String> = answer["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["account_code", "destination", "transfer_target", "tts"]);
    let long = call_with("61402012298", json!({"metadata": {"x": "y".repeat(32 * 1024)}}));
    failed(world.app.dispatch(long).await, 400, "invalid_field").await;
    failed(
        post(&world, Some("text/plain"), b"{}".to_vec()).await,
        415,
        "unsupported_media_type",
    )
    .await;
    failed(
        post(&world, None, vec![b'x'; 1024 * 1024 + 1]).await,
        413,
        "payload_too_large",
    )
    .await;
    assert_eq!(world.livekit.log().len(), 0);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn odd_but_sound_values_come_through_unharmed(pool: PgPool) {
    let world = World::new(&pool).await;
    let metadata = json!({"é\"'; DROP TABLE dispatch.dispatches; --": [1e308, -0.5, null, {"deep": [[[]]]}],
        "text": "\u{202e}<script>alert(1)</script>\n\t💥"});
    let body = call_with(
        "+61 (402) 012-298",
        json!({"metadata": metadata, "account_code": 4711, "wait_seconds": "0"}),
    );
    let answer = world.dialled(body).await;
    let mut expected = metadata;
    expected["destination"] = json!("+61 (402) 012-298");
    expected["account_code"] = json!("4711");
    assert_eq!(answer["metadata"], expected);
    let listed = world.app.read("/dispatches?account_code=4711").await;
    assert_eq!(listed["items"][0]["metadata"], expected);
    world
        .app
        .until(answer["dispatch_id"].as_str().unwrap(), |shown| {
            shown["job_id"].is_string()
        })
        .await;
    let told: Value = serde_json::from_str(&world.acted()[0].metadata).unwrap();
    assert_eq!(told["text"], expected["text"]);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn keys_have_bounds_too(pool: PgPool) {
    let world = World::new(&pool).await;
    let long = "k".repeat(256);
    failed(
        world
            .app
            .keyed(Some(&long), crate::world::call("61402012298"))
            .await,
        400,
        "invalid_field",
    )
    .await;
    let body = call_with("61402012298", json!({"idempotency_key": long}));
    failed(world.app.dispatch(body).await, 400, "invalid_field").await;
    let wrong_method = world.app.as_machine(Method::PUT, "/dispatch", None).await;
    assert_eq!(wrong_method.headers()["allow"], "POST");
    failed(wrong_method, 405, "method_not_allowed").await;
}
