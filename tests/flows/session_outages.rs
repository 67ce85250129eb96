//! The same flow when something dies under it: the service, n8n, PostgreSQL.

use std::time::Duration;

use devstack::Stack;
use e2e::people::{User, Workflow, client};
use e2e::waiting::eventually;
use serde_json::json;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::session::{SESSION, silent, until};

/// A killed process is judged dead after 10 s by one that has renewed five times, 2 s apart.
const JUDGED_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_n8n_works_the_start_is_not_sent_again_and_the_completion_is_accepted() {
    let stack = Stack::builder().services(&[SESSION]).start().await.unwrap();
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let user = User::of(&stack, 0, "killed");
    let id = user.started(10).await;
    until(&user, "n8n has the request", |s| {
        s["session"]["delivery"]["state"] == "waiting"
    })
    .await;
    stack.kill9(SESSION, 0).await;
    stack.restart(SESSION, 0).await.unwrap();
    let known = eventually("the new process says what it knows", JUDGED_WITHIN, || async {
        let status = user.status().await.ok()?;
        (status["session"]["delivery"]["state"] == "unknown").then_some(status)
    })
    .await;
    assert_eq!(known["aiStatus"], "active");
    let finished = json!({"sessionId": id, "status": "finished", "callsMade": 10});
    assert_eq!(
        Workflow::of(&stack, 0).report(&finished).await.unwrap().status,
        200
    );
    let done = user.status().await.unwrap();
    assert_eq!(done["session"]["stopReason"], "completed");
    assert_eq!(done["session"]["delivery"]["state"], "delivered");
    assert_eq!(stack.n8n().log().len(), 1, "the start was sent once");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_n8n_is_down_the_user_sees_why_and_the_start_arrives_once_it_is_back() {
    let stack = Stack::builder().services(&[SESSION]).start().await.unwrap();
    stack.n8n().push(silent());
    stack.n8n().down().await.unwrap();
    let user = User::of(&stack, 0, "patient");
    user.started(10).await;
    let waiting = until(&user, "the reason is shown", |s| {
        !s["session"]["delivery"]["lastError"].is_null()
    })
    .await;
    let delivery = &waiting["session"]["delivery"];
    assert_eq!(delivery["state"], "pending");
    assert_eq!(delivery["lastError"]["code"], "n8n_unreachable");
    assert!(delivery["nextAttemptAt"].is_string(), "{delivery:#}");
    stack.n8n().up().await.unwrap();
    until(&user, "it arrives", |s| {
        s["session"]["delivery"]["state"] == "delivered"
    })
    .await;
    assert_eq!(stack.n8n().log().len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_nothing_is_acknowledged_and_afterwards_all_goes_on() {
    let stack = Stack::builder()
        .services(&[SESSION])
        .private_postgres()
        .start()
        .await
        .unwrap();
    stack.n8n().push(Control {
        times: 1,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let waiting = User::of(&stack, 0, "waits-through");
    waiting.started(10).await;
    until(&waiting, "n8n has the request", |s| {
        s["session"]["delivery"]["state"] == "waiting"
    })
    .await;
    let pid = stack.pid(SESSION, 0).await;
    stack.postgres().stop().await;
    let user = User::of(&stack, 0, "outage");
    let refused = user.start(10).await.unwrap();
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (503, Some("unavailable"))
    );
    stack.n8n().clear();
    stack.postgres().start().await.unwrap();
    eventually("starts are taken again", Duration::from_secs(20), || async {
        (user.start(10).await.ok()?.status == 201).then_some(())
    })
    .await;
    until(&waiting, "the answer that came meanwhile is recorded", |s| {
        s["session"]["delivery"]["state"] == "delivered"
    })
    .await;
    assert_eq!(stack.pid(SESSION, 0).await, pid, "the service was not restarted");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_restart_says_unknown_at_once() {
    let stack = Stack::builder()
        .services(&[SESSION])
        .set("SHUTDOWN_TIMEOUT", "2s")
        .start()
        .await
        .unwrap();
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let user = User::of(&stack, 0, "rolled");
    user.started(10).await;
    until(&user, "n8n has the request", |s| {
        s["session"]["delivery"]["state"] == "waiting"
    })
    .await;
    stack.restart(SESSION, 0).await.unwrap();
    let status = user.status().await.unwrap();
    assert_eq!(status["session"]["delivery"]["state"], "unknown", "{status:#}");
    let again = user
        .post(&format!("/{}/resend", status["session"]["id"].as_str().unwrap()))
        .await
        .unwrap();
    assert_eq!(again.status, 200, "{:#}", again.body);
    eventually(
        "n8n got it a second time, as the user asked",
        Duration::from_secs(20),
        || async { (stack.n8n().log().len() == 2).then_some(()) },
    )
    .await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_comes_back_after_the_stop_is_not_sent_again() {
    let stack = Stack::builder().services(&[SESSION]).start().await.unwrap();
    // A proxy that loses the held request answers 503: n8n did not take it, says the protocol.
    stack.n8n().push(Control {
        mode: Some(Mode::Hold),
        status: Some(503),
        ..Control::default()
    });
    let user = User::of(&stack, 0, "stopped-meanwhile");
    let id = user.started(10).await;
    until(&user, "n8n has the request", |s| {
        s["session"]["delivery"]["state"] == "waiting"
    })
    .await;
    assert_eq!(user.post("/stop").await.unwrap().status, 200);
    stack.n8n().clear();
    until(&user, "it is called off", |s| {
        s["session"]["delivery"]["state"] == "cancelled"
    })
    .await;
    stack.n8n().push(silent());
    user.started(10).await;
    until(&user, "the next one arrives", |s| {
        s["session"]["delivery"]["state"] == "delivered"
    })
    .await;
    let sent = stack.n8n().log();
    assert_eq!(sent.iter().filter(|entry| entry.text.contains(&id)).count(), 1);
    stack.stop().await.unwrap();
}

/// Longer than a replica may be silent before it counts as dead.
const SILENCE: Duration = Duration::from_secs(13);
const WAITING: usize = 150;

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_that_stands_still_makes_nobody_dead_and_sends_nothing_twice() {
    let builder = Stack::builder()
        .services(&[SESSION])
        .private_postgres()
        .replicas(SESSION, 2);
    let stack = builder.start().await.unwrap();
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let client = client();
    let user = |n| User::with_client(&stack, n % 2, &format!("still-{n}"), &client);
    let users: Vec<User> = (0..WAITING).map(user).collect();
    for user in &users {
        user.started(10).await;
    }
    eventually("n8n has them all", JUDGED_WITHIN, || async {
        (stack.n8n().held() == WAITING).then_some(())
    })
    .await;
    stack.postgres().pause().await;
    tokio::time::sleep(SILENCE).await;
    stack.postgres().resume().await;
    // Both replicas have renewed often enough to judge each other by then.
    tokio::time::sleep(SILENCE).await;
    for user in &users {
        let status = until(user, "the service answers again", |s| s["success"] == true).await;
        assert_eq!(status["session"]["delivery"]["state"], "waiting", "{status:#}");
    }
    stack.n8n().clear();
    for user in &users {
        until(user, "its answer is recorded", |s| {
            s["session"]["delivery"]["state"] == "delivered"
        })
        .await;
    }
    assert_eq!(stack.n8n().log().len(), WAITING, "each start was sent once");
    stack.stop().await.unwrap();
}
