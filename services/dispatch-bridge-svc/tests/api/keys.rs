//! The same request twice, and the same number twice: one dial.

use reqwest::Response;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{Ask, CREATE_ROOM, World, call, call_with, failed, id_of, replica, says};

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_repeated_key_repeats_the_first_answer_and_never_dials_again(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call("61402012298");
    let first = json_of(world.app.keyed(Some("k"), body.clone()).await, 200).await;
    let again = json_of(world.app.keyed(Some("k"), body.clone()).await, 200).await;
    assert_eq!(first, again);
    let in_body = call_with("61402012298", json!({"idempotency_key": "k"}));
    assert_eq!(world.dialled(in_body).await, first);
    world.livekit.close_room(first["room"].as_str().unwrap());
    assert_eq!(json_of(world.app.keyed(Some("k"), body).await, 200).await, first);
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn another_body_under_a_key_is_a_conflict_and_another_accounts_key_is_another(pool: PgPool) {
    let world = World::new(&pool).await;
    let first = json_of(world.app.keyed(Some("k"), call("61402012298")).await, 200).await;
    for other in [
        call("61402012299"),
        call_with("61402012298", json!({"wait": "ended"})),
    ] {
        failed(
            world.app.keyed(Some("k"), other).await,
            409,
            "idempotency_conflict",
        )
        .await;
    }
    let other = json!({"destination": "61402012298", "account_code": "other"});
    let second = json_of(world.app.keyed(Some("k"), other).await, 200).await;
    assert_ne!(first["dispatch_id"], second["dispatch_id"]);
    assert_eq!(world.acted().len(), 2);
}

async fn bodies(responses: Vec<Response>) -> Vec<Value> {
    let read = responses.into_iter().map(|response| json_of(response, 200));
    futures_util::future::join_all(read).await
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn ten_at_once_with_one_key_at_two_replicas_are_one_dial(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.livekit, &world.n8n, &[]).await;
    let requests = (0..10).map(|number| {
        let app = if number % 2 == 0 { &world.app } else { &other };
        app.keyed(Some("k"), call("61402012298"))
    });
    let answers = bodies(futures_util::future::join_all(requests).await).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn ten_at_once_without_a_key_are_one_dial_and_nine_refusals_that_name_it(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.livekit, &world.n8n, &[]).await;
    let requests = (0..10).map(|number| {
        let app = if number % 2 == 0 { &world.app } else { &other };
        // The same number, written in two ways.
        app.dispatch(call(if number % 3 == 0 {
            "+61 402 012 298"
        } else {
            "0061402012298"
        }))
    });
    let responses = futures_util::future::join_all(requests).await;
    let (dialled, refused): (Vec<_>, Vec<_>) = responses.into_iter().partition(|it| it.status() == 200);
    assert_eq!((dialled.len(), refused.len()), (1, 9));
    let first = id_of(&bodies(dialled).await[0]);
    for response in refused {
        let body = failed(response, 409, "duplicate_dial").await;
        assert_eq!(body["dispatch_id"], first.as_str());
    }
    assert_eq!(world.acted().len(), 1);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn dials_that_share_commits_keep_their_own_keys_and_windows(pool: PgPool) {
    const NUMBERS: usize = 20;
    let world = World::new(&pool).await;
    // Each number three times, half of them with a key each.
    let requests = (0..3 * NUMBERS).map(|nth| {
        let (app, number) = (&world.app, nth % NUMBERS);
        async move {
            let key = (number % 2 == 0).then(|| format!("k{number}"));
            let answer = app.keyed(key.as_deref(), call(&format!("614020122{number:02}")));
            (number, answer.await)
        }
    });
    let mut dispatches = vec![Vec::new(); NUMBERS];
    for (number, response) in futures_util::future::join_all(requests).await {
        let dialled = response.status() == 200;
        assert!(dialled || number % 2 == 1, "{number} {}", response.status());
        let body: Value = response.json().await.unwrap();
        dispatches[number].push(body["dispatch_id"].clone());
    }
    assert_eq!(world.acted().len(), NUMBERS);
    for told in dispatches {
        assert!(
            told[0].is_string() && told.iter().all(|id| *id == told[0]),
            "{told:?}"
        );
    }
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_duplicate_may_be_allowed_or_keyed_and_the_window_ends(pool: PgPool) {
    let world = World::new(&pool).await;
    let first = world.dialled(call("61402012298")).await;
    let allowed = world
        .dialled(call_with("61402012298", json!({"allow_duplicate": true})))
        .await;
    let keyed = json_of(world.app.keyed(Some("k"), call("61402012298")).await, 200).await;
    assert_eq!(world.acted().len(), 3);
    assert_ne!(first["dispatch_id"], allowed["dispatch_id"]);
    let refused = failed(
        world.app.dispatch(call("61402012298")).await,
        409,
        "duplicate_dial",
    )
    .await;
    assert_eq!(refused["dispatch_id"], keyed["dispatch_id"]);
    sqlx::query("UPDATE dispatch.dial_guard SET at = at - interval '31 seconds'")
        .execute(&pool)
        .await
        .unwrap();
    world.dialled(call("61402012298")).await;
    let other_account = json!({"destination": "61402012298", "account_code": "other"});
    world.dialled(other_account).await;
    assert_eq!(world.acted().len(), 5);
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn what_livekit_refuses_frees_key_and_window(pool: PgPool) {
    let world = World::new(&pool).await;
    let refusal = json!({"code": "permission_denied", "msg": "not now"});
    for key in [None, Some("k")] {
        world.on(CREATE_ROOM, says(403, refusal.clone()));
        failed(
            world.app.keyed(key, call("61402012298")).await,
            502,
            "livekit_error",
        )
        .await;
    }
    json_of(world.app.keyed(Some("k"), call("61402012298")).await, 200).await;
    assert_eq!(world.acted().len(), 1);
    // A refusal leaves the window of an earlier dial as it was.
    world.on(CREATE_ROOM, says(403, refusal));
    let allowed = call_with("61402012298", json!({"allow_duplicate": true}));
    failed(world.app.dispatch(allowed).await, 502, "livekit_error").await;
    failed(
        world.app.dispatch(call("61402012298")).await,
        409,
        "duplicate_dial",
    )
    .await;
}

#[sqlx::test(migrator = "dispatch_bridge_svc::MIGRATOR")]
async fn a_key_that_waits_for_the_end_is_answered_alike_too(pool: PgPool) {
    let world = World::new(&pool).await;
    let body = call_with("61402012298", json!({"wait": "ended", "wait_seconds": 2}));
    let (one, two) = tokio::join!(
        world.app.keyed(Some("k"), body.clone()),
        world.app.keyed(Some("k"), body.clone())
    );
    let answers = bodies(vec![one, two, world.app.keyed(Some("k"), body).await]).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.acted().len(), 1);
}
