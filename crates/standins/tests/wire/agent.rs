//! The agent behind a task, in n8n's stand-in.

use std::time::Duration;

use serde_json::{Value, json};
use switchhook_standins::control::Mode;
use switchhook_standins::n8n::{AGENT_PATH, AGENT_RESPOND_PATH};
use switchhook_standins::{Control, N8n, Options};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::http::{DEADLINE, post, read_request};

fn agent() -> N8n {
    N8n::start(Options {
        machine_secret: Some("machine".into()),
        thinking: Duration::from_millis(1),
        ..Options::default()
    })
    .unwrap()
}

fn question(callback: &str) -> String {
    json!({"taskId": "task_1_a", "agentId": "default", "message": "hello", "messageId": "m", "callbackUrl": callback})
        .to_string()
}

#[tokio::test]
async fn it_answers_by_the_callback_that_it_was_given() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!(
        "http://{}/api/communications/webhook-response",
        listener.local_addr().unwrap()
    );
    let n8n = agent();
    let started = post(&n8n.webhook_url("task-agent"), &question(&callback)).await;
    assert_eq!(started.body, r#"{"message":"Workflow was started"}"#);
    let called = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let got = read_request(&mut stream).await;
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(ok).await.unwrap();
        got
    };
    let (head, body) = tokio::time::timeout(DEADLINE, called).await.unwrap();
    assert!(
        head.starts_with("POST /api/communications/webhook-response "),
        "{head}"
    );
    assert!(
        head.to_lowercase().contains("x-n8n-webhook-secret: machine"),
        "{head}"
    );
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({"taskId": "task_1_a", "response": "You wrote: hello"})
    );
}

#[tokio::test]
async fn it_answers_the_waiting_request_where_it_is_asked_there() {
    let n8n = agent();
    let answered = post(
        &n8n.webhook_url("task-agent-respond"),
        &question("http://127.0.0.1:1/"),
    )
    .await;
    assert_eq!(answered.json(), json!({"output": "You wrote: hello"}));
    assert_eq!(n8n.log_of(AGENT_RESPOND_PATH).len(), 1);
}

#[tokio::test]
async fn it_can_be_told_to_say_nothing_or_something_else() {
    let n8n = agent();
    n8n.push(Control {
        path: Some(AGENT_PATH.into()),
        mode: Some(Mode::Silent),
        ..Control::default()
    });
    let silent = post(&n8n.webhook_url("task-agent"), &question("http://127.0.0.1:1/")).await;
    assert_eq!(silent.body, r#"{"message":"Workflow was started"}"#);
    n8n.push(Control {
        status: Some(500),
        body: Some(json!({"message": "Error in workflow"})),
        ..Control::default()
    });
    let broken = post(&n8n.webhook_url("task-agent"), &question("http://127.0.0.1:1/")).await;
    assert_eq!(broken.status, Some(500));
    let strange = post(&n8n.webhook_url("task-agent"), "{\"taskId\":7}").await;
    assert_eq!(strange.json(), json!({"message": "Error in workflow"}));
}
