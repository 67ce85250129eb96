//! What an owner does beside its transactions: it hears an answer while it comes, writes rows in statements of its own, and
//! calls off what is not under way.

use serde_json::json;
use sqlx::PgPool;
use switchhook_chassis::outbox::Cancelled;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::stage::{AGAIN, ONCE, REPEATED, Stage, delivery, eventually};

fn seen(stage: &Stage) -> Vec<String> {
    stage.seen.lock().unwrap().clone()
}

#[sqlx::test(migrations = "tests/migrations")]
async fn an_owner_hears_an_answer_before_it_settles_and_tells_after_the_commit(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        status: Some(200),
        body: Some(json!("the answer")),
        ..Control::default()
    });
    let process = stage.process().await;
    process.owe(AGAIN, "heard", "n8n").await;
    let all = eventually("it is told", || async {
        Some(seen(&stage)).filter(|seen| seen.len() >= 3)
    });
    assert_eq!(all.await, ["heard the answer", "heard over", "heard answered"]);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_is_no_success_is_not_heard(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        status: Some(403),
        body: Some(json!("Authorization data is wrong!")),
        ..Control::default()
    });
    let process = stage.process().await;
    process.owe(AGAIN, "heard", "n8n").await;
    let all = eventually("it is told", || async {
        Some(seen(&stage)).filter(|seen| seen.len() >= 2)
    });
    assert_eq!(all.await, ["heard over", "heard refused"]);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn a_row_that_the_service_wrote_itself_is_sent_at_once(pool: PgPool) {
    let stage = Stage::set(pool).await;
    let process = stage.process().await;
    let outbox = &process.outbox;
    let draft = outbox.draft(outbox.new_id(), REPEATED, delivery("own", "n8n"));
    let columns = draft.columns().clone();
    assert!(columns.willing && columns.last_error.is_none(), "{columns:?}");
    sqlx::query(
        "INSERT INTO outbox_test.outbox (id, topic, key, target, headers, body, guarantee, state, attempts, deadline, replica)
        VALUES ($1, $2, 'own', 'n8n', $3, $4, $5, 'sending', 1, now() + make_interval(secs => $6), $7)",
    )
    .bind(columns.id)
    .bind(columns.topic)
    .bind(&columns.headers)
    .bind(draft.body())
    .bind(columns.guarantee)
    .bind(columns.give_up_after_s)
    .bind(columns.replica)
    .execute(&stage.pool)
    .await
    .unwrap();
    let owed = outbox.written(draft, true);
    process
        .kit
        .tasks
        .run({
            let outbox = outbox.clone();
            async move { outbox.send_now(owed) }
        })
        .await
        .unwrap();
    stage.until_state(columns.id, "answered").await;
    assert_eq!(stage.times("own"), 1);
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_is_under_way_is_not_called_off_and_what_waits_behind_it_is(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let process = stage.process().await;
    let first = process.owe(ONCE, "a", "n8n").await;
    eventually("it is held", || async { (stage.n8n.held() == 1).then_some(()) }).await;
    let second = process.owe(ONCE, "a", "n8n").await;
    let mut conn = stage.pool.acquire().await.unwrap();
    let other_topic = process
        .outbox
        .cancel_owed(&mut conn, REPEATED, "a")
        .await
        .unwrap();
    assert_eq!(other_topic, []);
    let cancelled = process.outbox.cancel_owed(&mut conn, ONCE, "a").await.unwrap();
    let expected = Cancelled {
        id: second,
        last_error: None,
    };
    assert_eq!(cancelled, [expected]);
    stage.n8n.clear();
    stage.until_state(first, "answered").await;
    assert_eq!(
        (stage.state(second).await.as_str(), stage.times("a")),
        ("cancelled", 1)
    );
}

#[sqlx::test(migrations = "tests/migrations")]
async fn what_waits_for_a_place_and_is_wanted_no_longer_is_never_sent(pool: PgPool) {
    let stage = Stage::set(pool).await;
    stage.n8n.push(Control {
        mode: Some(Mode::Hold),
        body: Some(json!("at last")),
        times: 0,
        ..Control::default()
    });
    let process = stage.process().await;
    let mut held = Vec::new();
    for nth in 0..REPEATED.opening {
        held.push(process.owe(REPEATED, &format!("held-{nth}"), "n8n").await);
    }
    eventually("all places are taken", || async {
        (stage.n8n.log().len() == REPEATED.opening).then_some(())
    })
    .await;
    let unwanted = process.owe(REPEATED, "unwanted", "n8n").await;
    let wanted = process.owe(REPEATED, "wanted", "n8n").await;
    stage.unwanted.lock().unwrap().insert("unwanted".to_owned());
    stage.n8n.clear();
    stage.until_state(unwanted, "cancelled").await;
    stage.until_state(wanted, "answered").await;
    stage.until_state(held[0], "answered").await;
    assert_eq!((stage.times("unwanted"), stage.times("wanted")), (0, 1));
    assert!(stage.told("unwanted").await.is_empty());
}
