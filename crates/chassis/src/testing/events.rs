//! Reads Server-Sent Events as a browser does.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::TestApp;
use crate::app::Program;

/// Longest a test waits for an event.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest a stream is kept open.
const STREAM_LIMIT: Duration = Duration::from_secs(300);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its name.
    pub event: String,
    /// Its cursor.
    pub id: String,
    /// Its data.
    pub data: Value,
}

/// An open stream.
pub struct EventReader {
    response: Response,
    text: String,
}

impl EventReader {
    /// Opens a stream of a user, from where he left off.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open<P: Program>(app: &TestApp<P>, user: &str, path: &str, last: Option<&str>) -> Self {
        Self::open_with(app, &app.user(user), path, last).await
    }

    /// Opens a stream with any token.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open_with<P: Program>(
        app: &TestApp<P>,
        token: &str,
        path: &str,
        last: Option<&str>,
    ) -> Self {
        let request = app.client().get(app.url(path)).bearer_auth(token);
        let request = match last {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.timeout(STREAM_LIMIT).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; comments are skipped. Nothing once the stream has ended.
    ///
    /// # Panics
    /// When none comes within a minute.
    pub async fn next(&mut self) -> Option<Seen> {
        // Comments are signs of life, not events.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if !event.starts_with(':') {
                    return Some(read(&event));
                }
                continue;
            }
            let chunk = tokio::time::timeout_at(deadline, self.response.chunk()).await;
            match chunk.expect("an event in time").expect("the stream is whole") {
                Some(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                None => return None,
            }
        }
    }

    /// Reads until an event is as described.
    ///
    /// # Panics
    /// When the stream ends before.
    pub async fn until(&mut self, described: impl Fn(&Seen) -> bool) -> Seen {
        loop {
            let seen = self.next().await.expect("the stream goes on");
            if described(&seen) {
                return seen;
            }
        }
    }
}

fn read(event: &str) -> Seen {
    let field = |name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {event}"))
    };
    Seen {
        event: field("event: ").to_owned(),
        id: field("id: ").to_owned(),
        data: serde_json::from_str(field("data: ")).expect("data that is JSON"),
    }
}
