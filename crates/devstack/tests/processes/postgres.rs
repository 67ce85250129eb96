//! A private PostgreSQL, and what may happen to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{DEADLINE, is_alive, until};
use devstack::guard::Guard;
use devstack::logs::Output;
use devstack::postgres::{Durability, Postgres, databases, home};
use sqlx::{Connection, PgConnection};

fn guard() -> Arc<Guard> {
    Arc::new(Guard::start(&PathBuf::from(env!("CARGO_BIN_EXE_devstack"))).unwrap())
}

async fn start(directory: &tempfile::TempDir, durability: Durability, guard: &Arc<Guard>) -> Postgres {
    let wanted = directory.path().join("pg");
    Postgres::start_in(wanted, durability, Output::quiet(), guard)
        .await
        .unwrap()
}

async fn connect(postgres: &Postgres) -> PgConnection {
    PgConnection::connect(&postgres.url("switchhook")).await.unwrap()
}

async fn count(postgres: &Postgres) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connect(postgres).await)
        .await
        .unwrap()
}

async fn keep_one(postgres: &Postgres) {
    let mut connection = connect(postgres).await;
    sqlx::query("CREATE TABLE IF NOT EXISTS kept (one int)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("INSERT INTO kept VALUES (1)")
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn data_outlives_stop_crash_and_a_new_stack() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let first = start(&directory, Durability::Kept, &guard).await;
    keep_one(&first).await;
    first.stop().await;
    assert!(databases::reachable(&first.url("switchhook")).await.is_err());
    first.start().await.unwrap();
    keep_one(&first).await;
    first.kill9().await;
    assert!(directory.path().join("pg/data/postmaster.pid").exists());
    first.start().await.unwrap();
    assert_eq!(count(&first).await, 2);
    first.finish().await.unwrap();
    let second = start(&directory, Durability::Kept, &guard).await;
    assert_eq!(count(&second).await, 2);
    second.finish().await.unwrap();
}

#[tokio::test]
async fn a_server_that_was_left_running_is_replaced() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let first = start(&directory, Durability::Kept, &guard).await;
    keep_one(&first).await;
    let lock = std::fs::read_to_string(directory.path().join("pg/data/postmaster.pid")).unwrap();
    let pid: i32 = lock.lines().next().unwrap().parse().unwrap();
    let second = start(&directory, Durability::Kept, &guard).await;
    assert!(!is_alive(pid));
    assert_eq!(count(&second).await, 1);
    second.finish().await.unwrap();
}

#[tokio::test]
async fn a_lock_with_the_number_of_another_program_does_not_hinder() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let first = start(&directory, Durability::Kept, &guard).await;
    first.stop().await;
    let lock = directory.path().join("pg/data/postmaster.pid");
    std::fs::write(&lock, format!("{}\n{}\n", std::process::id(), "/elsewhere")).unwrap();
    first.start().await.unwrap();
    first.finish().await.unwrap();
}

#[tokio::test]
async fn half_made_and_damaged_clusters_are_made_anew() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let first = start(&directory, Durability::Kept, &guard).await;
    keep_one(&first).await;
    first.finish().await.unwrap();
    let data = directory.path().join("pg/data");
    std::fs::create_dir(directory.path().join("pg/data.new")).unwrap();
    std::fs::write(directory.path().join("pg/data.new/PG_VERSION"), "15\n").unwrap();
    std::fs::remove_file(data.join("global/pg_control")).unwrap();
    let second = start(&directory, Durability::Kept, &guard).await;
    assert!(!directory.path().join("pg/data.new").exists());
    keep_one(&second).await;
    assert_eq!(count(&second).await, 1);
    second.finish().await.unwrap();
}

#[tokio::test]
async fn a_paused_server_answers_nobody_until_it_goes_on() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let postgres = start(&directory, Durability::ThrowAway, &guard).await;
    let mut connection = connect(&postgres).await;
    postgres.pause().await;
    let mut asking = Box::pin(sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&mut connection));
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut asking)
            .await
            .is_err()
    );
    postgres.resume().await;
    assert_eq!(tokio::time::timeout(DEADLINE, asking).await.unwrap().unwrap(), 1);
    postgres.pause().await;
    // Also a paused one is stopped, and what is thrown away is gone.
    postgres.finish().await.unwrap();
    assert!(!directory.path().join("pg").exists());
}

#[tokio::test]
async fn strangers_are_not_admitted() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let postgres = start(&directory, Durability::ThrowAway, &guard).await;
    let url = postgres.url("postgres");
    let (before, after) = url.split_once('@').unwrap();
    let (user, _) = before.rsplit_once(':').unwrap();
    for stranger in [format!("{user}:wrong@{after}"), format!("{user}@{after}")] {
        let error = PgConnection::connect(&stranger).await.unwrap_err().to_string();
        assert!(error.contains("password"), "{error}");
    }
    postgres.finish().await.unwrap();
}

#[tokio::test]
async fn fresh_databases_are_made_and_removed() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let postgres = start(&directory, Durability::ThrowAway, &guard).await;
    let server = postgres.url("switchhook");
    let fresh = databases::make_fresh(&server).await.unwrap();
    let connection = PgConnection::connect(&fresh).await.unwrap();
    databases::remove_fresh(&server, &fresh).await.unwrap();
    assert!(databases::reachable(&fresh).await.is_err());
    drop(connection);
    postgres.finish().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_ends() {
    let (directory, guard) = (home::temporary().unwrap(), guard());
    let postgres = start(&directory, Durability::ThrowAway, &guard).await;
    let url = postgres.url("switchhook");
    drop(postgres);
    until("the end of the server", DEADLINE, async || {
        databases::reachable(&url).await.is_err()
    })
    .await;
}
