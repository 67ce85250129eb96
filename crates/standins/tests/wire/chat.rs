//! The bots behind a chat, in n8n's stand-in.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchhook_standins::{N8n, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{DEADLINE, post};

fn bot(thinking: Duration) -> N8n {
    N8n::start(Options {
        thinking,
        ..Options::default()
    })
    .unwrap()
}

#[tokio::test]
async fn a_bot_says_what_it_was_told() {
    let n8n = bot(Duration::from_millis(1));
    let plain = json!({"sessionId": "cw-1-a", "text": "hello"}).to_string();
    let said = post(&n8n.webhook_url("chat"), &plain).await;
    assert_eq!(
        (said.status, said.body.as_str()),
        (Some(200), r#"{"text":"You said: hello"}"#)
    );
    let trigger = json!({"action": "sendMessage", "sessionId": "cw-1-a", "chatInput": "hello"}).to_string();
    let said = post(&n8n.webhook_url("chat"), &trigger).await;
    assert_eq!(said.body, r#"{"output":"You said: hello"}"#);
    let broken = post(&n8n.webhook_url("chat"), "{}").await;
    assert_eq!(
        (broken.status, broken.body.as_str()),
        (Some(500), r#"{"message":"Error in workflow"}"#)
    );
}

#[tokio::test]
async fn a_streaming_bot_sends_a_line_at_a_time_without_saying_how_many() {
    let n8n = bot(Duration::from_millis(500));
    let url: url::Url = n8n.webhook_url("chat-stream").parse().unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = json!({"sessionId": "cw-1-a", "text": "a b"}).to_string();
    let request = format!(
        "POST /webhook/chat-stream HTTP/1.1\r\nHost: n8n\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut first = None;
    let reading = async {
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => return,
                read => text.push_str(std::str::from_utf8(&buffer[..read]).unwrap()),
            }
            if text.contains("\"begin\"") {
                first.get_or_insert_with(|| begun.elapsed());
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(
        head.contains("transfer-encoding: chunked") && !head.contains("content-length"),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(Value::is_object).collect();
    let said: String = lines.iter().filter_map(|line| line["content"].as_str()).collect();
    assert_eq!((lines.len(), said.as_str()), (6, "You said: a b"), "{text}");
    // Six lines, 50 ms each: the first was there long before the last.
    assert!(
        begun.elapsed() - first.unwrap() >= Duration::from_millis(200),
        "{first:?}"
    );
}
