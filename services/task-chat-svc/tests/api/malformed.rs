//! No input of any kind gets a 5xx: a table of what people, workflows and scanners send.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;

use crate::world::{ADA, ASSIGN, Ask, HOOK, TEST, World, failed};

/// Who sends it.
#[derive(Clone, Copy, Debug)]
enum As {
    User,
    N8n,
    Nobody,
    WrongToken,
}

struct Case {
    who: As,
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
}

fn user(path: &str, body: &str, status: u16) -> Case {
    Case {
        who: As::User,
        ..n8n(path, body, status)
    }
}

fn n8n(path: &str, body: &str, status: u16) -> Case {
    Case {
        who: As::N8n,
        method: Method::POST,
        path: path.to_owned(),
        content_type: Some("application/json"),
        body: body.as_bytes().to_vec(),
        status,
    }
}

fn read(path: &str, status: u16) -> Case {
    Case {
        method: Method::GET,
        content_type: None,
        ..user(path, "", status)
    }
}

const GET: &str = "/api/communications/get-responses";
const STREAM: &str = "/api/communications/stream";

fn messages() -> Vec<Case> {
    let long = json!({"agentId": "default", "message": "x".repeat(20_001)}).to_string();
    let mut cases: Vec<Case> = [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{}",
        "{\"agentId\":\"default\"}",
        "{\"message\":\"hello\"}",
        "{\"agentId\":\"\",\"message\":\"hello\"}",
        "{\"agentId\":7,\"message\":\"hello\"}",
        "{\"agentId\":[\"a\"],\"message\":\"hello\"}",
        "{\"agentId\":\"a\\u0000\",\"message\":\"hello\"}",
        "{\"agentId\":\"default\",\"message\":\"\"}",
        "{\"agentId\":\"default\",\"message\":\" \\n \"}",
        "{\"agentId\":\"default\",\"message\":7}",
        "{\"agentId\":\"default\",\"message\":{}}",
        "{\"agentId\":\"default\",\"message\":\"a\\u0000b\"}",
        "{\"agentId\":\"default\",\"message\":\"\\ud800\"}",
        "{\"agentId\":\"default\",\"message\":\"x\",\"taskId\":7}",
        "{\"agentId\":\"default\",\"message\":\"x\",\"taskId\":\"\"}",
        "{\"agentId\":\"default\",\"message\":\"x\",\"idempotencyKey\":\"\"}",
        "{\"agentId\":\"default\",\"message\":\"x\",\"idempotencyKey\":{}}",
        "[{\"agentId\":\"default\",\"message\":\"x\"}]",
        "agentId=default&message=x",
        long.as_str(),
    ]
    .iter()
    .map(|body| user(ASSIGN, body, 400))
    .collect();
    let agent = json!({"agentId": "a".repeat(129), "message": "x"}).to_string();
    cases.push(user(ASSIGN, &agent, 400));
    for task in [
        "x",
        "task_1_aaaa",
        "task_1_'; DROP TABLE task_chat.tasks; --",
        "../tasks",
        "é",
    ] {
        let body = json!({"agentId": "default", "message": "x", "taskId": task}).to_string();
        cases.push(user(ASSIGN, &body, 404));
    }
    cases
}

fn answers() -> Vec<Case> {
    let long = json!({"taskId": "ID", "response": "x".repeat(20_001)}).to_string();
    let mut cases: Vec<Case> = [
        "",
        "{",
        "[]",
        "[1,2]",
        "{}",
        "{\"taskId\":\"ID\"}",
        "{\"response\":\"x\"}",
        "{\"taskId\":\"ID\",\"response\":\"\"}",
        "{\"taskId\":\"ID\",\"response\":\"  \"}",
        "{\"taskId\":\"ID\",\"response\":7}",
        "{\"taskId\":\"ID\",\"response\":{\"text\":\"x\"}}",
        "{\"taskId\":\"ID\",\"response\":null}",
        "{\"taskId\":\"ID\",\"response\":\"a\\u0000b\"}",
        "{\"taskId\":[\"ID\"],\"response\":\"x\"}",
        "{\"taskId\":7,\"response\":\"x\"}",
        long.as_str(),
    ]
    .iter()
    .map(|body| n8n(HOOK, body, 400))
    .collect();
    cases.extend(
        ["x", "task_1_aaaa", "task__", "task_1_%00"]
            .map(|task| n8n(HOOK, &json!({"taskId": task, "response": "x"}).to_string(), 404)),
    );
    cases.extend(
        [
            "{}",
            "{\"taskId\":\"ID\",\"testMessage\":7}",
            "{\"taskId\":\"ID\",\"testMessage\":\"\"}",
        ]
        .map(|body| user(TEST, body, 400)),
    );
    cases.push(user(TEST, "{\"taskId\":\"task_1_aaaa\"}", 404));
    cases.push(user("/api/tasks/ID/resend", "{bad", 400));
    cases.push(user("/api/tasks/ID/resend", "[1]", 400));
    cases.push(user("/api/tasks/task_1_a/resend", "", 404));
    cases.push(Case {
        body: vec![0xff, 0xfe, b'{'],
        ..user(ASSIGN, "", 400)
    });
    cases.push(Case {
        body: vec![b' '; 2 << 20],
        ..n8n(HOOK, "", 413)
    });
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "x",
    ] {
        for case in [
            n8n(HOOK, "{}", 415),
            user(ASSIGN, "{}", 415),
            user("/api/tasks/ID/resend", "x", 415),
        ] {
            cases.push(Case {
                content_type: Some(content_type),
                ..case
            });
        }
    }
    cases
}

fn addresses() -> Vec<Case> {
    let long = format!("/api/tasks?cursor={}", "9".repeat(600));
    let mut cases = vec![read(&long, 400)];
    for (query, status) in [
        ("", 400),
        ("?taskId=", 400),
        ("?taskId=a&taskId=b", 400),
        ("?taskId=%zz", 400),
        ("?taskId=%00", 400),
        ("?taskId=x", 404),
        ("?taskId=task_1_aaaa", 404),
    ] {
        cases.push(read(&format!("{GET}{query}"), status));
        cases.push(read(&format!("{STREAM}{query}"), status));
    }
    for query in [
        "after=x",
        "after=0197A9F200007000800000000000000",
        "after=0197a9f2-0000-7000-8000-000000000000",
        "after=",
        "wait=-1",
        "wait=56",
        "wait=x",
        "wait=1.5",
        "wait=1e9",
    ] {
        cases.push(read(&format!("{GET}?taskId=ID&{query}"), 400));
    }
    for path in [
        "/api/tasks?limit=0",
        "/api/tasks?limit=201",
        "/api/tasks?state=bored",
        "/api/tasks?state=",
        "/api/tasks?cursor=%00",
        "/api/tasks?cursor=99999999999999999999.task_1_a",
    ] {
        cases.push(read(path, 400));
    }
    for path in [
        "/api/tasks/x",
        "/api/tasks/%00",
        "/api/tasks/%ff",
        "/api/tasks/%F0%9F%92%A9",
        "/api/tasks/",
        "/api",
        "/chat/",
        "/tasks/chat/x",
    ] {
        cases.push(read(path, 404));
    }
    cases
}

fn callers_and_methods() -> Vec<Case> {
    let with = |method: Method, case: Case| Case { method, ..case };
    let by = |who: As, case: Case| Case { who, ..case };
    vec![
        read(ASSIGN, 405),
        read(HOOK, 405),
        with(Method::DELETE, read("/api/tasks/ID", 405)),
        with(Method::PUT, user(HOOK, "{}", 405)),
        with(Method::POST, read("/chat", 405)),
        by(As::Nobody, read("/api/tasks", 401)),
        by(As::WrongToken, read("/api/tasks", 401)),
        by(As::Nobody, n8n(HOOK, "{}", 401)),
    ]
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn every_malformed_input_gets_a_clean_refusal(pool: PgPool) {
    let world = World::new(&pool).await;
    let own = world.app.begin(ADA, "hello").await;
    world
        .app
        .until(ADA, &own, |task| task["delivery"]["state"] == "delivered")
        .await;
    let before = world.app.task(ADA, &own).await;
    let cases: Vec<Case> = [messages(), answers(), addresses(), callers_and_methods()]
        .into_iter()
        .flatten()
        .collect();
    assert!(cases.len() >= 100, "{}", cases.len());
    for case in cases {
        let place = format!(
            "{:?} {} {} {:?} {}",
            case.who,
            case.method,
            case.path.chars().take(80).collect::<String>(),
            case.content_type,
            String::from_utf8_lossy(&case.body[..case.body.len().min(80)])
        );
        let app = &world.app;
        let mut request = app
            .client()
            .request(case.method.clone(), app.url(&case.path.replace("ID", &own)));
        request = match case.who {
            As::User => request.bearer_auth(app.user(ADA)),
            As::N8n => request.header("x-n8n-webhook-secret", app.secret()),
            As::Nobody => request,
            As::WrongToken => request.bearer_auth("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."),
        };
        if let Some(content_type) = case.content_type {
            request = request.header("content-type", content_type);
        }
        let body = match String::from_utf8(case.body.clone()) {
            Ok(text) if text.len() < 100_000 => text.replace("ID\"", &format!("{own}\"")).into_bytes(),
            _ => case.body,
        };
        let answer = request
            .body(body)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(answer.status().as_u16(), case.status, "{place}");
        assert!(answer.headers().contains_key("x-request-id"), "{place}");
        assert_eq!(
            answer.headers().contains_key("allow"),
            case.status == 405,
            "{place}"
        );
        let text = answer.text().await.unwrap();
        let body: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}: {text}"));
        assert_eq!(body["success"], false, "{place}: {body}");
        for word in ["error", "code"] {
            assert!(
                body[word].as_str().is_some_and(|word| !word.is_empty()),
                "{place}: {body}"
            );
        }
    }
    assert_eq!(world.app.task(ADA, &own).await, before);
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn a_missing_field_is_named(pool: PgPool) {
    let world = World::new(&pool).await;
    let refused = failed(
        world.app.as_n8n(HOOK, json!({"response": "x"})).await,
        400,
        "invalid_field",
    )
    .await;
    assert_eq!(refused["error"], "taskId is required");
    let refused = failed(world.app.get(ADA, GET).await, 400, "invalid_field").await;
    assert_eq!(refused["error"], "taskId is required");
    let body = json!({"agentId": "default"});
    let refused = failed(world.app.post(ADA, ASSIGN, body).await, 400, "invalid_field").await;
    assert_eq!(refused["error"], "message is required");
}

#[sqlx::test(migrator = "task_chat_svc::MIGRATOR")]
async fn what_n8n_wraps_is_unwrapped_and_the_longest_texts_fit(pool: PgPool) {
    let world = World::new(&pool).await;
    let message = "é".repeat(20_000);
    let task = world.app.begin(ADA, &message).await;
    let bare = json!({"taskId": task, "response": "é".repeat(20_000)});
    let item = json!({"headers": {}, "params": {}, "query": {}, "body": bare, "webhookUrl": "http://n8n/x"});
    for body in [bare.clone(), json!([bare]), item.clone(), json!([item])] {
        json_of(world.app.as_n8n(HOOK, body).await, 200).await;
    }
    let shown = world.app.task(ADA, &task).await;
    assert_eq!(
        (&shown["task"]["responses"], &shown["messages"][0]["text"]),
        (&json!(4), &json!(message))
    );
}
