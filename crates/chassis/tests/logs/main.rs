//! What the log says of a request, and what it never says. One test in a process of its own: a process has one log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../http/mini.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod mini;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use switchhook_chassis::testing::{TestApp, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing_subscriber::fmt::MakeWriter;

use mini::Mini;

/// A log in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Memory {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// By hand: a client library in this process would write into the same log.
async fn send(app: &TestApp<Mini>, request: &str) {
    let mut stream = TcpStream::connect(app.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
}

/// One request of each kind, each under an id of its own.
async fn send_all(app: &TestApp<Mini>, token: &str) {
    let get = |headers: &str, path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n\r\n")
    };
    for request in [
        get(
            "x-request-id: by-secret\r\nx-n8n-webhook-secret: words-of-a-machine-secret",
            "/api/mini/caller",
        ),
        get(
            &format!("x-request-id: by-token\r\nAuthorization: Bearer {token}"),
            "/api/mini/whoami?q=words-of-a-query",
        ),
        get(
            &format!("x-request-id: by-cookie\r\nCookie: access_token={token}"),
            "/api/mini/whoami",
        ),
        get(
            "x-request-id: wrong\r\nx-n8n-webhook-secret: words-of-a-wrong-secret",
            "/api/mini/caller",
        ),
        get(
            "x-request-id: wrong-token\r\nAuthorization: Bearer words.of-a-wrong.token",
            "/api/mini/caller",
        ),
        get("x-request-id: crash", "/api/mini/panic"),
        get("x-request-id: away", "/api/mini/database"),
        get("x-request-id: nothing", "/words-of-a-path"),
    ] {
        send(app, &request).await;
    }
}

#[tokio::test]
async fn each_request_has_one_line_and_no_line_has_a_secret() {
    let log = Memory::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(log.clone());
    subscriber.with_env_filter("trace").try_init().unwrap();
    let secrets = "n8n:words-of-a-machine-secret";
    let key = "words-of-a-token-key-that-is-long-enough";
    let app = mini::mini(&[("WEBHOOK_SECRETS", secrets), ("JWT_SECRET", key)]).await;
    let token = app.user("u");
    send_all(&app, &token).await;
    let served = |id: &str| {
        let of = |line: &&Value| line["message"] == "request served" && line["span"]["request_id"] == id;
        log.lines().iter().filter(of).cloned().collect::<Vec<_>>()
    };
    eventually(
        || async { (served("nothing").len() == 1).then_some(()) },
        Duration::from_secs(10),
    )
    .await;
    for (id, route, status) in [
        ("by-secret", "/api/mini/caller", 200),
        ("by-token", "/api/mini/whoami", 200),
        ("by-cookie", "/api/mini/whoami", 200),
        ("wrong", "/api/mini/caller", 401),
        ("wrong-token", "/api/mini/caller", 401),
        ("crash", "/api/mini/panic", 500),
        ("away", "/api/mini/database", 503),
        ("nothing", "unmatched", 404),
    ] {
        let lines = served(id);
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        let (line, span) = (&lines[0], &lines[0]["span"]);
        assert_eq!(
            (span["route"].as_str(), span["status"].as_u64()),
            (Some(route), Some(status)),
            "{line}"
        );
        assert_eq!(
            (span["method"].as_str(), span["client"].as_str()),
            (Some("GET"), Some("127.0.0.1")),
            "{line}"
        );
        assert!(
            span["trace_id"].as_str().is_some_and(|trace| trace.len() == 32),
            "{line}"
        );
        assert!(line["latency_ms"].is_number(), "{line}");
    }
    assert_eq!(
        served("by-secret")[0]["span"]["machine"],
        "n8n",
        "the secret's name may be known"
    );
    no_line_has_a_secret(&log, &token);
}

fn no_line_has_a_secret(log: &Memory, token: &str) {
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let never = [
        "words-of-a-machine-secret",
        "words-of-a-token-key",
        "words-of-a-wrong-secret",
        "of-a-wrong",
        "secret-password",
        signature.as_str(),
        "words-of-a-query",
        "words-of-a-path",
    ];
    for line in log.lines() {
        let text = line.to_string();
        for secret in never {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
