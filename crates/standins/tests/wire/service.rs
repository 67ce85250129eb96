//! A service that takes webhooks.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::http::read_request;

/// A service that answers webhooks as it is told, 200 by default, and writes down what it gets.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) got: Arc<Mutex<Vec<(String, String)>>>,
}

impl Service {
    /// `answer` gets the event and how often it came before; none keeps the connection open without an answer.
    pub(crate) async fn start(answer: fn(&str, usize) -> Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let log = Arc::clone(&got);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (head, body) = read_request(&mut stream).await;
                let before = log
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|(_, known)| *known == body)
                    .count();
                let event = event_of(&body);
                log.lock().unwrap().push((head, body));
                match answer(&event, before) {
                    Some(status) => {
                        let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
                        stream.write_all(reply.as_bytes()).await.unwrap();
                    }
                    None => silent.push(stream),
                }
            }
        });
        Self { url, got }
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|(_, body)| event_of(body)).collect()
    }
}

pub(crate) fn event_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["event"].as_str().unwrap_or_default().to_owned()
}
