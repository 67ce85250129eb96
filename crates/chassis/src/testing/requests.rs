//! Short words for requests to a replica, and what is expected of their answers.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::TestApp;
use crate::app::Program;

impl<P: Program> TestApp<P> {
    /// A request of a user.
    pub async fn as_user(&self, user: &str, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client().request(method, self.url(path));
        sent(request.bearer_auth(self.user(user)), body).await
    }

    /// A request of a machine.
    pub async fn as_machine(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.client().request(method, self.url(path));
        sent(request.header("x-n8n-webhook-secret", self.secret()), body).await
    }

    /// What a user reads.
    pub async fn get(&self, user: &str, path: &str) -> Response {
        self.as_user(user, Method::GET, path, None).await
    }

    /// What a user sends.
    pub async fn post(&self, user: &str, path: &str, body: Value) -> Response {
        self.as_user(user, Method::POST, path, Some(body)).await
    }

    /// What a user removes.
    pub async fn delete(&self, user: &str, path: &str) -> Response {
        self.as_user(user, Method::DELETE, path, None).await
    }

    /// What n8n posts.
    pub async fn as_n8n(&self, path: &str, body: Value) -> Response {
        self.as_machine(Method::POST, path, Some(body)).await
    }
}

async fn sent(request: reqwest::RequestBuilder, body: Option<Value>) -> Response {
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    request.send().await.expect("an answer")
}

/// The body of a failure with the expected status and code.
///
/// # Panics
/// When it is another, or has not the common shape.
pub async fn failed(response: Response, status: u16, code: &str) -> Value {
    let body = super::json_of(response, status).await;
    assert_eq!(
        (&body["success"], body["code"].as_str()),
        (&json!(false), Some(code)),
        "{body}"
    );
    let told = body["error"].as_str().is_some_and(|error| !error.is_empty());
    assert!(told, "{body}");
    body
}
