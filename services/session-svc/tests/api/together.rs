//! What shares commits is judged each by its own.

use std::pin::pin;

use futures_util::future::{Either, join_all, select};
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, Ask, SOON, World, failed, id, lost_answer, replica};

const EVE: &str = "eve";

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn claims_that_come_together_are_each_judged_by_their_own_session(pool: PgPool) {
    let world = World::answering(&pool, lost_answer()).await;
    let app = &world.app;
    let doubted = id(&app.begin("doubting", 10).await);
    app.until_delivery(&doubted, "unknown").await;
    let sessions = join_all(["ada", "eve", "kim"].map(|user| app.begin(user, 3))).await;
    let [ada, eve, kim] = [0, 1, 2].map(|nth| id(&sessions[nth]));
    let first = app.claim(&ada, json!({"callId": "first"})).await;
    join_all((0..3).map(|_| app.claim(&eve, json!({})))).await;
    app.claim(&kim, json!({})).await;
    json_of(app.post("kim", "/api/ai-session/stop", json!({})).await, 200).await;

    let nobody = "/api/ai-session/0197a9f2-0000-7000-8000-000000000000/calls";
    let (unknown, doubt, repeated, new, full, over) = tokio::join!(
        app.as_n8n(nobody, json!({"callId": "a"})),
        app.claim(&doubted, json!({"callId": "a"})),
        app.claim(&ada, json!({"callId": "first"})),
        app.claim(&ada, json!({"callId": "a"})),
        app.claim(&eve, json!({"callId": "a"})),
        app.claim(&kim, json!({"callId": "a"})),
    );
    failed(unknown, 404, "not_found").await;
    assert_eq!(doubt, json!({"allowed": true, "callsMade": 1, "remaining": 9}));
    assert_eq!(repeated, first);
    assert_eq!(new, json!({"allowed": true, "callsMade": 2, "remaining": 1}));
    let refused =
        |calls: i64, why| json!({"allowed": false, "callsMade": calls, "remaining": 0, "reason": why});
    assert_eq!(full, refused(3, "limit_reached"));
    assert_eq!(over, refused(1, "stopped"));
    let shown = app.session(&doubted).await;
    assert_eq!(shown["delivery"]["state"], "delivered");
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn a_session_that_somebody_holds_keeps_no_other_claim_waiting(pool: PgPool) {
    let world = World::new(&pool).await;
    let [ada, eve] = [world.begin(10).await, world.app.begin(EVE, 10).await].map(|session| id(&session));
    for session in [&ada, &eve] {
        world.app.claim(session, json!({})).await;
    }
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM session.ai_sessions WHERE user_id = $1 FOR UPDATE")
        .bind(ADA)
        .execute(&mut *holder)
        .await
        .unwrap();
    let held = pin!(join_all((0..2).map(|_| world.app.claim(&ada, json!({})))));
    let free = pin!(async {
        for _ in 0..5 {
            join_all((0..4).map(|_| world.app.claim(&eve, json!({})))).await;
        }
    });
    let Either::Right(((), held)) = tokio::time::timeout(SOON, select(held, free)).await.unwrap() else {
        panic!("a claim was judged while somebody else held its session");
    };
    holder.rollback().await.unwrap();
    let mut counts: Vec<Value> = held
        .await
        .iter()
        .map(|answer| answer["callsMade"].clone())
        .collect();
    counts.sort_by_key(Value::as_i64);
    assert_eq!(counts, [2, 3]);
    assert_eq!(world.app.session(&eve).await["callsMade"], 10);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn many_claims_on_two_replicas_stop_exactly_at_the_limits(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let users = ["ada", "eve", "kim", "leo"];
    let sessions = join_all(users.map(|user| world.app.begin(user, 25))).await;
    let sessions: Vec<String> = sessions.iter().map(id).collect();
    // Each call is claimed on both replicas.
    let claims = (0..320).map(|n| {
        let app = if n % 2 == 0 { &world.app } else { &other };
        app.claim(&sessions[n / 2 % 4], json!({"callId": n / 8}))
    });
    let answers = join_all(claims).await;
    for (nth, session) in sessions.iter().enumerate() {
        let of = |n: &usize| n / 2 % 4 == nth;
        let told: Vec<&Value> = (0..320).filter(of).map(|n| &answers[n]).collect();
        let mut counts: Vec<i64> = told
            .iter()
            .filter(|answer| answer["allowed"] == true)
            .map(|answer| answer["callsMade"].as_i64().unwrap())
            .collect();
        counts.sort_unstable();
        counts.dedup();
        assert_eq!(counts, (1..=25).collect::<Vec<i64>>());
        let shown = world.app.session(session).await;
        assert_eq!(
            (&shown["callsMade"], &shown["callsMadeToday"]),
            (&json!(25), &json!(25))
        );
        let again = world.app.claim(session, json!({"callId": "one too many"})).await;
        assert_eq!(again["reason"], "limit_reached");
    }
    let kept = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM session.claims"#);
    assert_eq!(kept.fetch_one(&pool).await.unwrap(), 4 * 25);
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn starts_that_come_together_begin_one_session_for_each_user(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    world.begin(10).await;
    sqlx::query!(
        "INSERT INTO session.day_counts (user_id, day, calls) VALUES ($1, (now() AT TIME ZONE 'UTC')::date, 10)",
        EVE
    )
    .execute(&pool)
    .await
    .unwrap();
    let users: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    let start = |app, user: String| async move {
        let app: &switchhook_chassis::testing::TestApp<session_svc::app::SessionSvc> = app;
        app.post(&user, "/api/ai-session/start", json!({"dailyCallLimit": 10}))
            .await
    };
    // In opposite orders, so that the replicas meet.
    let here = join_all(users.iter().map(|user| start(&world.app, user.clone())));
    let there = join_all(users.iter().rev().map(|user| start(&other, user.clone())));
    let (here, there, active, used_up) = tokio::join!(
        here,
        there,
        start(&world.app, ADA.to_owned()),
        start(&world.app, EVE.to_owned())
    );
    failed(active, 409, "session_already_active").await;
    failed(used_up, 409, "daily_limit_reached").await;
    for (one, another) in here.into_iter().zip(there.into_iter().rev()) {
        let (begun, refused) = if one.status() == 201 {
            (one, another)
        } else {
            (another, one)
        };
        let session = json_of(begun, 201).await["session"].clone();
        let shown = failed(refused, 409, "session_already_active").await;
        assert_eq!(shown["session"]["id"], session["id"]);
        world.app.until_delivery(&id(&session), "delivered").await;
    }
    world.received(31).await;
}
