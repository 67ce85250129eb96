//! Start, readiness, drain and end of a real process' worth of service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgPool};
use switchhook_chassis::clock::SystemClock;
use switchhook_chassis::testing::{TestApp, eventually, json_of};

use crate::mini::{MIGRATOR, Mini, mini};

const SOON: Duration = Duration::from_secs(15);

async fn ready(app: &TestApp<Mini>) -> (u16, String) {
    let response = app.client().get(app.url("/readyz")).send().await.unwrap();
    let status = response.status().as_u16();
    let body: serde_json::Value = response.json().await.unwrap();
    (status, body["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn without_a_database_it_lives_and_says_that_it_cannot_work() {
    let app = mini(&[]).await;
    let alive = app.client().get(app.url("/healthz")).send().await.unwrap();
    assert_eq!(json_of(alive, 200).await, serde_json::json!({"status": "ok"}));
    let (status, reason) = ready(&app).await;
    assert_eq!(status, 503);
    assert!(reason.contains("database"), "{reason}");
    let response = app
        .client()
        .get(app.url("/api/mini/database"))
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("retry-after"));
    let body = json_of(response, 503).await;
    assert_eq!(body["code"], "unavailable");
    assert!(!body.to_string().contains("secret-password"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn with_its_schema_it_becomes_ready_and_works(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[]).await;
    assert_eq!(ready(&app).await, (200, String::new()));
    let one = app
        .client()
        .get(app.url("/api/mini/database"))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(one, 200).await, serde_json::json!({"one": 1}));
    app.stop().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_database_that_takes_no_writes_makes_it_unready_until_it_does(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[]).await;
    for (read_only, expected) in [
        ("on", (503, "the database cannot be written".to_owned())),
        ("off", (200, String::new())),
    ] {
        takes_no_writes(&pool, read_only).await;
        eventually(|| async { (ready(&app).await == expected).then_some(()) }, SOON).await;
    }
    app.stop().await;
}

/// From the next connection on; there is none left of the time before.
async fn takes_no_writes(pool: &PgPool, read_only: &str) {
    let mut conn = pool.acquire().await.unwrap();
    let statements = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {read_only}', \
         current_database()); END $$; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
    );
    conn.execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut *conn)
        .await
        .unwrap();
}

#[sqlx::test(migrations = false)]
async fn it_waits_for_whoever_migrates(pool: PgPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let (app, started) = TestApp::<Mini>::start_unready(&url, &[], Arc::new(SystemClock)).await;
    assert_eq!(ready(&app).await, (503, "migrations are not applied".to_owned()));
    MIGRATOR.run(&pool).await.unwrap();
    tokio::time::timeout(SOON, started.cancelled())
        .await
        .expect("it goes on by itself");
    assert_eq!(ready(&app).await.0, 200);
    app.stop().await;
}

#[sqlx::test(migrations = false)]
async fn it_migrates_itself_unless_told_otherwise(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[("MIGRATE_ON_START", "true")]).await;
    assert_eq!(ready(&app).await.0, 200);
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM http_test._sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(applied, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_stop_first_says_so_then_finishes_what_runs(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[("DRAIN_DELAY", "2s")]).await;
    let slow = app.client().get(app.url("/api/mini/slow")).send();
    let slow = tokio::spawn(slow);
    app.begin_stop();
    let (status, reason) = eventually(
        || async { Some(ready(&app).await).filter(|(status, _)| *status == 503) },
        SOON,
    )
    .await;
    assert_eq!((status, reason.as_str()), (503, "draining"));
    let served = app.client().get(app.url("/api/mini/place")).send().await.unwrap();
    assert_eq!(
        served.headers()["connection"],
        "close",
        "kept connections are sent elsewhere"
    );
    assert_eq!(served.status(), 200, "everything is still served");
    eventually(
        || async {
            tokio::net::TcpStream::connect(app.addr())
                .await
                .is_err()
                .then_some(())
        },
        SOON,
    )
    .await;
    assert!(!slow.is_finished(), "the request in flight is waited for");
    app.state().gate.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    app.stop().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM http_test.replicas")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "it has said goodbye");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_does_not_end_is_left_after_the_time_for_it(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[("SHUTDOWN_TIMEOUT", "1s")]).await;
    let slow = tokio::spawn(app.client().get(app.url("/api/mini/slow")).send());
    eventually(
        || async { Some(()).filter(|()| app.state().gate.available_permits() == 0) },
        SOON,
    )
    .await;
    let begun = Instant::now();
    app.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(
        slow.await.unwrap().is_err(),
        "its client sees the connection break"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_kill_leaves_everything_as_it_is(pool: PgPool) {
    let app = TestApp::<Mini>::start(&pool, &[]).await;
    eventually(|| async { (replicas(&pool).await == 1).then_some(()) }, SOON).await;
    let address = app.addr();
    app.kill();
    eventually(
        || async {
            tokio::net::TcpStream::connect(address)
                .await
                .is_err()
                .then_some(())
        },
        SOON,
    )
    .await;
    assert_eq!(replicas(&pool).await, 1, "nobody said goodbye");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn replicas_know_the_same_people(pool: PgPool) {
    let (one, two) = tokio::join!(
        TestApp::<Mini>::start(&pool, &[]),
        TestApp::<Mini>::start(&pool, &[])
    );
    let request = two
        .client()
        .get(two.url("/api/mini/whoami"))
        .bearer_auth(one.user("u"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    eventually(|| async { (replicas(&pool).await == 2).then_some(()) }, SOON).await;
    one.stop().await;
    assert_eq!(replicas(&pool).await, 1, "one has left, the other stays");
    assert_eq!(ready(&two).await.0, 200);
    two.stop().await;
}

async fn replicas(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM http_test.replicas")
        .fetch_one(pool)
        .await
        .unwrap()
}
