//! No input of any kind gets a 5xx: a table of what people, workflows and scanners send.

use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;

use crate::world::{ADA, Ask, World, id};

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
    path: &'static str,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
}

fn user(path: &'static str, body: &str, status: u16) -> Case {
    Case {
        who: As::User,
        ..n8n(path, body, status)
    }
}

fn n8n(path: &'static str, body: &str, status: u16) -> Case {
    Case {
        who: As::N8n,
        method: Method::POST,
        path,
        content_type: Some("application/json"),
        body: body.as_bytes().to_vec(),
        status,
    }
}

fn read(path: &'static str, status: u16) -> Case {
    Case {
        method: Method::GET,
        content_type: None,
        ..user(path, "", status)
    }
}

const START: &str = "/api/ai-session/start";
const HOOK: &str = "/api/ai-session/webhook";
const CALLS: &str = "/api/ai-session/ID/calls";

fn starts() -> Vec<Case> {
    let deep = "[".repeat(5_000);
    vec![
        user(START, "", 400),
        user("/api/ai-session/stop", "{bad", 400),
        user("/api/ai-session/stop", "[1]", 400),
        Case {
            content_type: Some("text/plain"),
            ..user("/api/ai-session/stop", "x", 415)
        },
        user("/api/ai-session/ID/resend", "{bad", 400),
        user(START, "{", 400),
        user(START, "null", 400),
        user(START, "[]", 400),
        user(START, "\"100\"", 400),
        user(START, "100", 400),
        user(START, "{\"dailyCallLimit\":}", 400),
        user(START, "{\"dailyCallLimit\":0}", 400),
        user(START, "{\"dailyCallLimit\":-5}", 400),
        user(START, "{\"dailyCallLimit\":10001}", 400),
        user(START, "{\"dailyCallLimit\":1e300}", 400),
        user(START, "{\"dailyCallLimit\":9223372036854775808}", 400),
        user(START, "{\"dailyCallLimit\":1.5}", 400),
        user(START, "{\"dailyCallLimit\":\"many\"}", 400),
        user(START, "{\"dailyCallLimit\":\"\"}", 400),
        user(START, "{\"dailyCallLimit\":[100]}", 400),
        user(START, "{\"dailyCallLimit\":{\"a\":1}}", 400),
        user(START, "{\"dailyCallLimit\":true}", 400),
        user(START, "[{\"dailyCallLimit\":5}]", 400),
        user(START, "dailyCallLimit=5", 400),
        user(START, &deep, 400),
    ]
}

fn reports() -> Vec<Case> {
    vec![
        n8n(HOOK, "", 400),
        n8n(HOOK, "{", 400),
        n8n(HOOK, "[]", 400),
        n8n(HOOK, "[1,2]", 400),
        n8n(HOOK, "{\"sessionId\":{}}", 400),
        n8n(HOOK, "{\"sessionId\":\"\",\"status\":\"finished\"}", 400),
        n8n(HOOK, "{\"sessionId\":[\"ID\"],\"status\":\"finished\"}", 400),
        n8n(HOOK, "{\"sessionId\":\"a\\u0000b\",\"status\":\"finished\"}", 400),
        n8n(HOOK, "{\"sessionId\":\"ID\"}", 400),
        n8n(HOOK, "{\"sessionId\":\"ID\",\"status\":\"\"}", 400),
        n8n(HOOK, "{\"sessionId\":\"ID\",\"status\":\"done\"}", 400),
        n8n(HOOK, "{\"sessionId\":\"ID\",\"status\":[\"finished\"]}", 400),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"callsMade\":-1}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"callsMade\":1000001}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"callsMade\":\"7 calls\"}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"callsMade\":1e99}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"message\":{}}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"message\":\"\\u0000\"}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"ID\",\"status\":\"finished\",\"message\":\"\\ud800\"}",
            400,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"'; DROP TABLE session.ai_sessions; --\",\"status\":\"finished\"}",
            404,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":\"abc-123-def-456\",\"status\":\"finished\"}",
            404,
        ),
        n8n(
            HOOK,
            "{\"sessionId\":99999999999999999999,\"status\":\"finished\"}",
            400,
        ),
    ]
}

fn claims_and_types() -> Vec<Case> {
    let mut cases = vec![
        n8n(CALLS, "[1]", 400),
        n8n(CALLS, "{\"callId\":{}}", 400),
        n8n(CALLS, "{\"callId\":\"\"}", 400),
        n8n(CALLS, "{\"callId\":1.5}", 400),
        n8n(CALLS, "{\"callId\":true}", 400),
        n8n(CALLS, "{\"callId\":\"a\\u0000\"}", 400),
        n8n("/api/ai-session/%00/calls", "{}", 404),
        n8n("/api/ai-session/..%2f..%2fetc/calls", "{}", 404),
        n8n("/api/ai-session/%ff/calls", "{}", 404),
        user("/api/ai-session/not-a-uuid/resend", "{}", 404),
    ];
    let long = format!("{{\"callId\":\"{}\"}}", "x".repeat(256));
    cases.push(n8n(CALLS, &long, 400));
    cases.push(Case {
        body: vec![0xff, 0xfe, b'{'],
        ..user(START, "", 400)
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
        cases.push(Case {
            content_type: Some(content_type),
            ..n8n(HOOK, "{}", 415)
        });
        cases.push(Case {
            content_type: Some(content_type),
            ..user(START, "{\"dailyCallLimit\":5}", 415)
        });
    }
    cases
}

fn addresses() -> Vec<Case> {
    let long: &'static str =
        Box::leak(format!("/api/ai-session?cursor={}", "9".repeat(600)).into_boxed_str());
    vec![
        read("/api/ai-session?limit=0", 400),
        read("/api/ai-session?limit=1000", 400),
        read("/api/ai-session?limit=%zz", 400),
        read("/api/ai-session?cursor=%00", 400),
        read(
            "/api/ai-session?cursor=999999999999999999.0197a9f2-0000-7000-8000-000000000000",
            400,
        ),
        read(long, 400),
        read("/api/ai-session/stats?days=1e9", 400),
        read("/api/ai-session/stats?days=30&days=30", 400),
        read("/api/ai-session/0197a9f2-0000-7000-8000-000000000000", 404),
        read("/api/ai-session/0197A9F200007000800000000000000", 404),
        read("/api/ai-session/%F0%9F%92%A9", 404),
        read("/api/ai-session/", 404),
        read("/api/ai-session//status", 404),
        read("/api/ai-session/status/", 404),
        read("/api", 404),
        read("/api/ai-session/start", 405),
        Case {
            method: Method::DELETE,
            ..read("/api/ai-session", 405)
        },
        Case {
            method: Method::PUT,
            ..user(HOOK, "{}", 405)
        },
        Case {
            method: Method::POST,
            ..read("/api/ai-session/status", 405)
        },
        Case {
            who: As::Nobody,
            ..read("/api/ai-session/status", 401)
        },
        Case {
            who: As::WrongToken,
            ..read("/api/ai-session/status", 401)
        },
        Case {
            who: As::Nobody,
            ..n8n(HOOK, "{}", 401)
        },
        Case {
            who: As::User,
            ..n8n(HOOK, "{}", 403)
        },
        Case {
            who: As::N8n,
            ..user(START, "{\"dailyCallLimit\":5}", 403)
        },
    ]
}

#[sqlx::test(migrator = "session_svc::MIGRATOR")]
async fn every_malformed_input_gets_a_clean_refusal(pool: PgPool) {
    let world = World::new(&pool).await;
    let own = id(&world.app.begin("carol", 10).await);
    let cases: Vec<Case> = [starts(), reports(), claims_and_types(), addresses()]
        .into_iter()
        .flatten()
        .collect();
    assert!(cases.len() >= 80, "{}", cases.len());
    for case in cases {
        let place = format!(
            "{:?} {} {} {:?} {}",
            case.who,
            case.method,
            &case.path[..case.path.len().min(80)],
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
        let body = if case.body.len() < 10_000 {
            String::from_utf8(case.body.clone())
                .map_or(case.body, |text| text.replace("ID", &own).into_bytes())
        } else {
            case.body
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
        assert!(
            body["error"].as_str().is_some_and(|error| !error.is_empty()),
            "{place}: {body}"
        );
        assert!(
            body["code"].as_str().is_some_and(|code| !code.is_empty()),
            "{place}: {body}"
        );
    }
    let untouched = world.app.session(&own).await;
    assert_eq!(
        (&untouched["status"], &untouched["callsMade"]),
        (&Value::from("active"), &Value::from(0))
    );
}
