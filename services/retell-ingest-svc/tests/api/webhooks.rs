//! Events come in: kept once, folded, answered after the commit.

use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{failed, json_of};

use crate::world::{ADA, AGENT, FORWARDED, SHARED_KEY, World, event, event_of, ms, recorded};

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_event_becomes_a_call_of_the_agents_client(pool: PgPool) {
    let world = World::connected(&pool).await;
    let start = ms(-400);
    let told = world
        .forward(
            event(
                "call_analyzed",
                "call_1",
                json!({"transcript": "Agent: Hello", "start_timestamp": start, "end_timestamp": start + 300_000,
                    "call_analysis": {"call_summary": "A greeting."}}),
            ),
            200,
        )
        .await;
    let expected = json!({"success": true, "message": "Call saved", "data": {"callId": "call_1", "userId": ADA,
        "event": "call_analyzed", "durationMinutes": 5.0}});
    assert_eq!(told, expected);
    let call = world.call(ADA, "call_1").await;
    assert_eq!(
        (&call["summary"], &call["agentId"]),
        (&json!("A greeting."), &json!(AGENT))
    );
    assert_eq!(
        (&call["transcript"], &call["durationMinutes"]),
        (&json!("Agent: Hello"), &json!(5.0))
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn the_same_event_again_changes_nothing_whoever_forwards_it(pool: PgPool) {
    let world = World::connected(&pool).await;
    let ended = event("call_ended", "call_1", json!({"duration_ms": 60_000}));
    let first = world.forward(ended.clone(), 200).await;
    assert_eq!(first.get("duplicate"), None);
    let before = json_of(world.app.get(ADA, "/api/retell/calls").await, 200).await;
    let mut again = first.clone();
    again["duplicate"] = json!(true);
    assert_eq!(world.forward(ended.clone(), 200).await, again);
    let wrapped = json!([{"headers": {}, "params": {}, "query": {}, "body": ended}]);
    assert_eq!(world.forward(wrapped, 200).await, again);
    let bytes = serde_json::to_vec_pretty(&ended).unwrap();
    assert_eq!(json_of(world.send(&bytes, SHARED_KEY).await, 200).await, again);
    assert_eq!(world.count("events").await, 1);
    assert_eq!(
        json_of(world.app.get(ADA, "/api/retell/calls").await, 200).await,
        before
    );
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_rerun_analysis_is_a_new_event_and_wins(pool: PgPool) {
    let world = World::connected(&pool).await;
    for summary in ["First.", "Second."] {
        let analysis = json!({"call_analysis": {"call_summary": summary}});
        let told = world
            .forward(event("call_analyzed", "call_1", analysis), 200)
            .await;
        assert_eq!(told.get("duplicate"), None);
    }
    assert_eq!(world.count("events").await, 2);
    assert_eq!(world.call(ADA, "call_1").await["summary"], "Second.");
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn what_is_missing_is_named_and_nothing_is_kept(pool: PgPool) {
    let world = World::connected(&pool).await;
    for (body, message) in [
        (
            json!({"call": {"call_id": "c", "agent_id": AGENT}}),
            "event is required",
        ),
        (
            json!({"event": "call_ended", "call": {"agent_id": AGENT}}),
            "call_id is required",
        ),
        (
            json!({"event": "call_ended", "call": {"call_id": "c"}}),
            "agent_id is required",
        ),
    ] {
        let refused = failed(world.app.as_n8n(FORWARDED, body).await, 400, "invalid_field").await;
        assert_eq!(refused["error"], message);
    }
    let machine =
        world
            .app
            .client()
            .post(world.app.url(FORWARDED))
            .json(&event("call_ended", "c", json!({})));
    failed(
        machine.try_clone().unwrap().send().await.unwrap(),
        401,
        "unauthorized",
    )
    .await;
    let wrong = machine
        .header("x-n8n-webhook-secret", "wrong")
        .send()
        .await
        .unwrap();
    failed(wrong, 401, "unauthorized").await;
    assert_eq!((world.count("events").await, world.count("calls").await), (0, 0));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn every_recorded_payload_is_kept_and_read(pool: PgPool) {
    let world = World::new(&pool).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/retell");
    let mut files = Vec::new();
    for kind in ["voice-call", "never-connected", "web-call", "chat"] {
        for file in std::fs::read_dir(format!("{folder}/{kind}")).unwrap() {
            files.push(format!("{kind}/{}", file.unwrap().file_name().to_str().unwrap()));
        }
    }
    files.extend([
        "smallest-test-call.json".to_owned(),
        "n8n-wrapped.json".to_owned(),
    ]);
    assert!(files.len() >= 20, "{files:?}");
    for file in &files {
        let told = json_of(world.app.as_n8n(FORWARDED, recorded(file)).await, 202).await;
        assert_eq!(told["held"], true, "{file}");
    }
    let kept: i64 = world.count("events").await;
    assert!(kept + 1 >= files.len() as i64, "{kept} of {}", files.len());
    // The wrapped one may repeat another.
    let facts = "SELECT count(*) FROM retell.calls WHERE status IS NULL OR started_at IS NULL";
    let unread: i64 = sqlx::query_scalar(facts).fetch_one(&world.pool).await.unwrap();
    assert_eq!(unread, 0);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn a_chat_is_a_call_too(pool: PgPool) {
    let world = World::new(&pool).await;
    let chat = recorded("chat/chat_analyzed.json");
    let agent = chat
        .pointer("/chat/agent_id")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned();
    let id = chat
        .pointer("/chat/chat_id")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned();
    world.connect(ADA, &agent).await;
    for file in [
        "chat/chat_started.json",
        "chat/chat_ended.json",
        "chat/chat_analyzed.json",
    ] {
        world.forward(recorded(file), 200).await;
    }
    let call = world.call(ADA, &id).await;
    assert_eq!(
        (&call["channel"], &call["status"]),
        (&json!("chat"), &json!("ended"))
    );
    assert!(call["summary"].is_string() && call["turns"].as_array().is_some_and(|turns| !turns.is_empty()));
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn an_optional_field_of_the_wrong_type_stays_in_the_raw_event(pool: PgPool) {
    let world = World::connected(&pool).await;
    let odd = event(
        "call_analyzed",
        "call_1",
        json!({"transcript": 5, "start_timestamp": "soon", "call_cost": []}),
    );
    world.forward(odd.clone(), 200).await;
    let call = world.call(ADA, "call_1").await;
    assert_eq!(
        (&call["transcript"], &call["startedAt"], &call["costCents"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let raw: Vec<u8> = sqlx::query_scalar("SELECT raw FROM retell.events")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&raw).unwrap(), odd);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn many_at_once_are_each_kept_once(pool: PgPool) {
    let world = World::connected(&pool).await;
    let events: Vec<Value> = (0..60)
        .flat_map(|call| {
            ["call_started", "call_ended", "call_analyzed"]
                .map(|name| event(name, &format!("call_{call}"), json!({"duration_ms": 1000})))
        })
        .collect();
    // Each twice, all at the same time.
    let both = events.iter().chain(&events);
    let sent = both.map(|event| world.app.as_n8n(FORWARDED, event.clone()));
    let mut duplicates = 0;
    for answer in futures_util::future::join_all(sent).await {
        let told = json_of(answer, 200).await;
        duplicates += usize::from(told["duplicate"] == true);
    }
    assert_eq!(
        (
            duplicates,
            world.count("events").await,
            world.count("calls").await
        ),
        (180, 180, 60)
    );
    let incomplete = "SELECT count(*) FROM retell.calls WHERE stage <> 5 OR user_id <> 'ada'";
    let incomplete: i64 = sqlx::query_scalar(incomplete)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(incomplete, 0);
}

#[sqlx::test(migrator = "retell_ingest_svc::MIGRATOR")]
async fn one_bad_event_of_a_batch_hurts_nobody(pool: PgPool) {
    let world = World::connected(&pool).await;
    // What PostgreSQL does not take: a constraint that no code knows of.
    let guard = "ALTER TABLE retell.events ADD CHECK (event <> 'call_poisoned')";
    sqlx::query(guard).execute(&world.pool).await.unwrap();
    let names = |nth: usize| if nth == 7 { "call_poisoned" } else { "call_ended" };
    let sent = (0..40).map(|nth| {
        let event = event_of(AGENT, names(nth), &format!("call_{nth}"), json!({}));
        world.app.as_n8n(FORWARDED, event)
    });
    let answers = futures_util::future::join_all(sent).await;
    for (nth, answer) in answers.into_iter().enumerate() {
        assert_eq!(
            answer.status() == 200,
            nth != 7,
            "event {nth}: {}",
            answer.status()
        );
    }
    assert_eq!(world.count("events").await, 39);
}
