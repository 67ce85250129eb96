//! A limit is a limit.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, Ask, World, failed, id, lost_answer, replica};

fn allowed(answers: &[Value]) -> usize {
    answers.iter().filter(|answer| answer["allowed"] == true).count()
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn forty_claims_at_once_against_a_limit_of_ten_give_ten(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let session = world.begin(10).await;
    let id = id(&session);
    let claims = (0..40).map(|n| {
        let app = if n % 2 == 0 { &world.app } else { &other };
        app.claim(&id, json!({"callId": n}))
    });
    let answers = join_all(claims).await;
    assert_eq!(allowed(&answers), 10);
    let mut counts: Vec<i64> = answers
        .iter()
        .filter(|a| a["allowed"] == true)
        .map(|a| a["callsMade"].as_i64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=10).collect::<Vec<i64>>());
    for refused in answers.iter().filter(|answer| answer["allowed"] == false) {
        let expected = json!({"allowed": false, "callsMade": 10, "remaining": 0, "reason": "limit_reached"});
        assert_eq!(refused, &expected);
    }
    let shown = world.app.session(&id).await;
    assert_eq!(
        (&shown["callsMade"], &shown["callsMadeToday"]),
        (&json!(10), &json!(10))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn claims_and_reports_at_once_add_up(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(100).await;
    let id = id(&session);
    let claims = join_all((0..20).map(|_| world.app.claim(&id, json!({}))));
    let reports = join_all((1..=20).map(|calls| {
        world
            .app
            .report(json!({"sessionId": id, "status": "running", "callsMade": calls}))
    }));
    let (answers, reports) = tokio::join!(claims, reports);
    assert_eq!(allowed(&answers), 20);
    assert!(reports.iter().all(|report| report.status() == 200));
    let shown = world.app.session(&id).await;
    let calls = shown["callsMade"].as_i64().unwrap();
    assert!((20..=40).contains(&calls), "{calls}");
    assert_eq!(shown["callsMadeToday"], calls);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_repeated_call_id_is_the_same_claim_also_after_stop(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(10).await;
    let id = id(&session);
    let first = world.app.claim(&id, json!({"callId": "lead-42"})).await;
    assert_eq!(first, json!({"allowed": true, "callsMade": 1, "remaining": 9}));
    assert_eq!(world.app.claim(&id, json!({"callId": 7})).await["callsMade"], 2);
    assert_eq!(
        world.app.claim(&id, json!([{"callId": "7"}])).await["callsMade"],
        2
    );
    assert_eq!(world.app.claim(&id, json!({"callId": "lead-42"})).await, first);
    json_of(world.app.post(ADA, "/api/ai-session/stop", json!({})).await, 200).await;
    assert_eq!(world.app.claim(&id, json!({"callId": "lead-42"})).await, first);
    let expected = json!({"allowed": false, "callsMade": 2, "remaining": 0, "reason": "stopped"});
    assert_eq!(world.app.claim(&id, json!({"callId": "lead-43"})).await, expected);
    assert_eq!(world.app.claim(&id, json!({})).await, expected);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_call_id_claimed_many_times_at_once_counts_once(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(10).await;
    let id = id(&session);
    let answers = join_all((0..20).map(|_| world.app.claim(&id, json!({"callId": "x"})))).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == json!({"allowed": true, "callsMade": 1, "remaining": 9}))
    );
    assert_eq!(world.app.session(&id).await["callsMade"], 1);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn the_limit_is_that_of_the_day_over_all_sessions(pool: PgPool) {
    let world = World::new(&pool).await;
    let first = world.begin(10).await;
    json_of(
        world
            .app
            .report(json!({"sessionId": first["id"], "status": "finished", "callsMade": 8}))
            .await,
        200,
    )
    .await;
    let second = world.begin(10).await;
    let id = id(&second);
    let answers = join_all((0..6).map(|_| world.app.claim(&id, json!({})))).await;
    assert_eq!(allowed(&answers), 2);
    let shown = world.app.session(&id).await;
    assert_eq!(
        (&shown["callsMade"], &shown["callsMadeToday"]),
        (&json!(2), &json!(10))
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_refused_call_id_is_judged_anew(pool: PgPool) {
    let world = World::new(&pool).await;
    let session = world.begin(1).await;
    let id = id(&session);
    world.app.claim(&id, json!({})).await;
    assert_eq!(
        world.app.claim(&id, json!({"callId": "late"})).await["allowed"],
        false
    );
    // As if it were the next day.
    sqlx::query!("UPDATE session.day_counts SET day = day - 1")
        .execute(&pool)
        .await
        .unwrap();
    let expected = json!({"allowed": true, "callsMade": 2, "remaining": 0});
    assert_eq!(world.app.claim(&id, json!({"callId": "late"})).await, expected);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_claim_settles_a_delivery_in_doubt(pool: PgPool) {
    let world = World::answering(&pool, lost_answer()).await;
    let session = world.begin(5).await;
    world.app.until_delivery(&id(&session), "unknown").await;
    world.app.claim(&id(&session), json!({})).await;
    let shown = world.app.session(&id(&session)).await;
    assert_eq!(
        (&shown["delivery"]["state"], &shown["delivery"]["detail"]),
        (&json!("delivered"), &Value::Null)
    );
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_claim_for_no_session_finds_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    for id in ["0197a9f2-0000-7000-8000-000000000000", "abc", "%20"] {
        let answer = world
            .app
            .as_n8n(&format!("/api/ai-session/{id}/calls"), json!({}))
            .await;
        assert_eq!(
            failed(answer, 404, "not_found").await["error"],
            "Session not found"
        );
    }
}
