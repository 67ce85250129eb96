//! A user at the dashboard and the machine behind the workflow, as HTTP clients of a running stack.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use devstack::Stack;
use devstack::settings::Keys;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// Longest a request may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that was opened and never used is ended with a 408 after 10 s, which may cross with its first request.
const KEPT: Duration = Duration::from_secs(5);

/// A client whose requests end in bounded time.
///
/// # Panics
/// When the machine has no certificates.
#[allow(
    clippy::disallowed_methods,
    reason = "a client of the tests, not of a service"
)]
pub fn client() -> Client {
    // Fails when it was installed before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(PATIENCE)
        .pool_idle_timeout(KEPT)
        .build()
        .expect("a client can be built")
}

/// An answer: its status and its JSON.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body, null where it is no JSON.
    pub body: Value,
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    Ok(Answer { status, body })
}

/// A token for a user of the stack.
///
/// # Panics
/// When the stack has no secret to sign with.
pub fn token(stack: &Stack, sub: &str) -> String {
    token_with(stack.keys(), sub, &json!({}))
}

/// A token with further claims, which win.
///
/// # Panics
/// When there is no secret to sign with.
pub fn token_with(keys: &Keys, sub: &str, further: &Value) -> String {
    let secret = keys.jwt_secret.clone().expect("the stack signs its own tokens");
    let expires = (now() + TimeDelta::hours(2)).timestamp();
    let mut claims = json!({"sub": sub, "email": format!("{sub}@example.com"), "exp": expires});
    for (name, value) in further.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("claims can be signed")
}

/// A user of `session-svc`.
pub struct User {
    client: Client,
    base: String,
    token: String,
    /// The `sub` claim.
    pub sub: String,
}

impl User {
    /// A user who talks to one replica.
    pub fn of(stack: &Stack, replica: usize, sub: &str) -> Self {
        Self::with_client(stack, replica, sub, &client())
    }

    /// As [`User::of`], with a client that others use too.
    pub fn with_client(stack: &Stack, replica: usize, sub: &str, client: &Client) -> Self {
        Self {
            client: client.clone(),
            base: stack.url("session-svc", replica).to_owned(),
            token: token(stack, sub),
            sub: sub.to_owned(),
        }
    }

    /// Starts a session.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn start(&self, limit: u32) -> anyhow::Result<Answer> {
        let url = format!("{}/api/ai-session/start", self.base);
        send(
            self.client
                .post(url)
                .bearer_auth(&self.token)
                .json(&json!({"dailyCallLimit": limit})),
        )
        .await
    }

    /// Starts a session and gives its id.
    ///
    /// # Panics
    /// When it is not started.
    pub async fn started(&self, limit: u32) -> String {
        let answer = self.start(limit).await.expect("the service answers");
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        answer.body["session"]["id"]
            .as_str()
            .expect("a session has an id")
            .to_owned()
    }

    /// Posts to a path below `/api/ai-session`.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn post(&self, path: &str) -> anyhow::Result<Answer> {
        send(
            self.client
                .post(format!("{}/api/ai-session{path}", self.base))
                .bearer_auth(&self.token),
        )
        .await
    }

    /// The user's status.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn status(&self) -> anyhow::Result<Value> {
        let url = format!("{}/api/ai-session/status", self.base);
        Ok(send(self.client.get(url).bearer_auth(&self.token)).await?.body)
    }

    /// The stream of the user's events, as bytes.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn events(&self) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/api/ai-session/events", self.base);
        Ok(self.client.get(url).bearer_auth(&self.token).send().await?)
    }
}

/// The workflow's side: claims and reports.
pub struct Workflow {
    client: Client,
    base: String,
    secret: String,
}

impl Workflow {
    /// A workflow that talks to one replica.
    pub fn of(stack: &Stack, replica: usize) -> Self {
        let base = stack.url("session-svc", replica).to_owned();
        Self {
            client: client(),
            base,
            secret: stack.keys().webhook_secret.clone(),
        }
    }

    /// Claims a call.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn claim(&self, session: &str, call: &str) -> anyhow::Result<Answer> {
        let url = format!("{}/api/ai-session/{session}/calls", self.base);
        let request = self.client.post(url).header("x-n8n-webhook-secret", &self.secret);
        send(request.json(&json!({"callId": call}))).await
    }

    /// Reports progress or completion.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn report(&self, body: &Value) -> anyhow::Result<Answer> {
        let url = format!("{}/api/ai-session/webhook", self.base);
        send(
            self.client
                .post(url)
                .header("x-n8n-webhook-secret", &self.secret)
                .json(body),
        )
        .await
    }
}

/// The time of the machine, which is the services' too.
#[allow(clippy::disallowed_methods, reason = "what the tests send happens now")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A client of `retell-ingest-svc`: whoever owns an agent and its calls.
pub struct CallOwner {
    client: Client,
    base: String,
    token: String,
}

impl CallOwner {
    /// A client who talks to one replica.
    pub fn of(stack: &Stack, replica: usize, sub: &str) -> Self {
        Self {
            client: client(),
            base: stack.url("retell-ingest-svc", replica).to_owned(),
            token: token(stack, sub),
        }
    }

    /// Reads a path or an absolute URL.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.base),
        };
        send(self.client.get(url).bearer_auth(&self.token)).await
    }

    /// Connects an agent without proof.
    ///
    /// # Panics
    /// When it is not connected.
    pub async fn connect(&self, agent: &str) {
        let url = format!("{}/api/retell/connect-agent", self.base);
        let request = self.client.post(url).bearer_auth(&self.token);
        let answer = send(request.json(&json!({"agentId": agent}))).await;
        let answer = answer.expect("the service answers");
        assert_eq!(answer.status, 200, "{:#}", answer.body);
    }

    /// All calls, page by page as n8n follows them.
    ///
    /// # Panics
    /// When a page cannot be read.
    pub async fn all_calls(&self) -> Vec<Value> {
        let mut calls = Vec::new();
        let mut next = Some("/api/retell/calls?limit=200".to_owned());
        while let Some(page) = next {
            let answer = self.get(&page).await.expect("the service answers");
            assert_eq!(answer.status, 200, "{:#}", answer.body);
            calls.extend(answer.body["items"].as_array().cloned().unwrap_or_default());
            next = answer.body["next"].as_str().map(str::to_owned);
        }
        calls
    }
}
