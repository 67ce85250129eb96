//! n8n is away, processes die, rows poison.

use serde_json::json;
use sqlx::PgPool;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;
use uuid::Uuid;

use crate::stage::{ONCE, REPEATED, Stage, eventually};

#[sqlx::test(migrations = "tests/migrations")]
async fn what_n8n_did_not_take_arrives_once_it_is_back(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    let (code, due): (String, bool) = eventually("the reason and the next try are shown", || async {
        sqlx::query_as(
            "SELECT last_error->>'code', next_attempt_at > now() - interval '1 second' FROM outbox_test.outbox \
             WHERE state = 'owed' AND last_error IS NOT NULL",
        )
        .fetch_optional(&stage.pool)
        .await
        .unwrap()
    })
    .await;
    assert_eq!((code.as_str(), due), ("n8n_unreachable", true));
    stage.n8n.up().await.unwrap();
    stage.until_state(id, "answered").await;
    assert_eq!(stage.times("a"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_workflow_that_is_not_published_yet_is_tried_again(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let body = json!({"code": 404, "message": "The requested webhook \"POST x\" is not registered."});
    stage.n8n.push(Control {
        status: Some(404),
        body: Some(body),
        times: 2,
        ..Control::default()
    });
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    stage.until_state(id, "answered").await;
    assert_eq!(stage.times("a"), 3);
    let attempts: i32 = sqlx::query_scalar("SELECT attempts FROM outbox_test.outbox")
        .fetch_one(&stage.pool)
        .await
        .unwrap();
    assert_eq!(attempts, 3);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_dead_target_holds_up_no_other(pool: PgPool) {
    let stage = Stage::set(pool).await;
    // Nothing listens on port 1.
    stage.target("dead-1", "http://127.0.0.1:1/webhook/a");
    stage.target("dead-2", "http://127.0.0.1:1/webhook/b");
    let process = stage.process().await;
    let mut dead = Vec::new();
    for n in 0..40 {
        dead.push(
            process
                .owe(
                    ONCE,
                    &format!("dead-{n}"),
                    if n % 2 == 0 { "dead-1" } else { "dead-2" },
                )
                .await,
        );
    }
    let mut alive = Vec::new();
    for n in 0..20 {
        alive.push(process.owe(ONCE, &format!("alive-{n}"), "n8n").await);
    }
    for id in alive {
        stage.until_state(id, "answered").await;
    }
    let (untried, unexplained): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE attempts = 0), count(*) FILTER (WHERE last_error IS NULL) \
         FROM outbox_test.outbox WHERE target LIKE 'dead%' AND state = 'owed'",
    )
    .fetch_one(&stage.pool)
    .await
    .unwrap();
    assert!(
        untried > 20,
        "a dead target is probed, not stormed: {untried} of 40 were spared"
    );
    assert_eq!(unexplained, 0, "each owner sees why his delivery waits");
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_process_that_begins_after_an_outage_begins_slowly(pool: PgPool) {
    const OWED: usize = 40;
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let process = stage.process().await;
    for n in 0..OWED {
        process.owe(REPEATED, &format!("k{n}"), "n8n").await;
    }
    eventually("all wait for another try", || async {
        let sql = "SELECT count(*) FROM outbox_test.outbox WHERE state = 'owed' AND last_error IS NOT NULL";
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&stage.pool).await.unwrap();
        (waiting == 40).then_some(())
    })
    .await;
    process.stop().await;
    stage
        .execute("UPDATE outbox_test.outbox SET next_attempt_at = now()")
        .await;
    stage.n8n.up().await.unwrap();
    let _successor = stage.process().await;
    eventually("everything arrives", || async {
        (stage.n8n.log().len() >= OWED).then_some(())
    })
    .await;
    let came = stage.n8n.log();
    let within = |ms| {
        came.iter()
            .filter(|one| one.at - came[0].at < chrono::TimeDelta::milliseconds(ms))
            .count()
    };
    assert_eq!(came.len(), OWED, "each once");
    // 1, 2, 4 … each second: a second's end falls where it will.
    assert!(
        within(900) <= 3 && within(1_900) <= 7,
        "{} came at once, {} within two seconds",
        within(900),
        within(1_900)
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_process_that_dies_before_the_first_byte_leaves_work_for_another(pool: PgPool) {
    let stage = Stage::set(pool).await;
    // What a process leaves that dies between its commit and the mark: claimed, not sent.
    let dead = Uuid::now_v7();
    for (key, topic, guarantee) in [("a", "once", "at_most_once"), ("b", "repeated", "at_least_once")] {
        sqlx::query(
            "INSERT INTO outbox_test.outbox (id, topic, key, target, body, guarantee, state, attempts, deadline, replica) \
             VALUES (gen_random_uuid(), $1, $2, 'n8n', convert_to('{\"key\":\"' || $2 || '\"}', 'UTF8'), $3, 'sending', 1, \
             now() + interval '1 hour', $4)",
        )
        .bind(topic)
        .bind(key)
        .bind(guarantee)
        .bind(dead)
        .execute(&stage.pool)
        .await
        .unwrap();
    }
    let _both = (stage.process().await, stage.process().await);
    for key in ["a", "b"] {
        eventually("the other process sent it", || async {
            (stage.told(key).await.len() == 1).then_some(())
        })
        .await;
        assert_eq!(stage.times(key), 1);
    }
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_process_that_dies_while_it_waits_leaves_an_unknown_start(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let doomed = stage.process().await;
    let once = doomed.owe(ONCE, "once", "n8n").await;
    let repeated = doomed.owe(REPEATED, "repeated", "n8n").await;
    eventually("n8n holds both", || async {
        (stage.n8n.held() == 2).then_some(())
    })
    .await;
    doomed.kill();
    stage.n8n.clear();
    // Before the survivors have a row of their own: aged as well, they would judge each other.
    stage.age_replicas().await;
    let _survivors = (stage.process().await, stage.process().await);
    stage.until_state(once, "unknown").await;
    stage.until_state(repeated, "answered").await;
    assert_eq!(stage.times("once"), 1, "a start is never sent again");
    assert_eq!(stage.times("repeated"), 2, "what may be repeated is, once");
    assert_eq!(stage.told("once").await.len(), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_live_process_is_not_judged_dead_for_one_missed_beat(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let (holder, _other) = (stage.process().await, stage.process().await);
    let id = holder.owe(ONCE, "a", "n8n").await;
    eventually("n8n holds the request", || async {
        (stage.n8n.held() == 1).then_some(())
    })
    .await;
    let other = stage.process().await;
    eventually("the others may judge", || async {
        other.kit.replica.may_judge().then_some(())
    })
    .await;
    assert_eq!(stage.state(id).await, "sending");
    stage.n8n.clear();
    stage.until_state(id, "answered").await;
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_row_that_kills_its_processes_is_given_up(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage
        .execute(
            "INSERT INTO outbox_test.outbox (id, topic, key, target, body, guarantee, state, attempts, deadline, replica, \
             last_error) VALUES (gen_random_uuid(), 'repeated', 'poison', 'n8n', '{}', 'at_least_once', 'sending', 5, \
             now() + interval '1 hour', gen_random_uuid(), '{\"code\":\"holder_lost\",\"losses\":4}')",
        )
        .await;
    let _process = stage.process().await;
    eventually("it is given up", || async {
        (!stage.told("poison").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        stage.told("poison").await,
        [("given_up".to_owned(), "poison".to_owned())]
    );
    assert!(stage.got().is_empty());
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_was_lost_from_the_hand_is_handed_back(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    sqlx::query(
        "INSERT INTO outbox_test.outbox (id, topic, key, target, body, guarantee, state, attempts, deadline, replica) \
         VALUES (gen_random_uuid(), 'once', 'a', 'n8n', '{\"key\":\"a\"}', 'at_most_once', 'sending', 1, \
         now() + interval '1 hour', $1)",
    )
    .bind(process.kit.replica.id())
    .execute(&stage.pool)
    .await
    .unwrap();
    eventually("it was sent after all", || async {
        (stage.times("a") == 1).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_never_got_through_in_its_time_is_given_up(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let process = stage.process().await;
    let id = process.owe(ONCE, "a", "n8n").await;
    eventually("a first try failed", || async {
        (stage.state(id).await == "owed").then_some(())
    })
    .await;
    stage
        .execute("UPDATE outbox_test.outbox SET deadline = now()")
        .await;
    stage.until_state(id, "given_up").await;
    assert_eq!(
        stage.told("a").await,
        [("given_up".to_owned(), "n8n_unreachable".to_owned())]
    );
    stage.n8n.up().await.unwrap();
    let other = process.owe(ONCE, "b", "n8n").await;
    stage.until_state(other, "answered").await;
    assert_eq!(stage.times("a"), 0);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_process_that_cannot_renew_sends_nothing(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    // Renewals fail from now on, as when PostgreSQL refuses writes.
    stage
        .execute(
            "ALTER TABLE outbox_test.replicas ADD CONSTRAINT no_beat CHECK (beat_at < 'epoch') NOT VALID",
        )
        .await;
    eventually("it knows that it is not current", || async {
        (!process.kit.replica.is_current()).then_some(())
    })
    .await;
    let id = process.owe(ONCE, "a", "n8n").await;
    assert_eq!(stage.state(id).await, "owed");
    stage
        .execute("ALTER TABLE outbox_test.replicas DROP CONSTRAINT no_beat")
        .await;
    stage.until_state(id, "answered").await;
    assert_eq!(stage.times("a"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn two_replicas_send_each_row_once(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let (one, two) = (stage.process().await, stage.process().await);
    let mut ids = Vec::new();
    for n in 0..30 {
        let process = if n % 2 == 0 { &one } else { &two };
        ids.push(process.owe(ONCE, &format!("k{n}"), "n8n").await);
    }
    stage.n8n.up().await.unwrap();
    for id in ids {
        stage.until_state(id, "answered").await;
    }
    for n in 0..30 {
        assert_eq!(stage.times(&format!("k{n}")), 1);
    }
    assert_eq!(stage.n8n.log().len(), 30);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_target_that_holds_its_requests_counts_as_back(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.down().await.unwrap();
    let process = stage.process().await;
    for n in 0..5 {
        process.owe(ONCE, &format!("k{n}"), "n8n").await;
    }
    eventually("the target is known to be dead", || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM outbox_test.outbox WHERE state = 'owed' AND last_error IS NOT NULL",
        )
        .fetch_one(&stage.pool)
        .await
        .unwrap();
        (waiting == 5).then_some(())
    })
    .await;
    // A workflow with "Respond to Webhook" at its end answers after hours.
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    stage.n8n.up().await.unwrap();
    eventually("all are held", || async { (stage.n8n.held() == 5).then_some(()) }).await;
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_dead_process_has_waited_until_its_last_sign_of_life(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        times: 0,
        ..Control::default()
    });
    let doomed = stage.process().await;
    let id = doomed.owe(ONCE, "a", "n8n").await;
    eventually("n8n holds it", || async { (stage.n8n.held() == 1).then_some(()) }).await;
    doomed.kill();
    // An hour passes before anybody looks: sent and last seen within the same second.
    stage
        .execute("UPDATE outbox_test.replicas SET beat_at = beat_at - interval '1 hour'")
        .await;
    stage
        .execute("UPDATE outbox_test.outbox SET sent_at = sent_at - interval '1 hour'")
        .await;
    let _survivor = stage.process().await;
    stage.until_state(id, "unknown").await;
    let waited: f64 = sqlx::query_scalar("SELECT waited_s FROM outbox_test.things WHERE key = 'a'")
        .fetch_one(&stage.pool)
        .await
        .unwrap();
    assert!(waited < 10.0, "{waited} s");
}
