//! Long polls and streams: woken on every replica, at a cost that does not grow with those who wait.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use sqlx::{ConnectOptions, PgPool};
use switchhook_chassis::testing::{EventReader, TestApp, TokenSpec, eventually, json_of};
use task_chat_svc::app::TaskChatSvc;
use url::Url;

use crate::world::{ADA, Ask, SOON, World, failed, replica, texts};

fn stream_of(task: &str) -> String {
    format!("/api/communications/stream?taskId={task}")
}

/// Waits until so many read.
async fn until_readers(app: &TestApp<TaskChatSvc>, count: usize) {
    let all = async || (app.state().readers() >= count).then_some(());
    eventually(all, SOON).await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_answer_posted_to_one_replica_wakes_those_who_wait_at_another(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    let mut stream = EventReader::open(&other, ADA, &stream_of(&task), None).await;
    let first = stream.next().await.unwrap();
    assert_eq!(
        (first.event.as_str(), &first.data["task"]["state"]),
        ("task", &json!("waiting"))
    );
    let shown = json_of(other.get(ADA, &format!("/api/tasks/{task}")).await, 200).await;
    assert_eq!(first.data["task"], shown["task"]);
    let begun = Instant::now();
    let answer = async {
        until_readers(&other, 2).await;
        world.app.answer(&task, "hi").await
    };
    let (polled, id) = tokio::join!(other.responses(ADA, &task, "&wait=55"), answer);
    assert_eq!(texts(&polled), ["hi"]);
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    let response = stream.next().await.unwrap();
    assert_eq!((response.event.as_str(), &response.id), ("response", &id));
    assert_eq!(
        response.data,
        json!({"success": true, "responses": [polled[0].clone()], "taskId": task})
    );
    let over = stream.next().await.unwrap();
    assert_eq!(
        (over.event.as_str(), &over.data["task"]["state"]),
        ("task", &json!("answered"))
    );
    // Who comes back is shown what he has not seen, and nothing twice.
    let mut again = EventReader::open(&world.app, ADA, &stream_of(&task), Some(&id)).await;
    assert_eq!(again.next().await.unwrap(), over);
    let mut later = EventReader::open(&world.app, ADA, &stream_of(&task), Some(&over.id)).await;
    let second = other.answer(&task, "more").await;
    assert_eq!(later.next().await.unwrap().id, second);
    let mut lost = EventReader::open(&world.app, ADA, &stream_of(&task), Some("nonsense")).await;
    assert_eq!(lost.next().await.unwrap().id, id);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn what_is_there_is_given_at_once_and_nothing_only_when_the_time_is_up(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    let begun = Instant::now();
    assert!(world.app.responses(ADA, &task, "&wait=1").await.is_empty());
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let id = world.app.answer(&task, "hi").await;
    assert_eq!(world.app.responses(ADA, &task, "&wait=55").await.len(), 1);
    assert!(
        world
            .app
            .responses(ADA, &task, &format!("&after={id}&wait=0"))
            .await
            .is_empty()
    );
    let machine = format!("/api/communications/get-responses?taskId={task}&wait=5");
    let seen = world.app.as_machine(reqwest::Method::GET, &machine, None).await;
    assert_eq!(json_of(seen, 200).await["responses"][0]["id"], id);
    let foreign = "0197a9f2-0000-7000-8000-000000000000";
    let path = format!("/api/communications/get-responses?taskId={task}&after={foreign}");
    let refused = failed(world.app.get(ADA, &path).await, 400, "invalid_field").await;
    assert!(refused["fields"]["after"].is_string(), "{refused}");
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_cut_listener_costs_no_answer(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    let mut stream = EventReader::open(&other, ADA, &stream_of(&task), None).await;
    stream.next().await.unwrap();
    let mut after = String::new();
    for number in 0..3 {
        let text = format!("answer {number}");
        let cut = async {
            until_readers(&other, 2).await;
            // A listener that was cut comes back after a moment.
            let cut = async || {
                let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                           WHERE datname = current_database() AND query LIKE 'LISTEN%'";
                let listeners: i64 = sqlx::query_scalar(cut).fetch_one(&pool).await.unwrap();
                (listeners > 0).then_some(())
            };
            eventually(cut, SOON).await;
            let id = world.app.answer(&task, &text).await;
            (id, Instant::now())
        };
        let poll = async {
            let new = other.responses(ADA, &task, &format!("{after}&wait=55")).await;
            (new, Instant::now())
        };
        let ((id, posted), (new, woken)) = tokio::join!(cut, poll);
        assert_eq!(texts(&new), [text.as_str()]);
        let late = woken.saturating_duration_since(posted);
        assert!(late < Duration::from_secs(10), "{late:?}");
        stream.until(|seen| seen.id == id).await;
        after = format!("&after={id}");
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn without_any_notification_the_safety_poll_finds_the_answer(pool: PgPool) {
    let world = World::new(&pool).await;
    // It listens where nobody ever notifies.
    let mut elsewhere: Url = pool.connect_options().to_url_lossy();
    elsewhere.set_path("/postgres");
    let deaf = replica(&pool, &world.n8n, &[("DATABASE_LISTEN_URL", elsewhere.as_str())]).await;
    let task = world.app.begin(ADA, "hello").await;
    let post = async {
        until_readers(&deaf, 1).await;
        world.app.answer(&task, "hi").await;
        Instant::now()
    };
    let poll = async {
        let new = deaf.responses(ADA, &task, "&wait=55").await;
        (new, Instant::now())
    };
    let (posted, (new, woken)) = tokio::join!(post, poll);
    assert_eq!(texts(&new), ["hi"]);
    let late = woken.saturating_duration_since(posted);
    assert!(late < Duration::from_secs(10), "{late:?}");
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_thousand_who_wait_cost_as_many_queries_as_one(pool: PgPool) {
    const WAITERS: usize = 1_000;
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    let begun = Instant::now();
    let before = commits(&pool).await;
    let waiters: FuturesUnordered<_> = (0..WAITERS)
        .map(|_| other.responses(ADA, &task, "&wait=55"))
        .collect();
    let post = async {
        until_readers(&other, WAITERS).await;
        world.app.answer(&task, "hi").await;
    };
    let (woken, ()) = tokio::join!(waiters.collect::<Vec<_>>(), post);
    assert!(woken.len() == WAITERS && woken.iter().all(|new| texts(new) == ["hi"]));
    // Figures of connections are complete once these are closed.
    other.stop().await;
    world.app.stop().await;
    let seconds = begun.elapsed().as_secs() + 1;
    let spent = usize::try_from(commits(&pool).await - before).unwrap();
    // Each asks once when it comes; what goes on beside them goes by time. Another look of each would be as many again.
    let beside = 25 * usize::try_from(seconds).unwrap();
    assert!(
        spent < WAITERS + WAITERS / 2 + beside,
        "{spent} transactions in {seconds} s"
    );
}

async fn commits(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_stop_ends_long_polls_and_streams_with_what_there_is(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    let mut stream = EventReader::open(&world.app, ADA, &stream_of(&task), None).await;
    let stop = async {
        until_readers(&world.app, 2).await;
        world.app.begin_stop();
    };
    let (polled, ()) = tokio::join!(world.app.responses(ADA, &task, "&wait=55"), stop);
    assert!(polled.is_empty());
    while stream.next().await.is_some() {}
    world.app.stop().await;
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_stream_ends_with_its_token(pool: PgPool) {
    let world = World::new(&pool).await;
    let task = world.app.begin(ADA, "hello").await;
    let exp = world.app.kit().clock.now().timestamp() + 2;
    let token = world.app.token(&TokenSpec::user(ADA, exp));
    let mut stream = EventReader::open_with(&world.app, &token, &stream_of(&task), None).await;
    while stream.next().await.is_some() {}
}
