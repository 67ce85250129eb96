//! No input of any kind gets a 5xx: a table of what people, workflows and scanners send.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::{Ask, SAM, SEND, World};
use crate::ws_client::Visitor;

struct Case {
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
}

fn post(path: &str, body: &str, status: u16) -> Case {
    Case {
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
        ..post(path, "", status)
    }
}

fn bodies() -> Vec<Case> {
    let long = json!({"sessionId": "ID", "text": "x".repeat(5_001)}).to_string();
    let mut cases: Vec<Case> = [
        "",
        "{",
        "null",
        "[]",
        "[1,2]",
        "\"x\"",
        "{}",
        "{\"sessionId\":\"ID\"}",
        "{\"text\":\"hello\"}",
        "{\"sessionId\":\"ID\",\"text\":7}",
        "{\"sessionId\":\"ID\",\"text\":{}}",
        "{\"sessionId\":7,\"text\":\"x\"}",
        "{\"sessionId\":\"ID\",\"text\":\"a\\u0000b\"}",
        "{\"sessionId\":\"ID\",\"text\":\"\\ud800\"}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"name\":7}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"from\":\"user\"}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"whenOffline\":true}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"whenOffline\":\"drop\"}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"idempotencyKey\":\"\"}",
        "{\"sessionId\":\"ID\",\"text\":\"x\",\"idempotencyKey\":{}}",
        "sessionId=ID&text=x",
        long.as_str(),
    ]
    .iter()
    .map(|body| post(SEND, body, 400))
    .collect();
    for session in [
        "x",
        "cw-1-a",
        "cw-1-'; DROP TABLE chat.sessions; --",
        "../sessions",
        "é",
        "cw-1-A",
    ] {
        cases.push(post(
            SEND,
            &json!({"sessionId": session, "text": "x"}).to_string(),
            404,
        ));
        cases.push(post(
            "/api/typing",
            &json!({"sessionId": session, "active": true}).to_string(),
            404,
        ));
    }
    cases
}

fn other_bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    for body in [
        "",
        "{}",
        "{\"sessionId\":\"ID\"}",
        "{\"active\":true}",
        "{\"sessionId\":\"ID\",\"active\":\"maybe\"}",
        "{\"sessionId\":\"ID\",\"active\":1}",
        "{\"sessionId\":\"ID\",\"active\":true,\"from\":\"user\"}",
        "[1]",
    ] {
        cases.push(post("/api/typing", body, 400));
    }
    for what in ["takeover", "release"] {
        let path = format!("/api/sessions/ID/{what}");
        for body in ["{", "[1]", "7", "{\"force\":\"perhaps\"}", "{\"force\":1}"] {
            cases.push(post(&path, body, 400));
        }
        cases.push(Case {
            content_type: Some("text/plain"),
            ..post(&path, "x", 415)
        });
    }
    for path in [SEND, "/api/typing"] {
        cases.push(Case {
            body: vec![0xff, 0xfe, b'{'],
            ..post(path, "", 400)
        });
        cases.push(Case {
            body: vec![b' '; 2 << 20],
            ..post(path, "", 413)
        });
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin1",
        ] {
            cases.push(Case {
                content_type: Some(content_type),
                ..post(path, "{}", 415)
            });
        }
    }
    cases
}

fn addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "state=bored",
        "state=",
        "state=%00",
        "q=%00",
        "q=%zz",
    ] {
        cases.push(read(&format!("/api/sessions?{query}"), 400));
    }
    cases.push(read(&format!("/api/sessions?q={}", "x".repeat(201)), 400));
    for query in [
        "limit=0",
        "cursor=0",
        "cursor=-1",
        "cursor=99999999999999999999",
        "cursor=1.5",
    ] {
        cases.push(read(&format!("/api/sessions/ID/messages?{query}"), 400));
    }
    for path in [
        "/api/sessions/x",
        "/api/sessions/%00",
        "/api/sessions/%ff",
        "/api/sessions/%F0%9F%92%A9",
        "/api/sessions/",
        "/api/sessions/x/messages",
        "/api/sessions/cw-1-a/messages/",
        "/api",
        "/health/",
        "/internal",
    ] {
        cases.push(read(path, 404));
    }
    for path in [
        "/api/send-message",
        "/api/typing",
        "/api/sessions/ID/takeover",
        "/internal/hints",
    ] {
        cases.push(read(path, 405));
    }
    for path in [
        "/api/sessions",
        "/api/sessions/ID",
        "/api/operator/events",
        "/health",
    ] {
        cases.push(post(path, "{}", 405));
    }
    cases
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn every_malformed_input_gets_a_clean_refusal(pool: PgPool) {
    let world = World::silent(&pool).await;
    let visitor = Visitor::new(&world.app).await;
    let own = &visitor.session;
    let before = world.app.chat(own).await;
    let cases: Vec<Case> = [bodies(), other_bodies(), addresses()]
        .into_iter()
        .flatten()
        .collect();
    assert!(cases.len() >= 90, "{}", cases.len());
    for case in cases {
        let path: String = case.path.chars().take(80).collect();
        let place = format!(
            "{} {path} {}",
            case.method,
            String::from_utf8_lossy(&case.body[..case.body.len().min(80)])
        );
        let app = &world.app;
        let mut request = app
            .client()
            .request(case.method.clone(), app.url(&case.path.replace("ID", own)));
        request = request.bearer_auth(app.operator(SAM));
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
    assert_eq!(world.app.chat(own).await, before);
    assert!(world.app.transcript(own).await.is_empty());
}
