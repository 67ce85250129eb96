//! A session from its start to its end, both ways that n8n can tell of it, and on two replicas.

use std::time::Duration;

use devstack::Stack;
use e2e::people::{User, Workflow};
use e2e::waiting::eventually;
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use switchhook_standins::n8n::CALLBACK_PATH;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn until<F: Fn(&Value) -> bool>(user: &User, what: &str, fits: F) -> Value {
    eventually(what, PATIENCE, || async {
        let status = user.status().await.ok()?;
        fits(&status).then_some(status)
    })
    .await
}

/// The service of these flows.
pub(crate) const SESSION: &str = "session-svc";

#[tokio::test(flavor = "multi_thread")]
async fn n8n_reports_by_callback_and_the_session_is_completed() {
    let stack = Stack::builder().services(&[SESSION]).start().await.unwrap();
    let user = User::of(&stack, 0, "callback");
    let id = user.started(5).await;
    until(&user, "calls are counted live", |status| {
        status["callsMadeToday"].as_i64() > Some(0)
    })
    .await;
    let done = until(&user, "completed", |status| {
        status["session"]["stopReason"] == "completed"
    })
    .await;
    assert_eq!(done["session"]["callsMade"], 5);
    assert_eq!(done["callsMadeToday"], 5);
    assert_eq!(done["session"]["delivery"]["state"], "delivered");
    let starts = stack.n8n().log_of(CALLBACK_PATH);
    assert_eq!(starts.len(), 1);
    assert_eq!(starts[0].body().unwrap()["sessionId"], id.as_str());
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn n8n_answers_the_waiting_request_and_the_session_is_completed() {
    let stack = Stack::builder().services(&[SESSION]).start().await.unwrap();
    stack.n8n().push(switchhook_standins::Control {
        mode: Some(switchhook_standins::control::Mode::Respond),
        ..switchhook_standins::Control::default()
    });
    let user = User::of(&stack, 0, "respond");
    user.started(3).await;
    until(&user, "n8n works on the waiting request", |s| {
        s["session"]["delivery"]["state"] == "waiting"
    })
    .await;
    let done = until(&user, "completed", |status| {
        status["session"]["stopReason"] == "completed"
    })
    .await;
    assert_eq!(done["session"]["callsMade"], 3);
    assert_eq!(stack.n8n().log().len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_parallel_claims_on_two_replicas_give_exactly_the_limit() {
    let stack = Stack::builder()
        .services(&[SESSION])
        .replicas(SESSION, 2)
        .start()
        .await
        .unwrap();
    stack.n8n().push(silent());
    let user = User::of(&stack, 0, "claims");
    let id = user.started(10).await;
    let workflows = [Workflow::of(&stack, 0), Workflow::of(&stack, 1)];
    let calls: Vec<String> = (0..40).map(|n| format!("lead-{n}")).collect();
    let claims = calls
        .iter()
        .enumerate()
        .map(|(n, call)| workflows[n % 2].claim(&id, call));
    let answers = join_all(claims).await;
    let allowed = answers
        .iter()
        .filter(|answer| answer.as_ref().unwrap().body["allowed"] == true)
        .count();
    assert_eq!(allowed, 10);
    assert_eq!(user.status().await.unwrap()["callsMadeToday"], 10);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_replica_is_seen_on_the_other() {
    let stack = Stack::builder()
        .services(&[SESSION])
        .replicas(SESSION, 2)
        .start()
        .await
        .unwrap();
    stack.n8n().push(silent());
    let (here, there) = (User::of(&stack, 0, "watcher"), User::of(&stack, 1, "watcher"));
    let mut events = there.events().await.unwrap().bytes_stream();
    let id = here.started(4).await;
    let finished = json!({"sessionId": id, "status": "finished", "callsMade": 4, "message": "all done"});
    assert_eq!(
        Workflow::of(&stack, 0).report(&finished).await.unwrap().status,
        200
    );
    let mut seen = String::new();
    while !seen.contains("all done") {
        let chunk = tokio::time::timeout(PATIENCE, events.next())
            .await
            .expect("the change is seen in time");
        seen.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap()));
    }
    assert!(seen.contains("event: session"));
    drop(events);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_completions_at_once_stop_the_session_once() {
    let stack = Stack::builder()
        .services(&[SESSION])
        .replicas(SESSION, 2)
        .start()
        .await
        .unwrap();
    stack.n8n().push(silent());
    let user = User::of(&stack, 0, "twice");
    let id = user.started(50).await;
    let (one, two) = (Workflow::of(&stack, 0), Workflow::of(&stack, 1));
    let (a, b) = (
        json!({"sessionId": id, "status": "finished", "callsMade": 7}),
        json!({"sessionId": id, "status": "finished", "callsMade": 9}),
    );
    let (first, second) = tokio::join!(one.report(&a), two.report(&b));
    let mut statuses = [first.unwrap().status, second.unwrap().status];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 404],
        "one is recorded, the other finds a recorded completion"
    );
    stack.stop().await.unwrap();
}

pub(crate) fn silent() -> switchhook_standins::Control {
    switchhook_standins::Control {
        times: 0,
        mode: Some(switchhook_standins::control::Mode::Silent),
        ..switchhook_standins::Control::default()
    }
}
