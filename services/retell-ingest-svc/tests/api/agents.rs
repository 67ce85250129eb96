//! Connecting an agent: by whom, with what proof, and what becomes of the one before.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{TokenSpec, failed, json_of};
use switchhook_standins::Control;

use crate::world::{ADA, ADAS_KEY, AGENT, BOB, BOBS_KEY, World, now};

const CONNECT: &str = "/api/retell/connect-agent";
const STATUS: &str = "/api/retell/agent-status";
const DISCONNECT: &str = "/api/retell/disconnect-agent";

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_agent_is_connected_shown_and_disconnected(pool: PgPool) {
    let world = World::new(&pool).await;
    let offline = json!({"success": true, "data": {"isConnected": false, "agentId": null, "aiStatus": "Offline", "proven": false}});
    assert_eq!(json_of(world.app.get(ADA, STATUS).await, 200).await, offline);
    let expected = json!({"success": true, "message": "Retell agent connected successfully",
        "data": {"agentId": AGENT, "email": "ada@example.com", "aiStatus": "Online"}});
    let token = TokenSpec::user(ADA, now().timestamp() + 600).with("email", "ada@example.com");
    let asked = world
        .app
        .client()
        .post(world.app.url(CONNECT))
        .bearer_auth(world.app.token(&token));
    let connected = asked.json(&json!({"agentId": AGENT})).send().await.unwrap();
    assert_eq!(json_of(connected, 200).await, expected);
    let online = json_of(world.app.get(ADA, STATUS).await, 200).await["data"].clone();
    assert_eq!(
        online,
        json!({"isConnected": true, "agentId": AGENT, "aiStatus": "Online", "proven": false})
    );
    let training: Option<String> =
        sqlx::query_scalar("SELECT ai_training_status FROM retell.users WHERE id = 'ada'")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(training.as_deref(), Some("complete"));
    let gone = json!({"success": true, "message": "Retell agent disconnected successfully", "data": {"aiStatus": "Offline"}});
    for _ in 0..2 {
        assert_eq!(json_of(world.app.delete(ADA, DISCONNECT).await, 200).await, gone);
    }
    assert_eq!(json_of(world.app.get(ADA, STATUS).await, 200).await, offline);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_malformed_id_is_refused(pool: PgPool) {
    let world = World::new(&pool).await;
    for agent in [
        json!("agent-1"),
        json!(""),
        json!("agent_"),
        json!("xagent_1"),
        json!("agent_é"),
        json!(5),
        json!(["agent_1"]),
    ] {
        let refused = failed(
            world.app.post(ADA, CONNECT, json!({"agentId": agent})).await,
            400,
            "invalid_field",
        )
        .await;
        assert!(refused["fields"]["agentId"].is_string(), "{refused}");
    }
    let missing = failed(
        world.app.post(ADA, CONNECT, json!({})).await,
        400,
        "invalid_field",
    )
    .await;
    assert_eq!(missing["error"], "agentId is required");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_agent_belongs_to_one_account(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(ADA, AGENT).await;
    world.connect(ADA, AGENT).await;
    let taken = world.app.post(BOB, CONNECT, json!({"agentId": AGENT})).await;
    failed(taken, 409, "agent_already_connected").await;
    json_of(world.app.delete(ADA, DISCONNECT).await, 200).await;
    world.connect(BOB, AGENT).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn of_twenty_who_claim_an_agent_at_once_one_gets_it(pool: PgPool) {
    let world = World::new(&pool).await;
    let users: Vec<String> = (0..20).map(|nth| format!("user-{nth}")).collect();
    let claims = users
        .iter()
        .map(|user| world.app.post(user, CONNECT, json!({"agentId": AGENT})));
    let statuses: Vec<u16> = futures_util::future::join_all(claims)
        .await
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    let (got, refused) = (
        statuses.iter().filter(|s| **s == 200).count(),
        statuses.iter().filter(|s| **s == 409).count(),
    );
    assert_eq!((got, refused), (1, 19), "{statuses:?}");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_proven_claim_takes_the_agent_from_an_unproven_holder_and_never_the_reverse(pool: PgPool) {
    let world = World::new(&pool).await;
    world.connect(BOB, AGENT).await;
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
    assert_eq!(
        json_of(world.app.get(BOB, STATUS).await, 200).await["data"]["isConnected"],
        false
    );
    assert_eq!(
        json_of(world.app.get(ADA, STATUS).await, 200).await["data"]["proven"],
        true
    );
    failed(
        world.app.post(BOB, CONNECT, json!({"agentId": AGENT})).await,
        409,
        "agent_already_connected",
    )
    .await;
    // Another key of the same workspace proves as much, but the agent is proven already.
    world.retell.set_agents("key_of_a_colleague", &[AGENT]);
    failed(
        world.prove(BOB, AGENT, "key_of_a_colleague").await,
        409,
        "agent_already_connected",
    )
    .await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn ownership_is_proven_by_retell_alone(pool: PgPool) {
    let world = World::new(&pool).await;
    for key in [BOBS_KEY, "key_that_retell_does_not_know"] {
        failed(world.prove(ADA, AGENT, key).await, 403, "ownership_not_proven").await;
    }
    for (status, body, expected, code) in [
        (500, json!({"message": "sorry"}), 502, "upstream_error"),
        (429, json!({}), 502, "upstream_error"),
        (200, json!("<html>"), 502, "upstream_error"),
        (
            200,
            json!({"agent_id": "agent_another"}),
            403,
            "ownership_not_proven",
        ),
        (302, json!(""), 502, "upstream_error"),
    ] {
        world.retell.push(Control {
            status: Some(status),
            body: Some(body),
            ..Control::default()
        });
        failed(world.prove(ADA, AGENT, ADAS_KEY).await, expected, code).await;
    }
    world.retell.down().await.unwrap();
    failed(world.prove(ADA, AGENT, ADAS_KEY).await, 502, "upstream_error").await;
    assert_eq!(
        json_of(world.app.get(ADA, STATUS).await, 200).await["data"]["isConnected"],
        false
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn proof_can_be_demanded(pool: PgPool) {
    let world = World::with(&pool, &[("RETELL_REQUIRE_PROOF", "true")]).await;
    let refused = world.app.post(ADA, CONNECT, json!({"agentId": AGENT})).await;
    let refused = failed(refused, 400, "invalid_field").await;
    assert_eq!(refused["error"], "apiKey is required");
    json_of(world.prove(ADA, AGENT, ADAS_KEY).await, 200).await;
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_key_is_nowhere_to_be_read(pool: PgPool) {
    let world = World::new(&pool).await;
    let key = "key_5ecret_0f_ada";
    world.retell.set_agents(key, &[AGENT]);
    let told = world.prove(ADA, AGENT, key).await.text().await.unwrap();
    assert!(!told.contains(key));
    let rows: Vec<Value> = sqlx::query_scalar("SELECT to_jsonb(u) FROM retell.users u")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT api_key FROM retell.users")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(!format!("{rows:?}").contains(key) && !sealed.windows(6).any(|part| part == b"5ecret"));
    let spaced = world.prove(ADA, AGENT, "key with spaces").await;
    failed(spaced, 400, "invalid_field").await;
}
