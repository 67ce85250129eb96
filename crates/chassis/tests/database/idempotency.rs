//! A request that is repeated with its key is not done again.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::idempotency::{Answer, KeyError, Keyed, Keys};

use crate::SERVICE;

const KEYS: Keys = Keys::new(&SERVICE);

fn keyed(caller: &str, key: &str, request: &str) -> Keyed {
    Keyed::new(caller, "assign", key.to_owned(), &[request])
}

fn answer(number: i64) -> Answer {
    Answer {
        status: 201,
        body: json!({"success": true, "number": number}),
    }
}

/// Does the work under the key, unless it was done before; gives the answer either way.
async fn work(pool: &PgPool, keyed: &Keyed, number: i64) -> Result<Answer, KeyError> {
    let mut tx = pool.begin().await?;
    if let Some(first) = KEYS.claim(&mut tx, keyed).await? {
        return Ok(first);
    }
    sqlx::query("INSERT INTO outbox_test.things (key, outcome) VALUES ($1, 'done')")
        .bind(&keyed.key)
        .execute(&mut *tx)
        .await?;
    KEYS.record(&mut tx, keyed, &answer(number)).await?;
    tx.commit().await?;
    Ok(answer(number))
}

async fn done(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM outbox_test.things");
    count.fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrations = "tests/migrations")]
async fn the_first_answer_is_given_again(pool: PgPool) {
    let keyed = keyed("ada", "k", "body");
    assert_eq!(work(&pool, &keyed, 1).await.unwrap(), answer(1));
    assert_eq!(work(&pool, &keyed, 2).await.unwrap(), answer(1));
    assert_eq!(done(&pool).await, 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn twenty_at_once_do_the_work_once(pool: PgPool) {
    let keyed = keyed("ada", "k", "body");
    let all = (0..20).map(|number| {
        let (pool, keyed) = (pool.clone(), keyed.clone());
        tokio::spawn(async move { work(&pool, &keyed, number).await.unwrap() })
    });
    let all: Vec<_> = all.collect();
    let mut answers = Vec::new();
    for one in all {
        answers.push(one.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(done(&pool).await, 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn another_request_under_the_key_is_a_conflict(pool: PgPool) {
    work(&pool, &keyed("ada", "k", "body"), 1).await.unwrap();
    let other = work(&pool, &keyed("ada", "k", "another"), 2).await.unwrap_err();
    assert_eq!(other.problem().code, "idempotency_conflict");
    assert_eq!(done(&pool).await, 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn keys_of_different_callers_never_meet(pool: PgPool) {
    work(&pool, &keyed("ada", "k", "body"), 1).await.unwrap();
    assert_eq!(
        work(&pool, &keyed("bob", "k", "another"), 2).await.unwrap(),
        answer(2)
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn work_that_failed_leaves_its_key_free(pool: PgPool) {
    let keyed = keyed("ada", "k", "body");
    let mut tx = pool.begin().await.unwrap();
    assert!(KEYS.claim(&mut tx, &keyed).await.unwrap().is_none());
    tx.rollback().await.unwrap();
    assert_eq!(work(&pool, &keyed, 2).await.unwrap(), answer(2));
}

#[sqlx::test(migrations = "tests/migrations")]
async fn an_answer_that_is_too_old_is_not_given_and_is_removed(pool: PgPool) {
    let keyed = keyed("ada", "k", "body");
    work(&pool, &keyed, 1).await.unwrap();
    let age = async || {
        let age = "UPDATE outbox_test.idempotency SET created_at = created_at - interval '49 hours'";
        sqlx::query(age).execute(&pool).await.unwrap();
    };
    age().await;
    assert_eq!(work(&pool, &keyed, 2).await.unwrap(), answer(2));
    work(&pool, &self::keyed("ada", "other", "body"), 3)
        .await
        .unwrap();
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(KEYS.prune(&mut conn).await.unwrap(), 0);
    age().await;
    assert_eq!(KEYS.prune(&mut conn).await.unwrap(), 2);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn an_erased_caller_leaves_no_answer(pool: PgPool) {
    work(&pool, &keyed("ada", "k", "body"), 1).await.unwrap();
    work(&pool, &keyed("bob", "k", "body"), 2).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(KEYS.erase(&mut conn, "ada").await.unwrap(), 1);
    assert_eq!(
        work(&pool, &keyed("bob", "k", "body"), 3).await.unwrap(),
        answer(2)
    );
}
