//! One order for everybody: each answer once, and nobody who pages misses one that commits late.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;
use sqlx::PgPool;
use switchhook_chassis::testing::{EventReader, eventually};

use crate::world::{ADA, Ask, SOON, World, replica, texts};

/// Pages by `after` until so many answers were seen.
async fn paged(app: &impl Ask, task: &str, count: usize) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < count {
        let after = seen.last().map_or(String::new(), |last| {
            format!("&after={}", last["id"].as_str().unwrap())
        });
        let new = app.responses(ADA, task, &format!("{after}&wait=25")).await;
        assert!(!new.is_empty(), "{} of {count} were seen", seen.len());
        seen.extend(new);
    }
    seen
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn fifty_answers_at_once_are_kept_once_each_in_one_order(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    let path = format!("/api/communications/stream?taskId={task}");
    let mut stream = EventReader::open(&other, ADA, &path, None).await;
    let posts = (0..50).map(|number| {
        let app = if number % 2 == 0 { &world.app } else { &other };
        let (task, text) = (task.clone(), format!("answer {number}"));
        async move { app.answer(&task, &text).await }
    });
    let (ids, paged_here, paged_there) = tokio::join!(
        join_all(posts),
        paged(&world.app, &task, 50),
        paged(&other, &task, 50)
    );
    let kept = world.app.responses(ADA, &task, "").await;
    let stored: BTreeSet<_> = kept
        .iter()
        .map(|response| response["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((kept.len(), stored), (50, ids.into_iter().collect()));
    assert_eq!(paged_here, kept);
    assert_eq!(paged_there, kept);
    let mut streamed = Vec::new();
    while streamed.len() < 50 {
        let seen = stream.next().await.unwrap();
        if seen.event == "response" {
            assert_eq!(seen.id, seen.data["responses"][0]["id"]);
            streamed.push(seen.data["responses"][0].clone());
        }
    }
    assert_eq!(streamed, kept);
    for (at, response) in kept.iter().enumerate() {
        let after = format!("&after={}", response["id"].as_str().unwrap());
        assert_eq!(other.responses(ADA, &task, &after).await, kept[at + 1..]);
    }
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn an_answer_that_commits_late_is_not_missed(pool: PgPool) {
    let world = World::new(&pool).await;
    let other = replica(&pool, &world.n8n, &[]).await;
    let task = world.app.begin(ADA, "hello").await;
    world
        .app
        .until(ADA, &task, |task| task["delivery"]["state"] == "delivered")
        .await;
    let first = world.app.answer(&task, "first").await;
    // Somebody has his position already and takes long to commit, while others come after him.
    let mut slow = pool.begin().await.unwrap();
    let position: i64 = sqlx::query_scalar(
        "UPDATE task_chat.tasks SET last_seq = last_seq + 1, responses = responses + 1 WHERE task_id = $1 \
         RETURNING last_seq",
    )
    .bind(&task)
    .fetch_one(&mut *slow)
    .await
    .unwrap();
    let reader = async {
        let new = other
            .responses(ADA, &task, &format!("&after={first}&wait=50"))
            .await;
        let last = new.last().unwrap()["id"].as_str().unwrap().to_owned();
        let mut seen = new;
        if seen.len() < 6 {
            seen.extend(
                other
                    .responses(ADA, &task, &format!("&after={last}&wait=50"))
                    .await,
            );
        }
        while seen.len() < 6 {
            let last = seen.last().unwrap()["id"].as_str().unwrap().to_owned();
            seen.extend(
                other
                    .responses(ADA, &task, &format!("&after={last}&wait=50"))
                    .await,
            );
        }
        seen
    };
    let posts = join_all((0..5).map(|number| {
        let (app, task) = (&world.app, task.clone());
        async move { app.answer(&task, &format!("quick {number}")).await }
    }));
    let commit = async {
        // All of them stand behind the slow one.
        let waiting = async || {
            let count: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            (count >= 3).then_some(())
        };
        eventually(waiting, SOON).await;
        assert_eq!(
            other.responses(ADA, &task, &format!("&after={first}")).await,
            Vec::<Value>::new()
        );
        let insert = "INSERT INTO task_chat.communications (id, task_id, seq, response, source, created_at) \
                      VALUES (gen_random_uuid(), $1, $2, 'slow', 'webhook', now())";
        sqlx::query(insert)
            .bind(&task)
            .bind(position)
            .execute(&mut *slow)
            .await
            .unwrap();
        slow.commit().await.unwrap();
    };
    let (seen, _, ()) = tokio::join!(reader, posts, commit);
    let all = world.app.responses(ADA, &task, "").await;
    assert_eq!(seen, all[1..]);
    assert_eq!(texts(&all)[1], "slow");
}
