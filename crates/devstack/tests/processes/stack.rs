//! A stack from the library: what end-to-end tests do with it.

use std::time::{Duration, Instant};

use crate::support::{fake_stack, get, is_alive};
use devstack::postgres::databases;
use devstack::{Builder, Stack};

const SERVICE: &str = "session-svc";

fn fake() -> Builder {
    fake_stack().private_postgres()
}

async fn env(stack: &Stack, replica: usize, name: &str) -> String {
    get(stack.url(SERVICE, replica), &format!("/env/{name}"))
        .await
        .unwrap()
}

#[tokio::test]
async fn two_replicas_share_a_database_and_have_ports_of_their_own() {
    let stack = fake().replicas(SERVICE, 2).start().await.unwrap();
    stack.all_ready().await.unwrap();
    assert_ne!(stack.url(SERVICE, 0), stack.url(SERVICE, 1));
    let database = env(&stack, 0, "SESSION__DATABASE_URL").await;
    assert_eq!(database, env(&stack, 1, "SESSION__DATABASE_URL").await);
    assert_eq!(database, stack.database_url());
    databases::reachable(&database).await.unwrap();
    assert_eq!(
        env(&stack, 1, "SESSION__ADVERTISE_URL").await,
        stack.url(SERVICE, 1)
    );
    let names: Vec<String> = stack
        .env()
        .await
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in [
        "SESSION_URL",
        "SESSION_PID",
        "SESSION_2_URL",
        "DATABASE_URL",
        "WEBHOOK_SECRET",
        "JWT_SECRET",
        "USER_TOKEN",
        "OTHER_USER_TOKEN",
        "OPERATOR_TOKEN",
        "STANDIN_N8N_URL",
        "RETELL_URL",
        "RETELL_PID",
        "STANDIN_RETELL_URL",
        "RETELL_API_KEY",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    stack.stop().await.unwrap();
    assert!(databases::reachable(&database).await.is_err());
}

#[tokio::test]
async fn retell_s_stand_in_calls_the_service_and_is_asked_by_it() {
    let stack = fake().start().await.unwrap();
    let given = |name: &'static str| {
        let url = stack.url("retell-ingest-svc", 0).to_owned();
        async move { get(&url, &format!("/env/RETELL__{name}")).await.unwrap() }
    };
    assert_eq!(given("RETELL_API_URL").await, stack.retell().api_url());
    assert_eq!(given("RETELL_API_KEYS").await, stack.keys().retell_key);
    let pages = stack.url("retell-ingest-svc", 0);
    assert_eq!(
        env(&stack, 0, "SESSION__PAGES_RETELL_URL").await,
        format!("{pages}/")
    );
    // The program that stands in for the service answers 404, but it is where the webhook went.
    assert!(
        !stack
            .retell()
            .send(&serde_json::json!({"event": "call_started"}))
            .await
    );
    let sent = stack.retell().sent();
    let statuses: Vec<Option<u16>> = sent
        .iter()
        .map(|one| one.answered.as_ref().unwrap().status)
        .collect();
    assert_eq!(statuses, [Some(404); 3]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_process_can_be_killed_paused_and_restarted_on_its_port() {
    let stack = fake().start().await.unwrap();
    let url = stack.url(SERVICE, 0).to_owned();
    let first = stack.pid(SERVICE, 0).await.unwrap();
    stack.pause(SERVICE, 0).await;
    assert_eq!(get(&url, "/readyz").await, None);
    stack.resume(SERVICE, 0).await;
    assert!(get(&url, "/readyz").await.is_some());
    stack.kill9(SERVICE, 0).await;
    assert!(!is_alive(first));
    assert_eq!(
        (get(&url, "/readyz").await, stack.pid(SERVICE, 0).await),
        (None, None)
    );
    stack.restart(SERVICE, 0).await.unwrap();
    assert_eq!(stack.url(SERVICE, 0), url);
    assert_ne!(stack.pid(SERVICE, 0).await, Some(first));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_caller_sets_wins() {
    let stack = fake()
        .set("N8N_WEBHOOK_URL", "http://127.0.0.1:9/mine")
        .set("SESSION__LOG_FORMAT", "json")
        .start();
    let stack = stack.await.unwrap();
    assert_eq!(env(&stack, 0, "N8N_WEBHOOK_URL").await, "http://127.0.0.1:9/mine");
    assert_eq!(env(&stack, 0, "SESSION__N8N_WEBHOOK_URL").await, "");
    assert_eq!(env(&stack, 0, "SESSION__LOG_FORMAT").await, "json");
    assert_eq!(env(&stack, 0, "SESSION__DEV_SIGN_IN").await, "true");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_service_that_cannot_start_is_reported_with_its_last_words() {
    let began = Instant::now();
    let error = fake().set("FAKE_DIE", "1").start().await.err().unwrap();
    let text = format!("{error:#}");
    assert!(
        text.contains("session-svc") && text.contains("the fake service cannot start"),
        "{text}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_stack_on_a_given_server_uses_a_database_of_its_own_and_removes_it() {
    let outer = fake().start().await.unwrap();
    let server = outer.database_url().to_owned();
    let builder = fake_stack().set("DATABASE_URL", &server);
    let inner = builder.start().await.unwrap();
    let fresh = inner.database_url().to_owned();
    assert_ne!(fresh, server);
    assert_eq!(env(&inner, 0, "SESSION__DATABASE_URL").await, fresh);
    databases::reachable(&fresh).await.unwrap();
    inner.stop().await.unwrap();
    assert!(databases::reachable(&fresh).await.is_err());
    databases::reachable(&server).await.unwrap();
    outer.stop().await.unwrap();
}

#[tokio::test]
async fn a_stack_that_is_dropped_takes_its_processes_along() {
    let stack = fake().start().await.unwrap();
    let pid = stack.pid(SERVICE, 0).await.unwrap();
    drop(stack);
    crate::support::until("the end of the service", crate::support::DEADLINE, async || {
        !is_alive(pid)
    })
    .await;
}
