//! Retell's API, as far as it proves who has an agent: whoever has a key that can see the agent.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::domain::agent::AgentId;

/// Longest a proof may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// Why ownership is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProofError {
    /// Retell says that this key cannot see this agent.
    #[error("Retell does not show this agent to this API key")]
    NotProven,
    /// Retell cannot be reached, or answers what it should not.
    #[error("Retell could not be asked: {0}")]
    Upstream(String),
    /// Retell does not answer.
    #[error("Retell did not answer within {} s", ANSWER_LIMIT.as_secs())]
    Timeout,
}

/// The API.
#[derive(Clone)]
pub(crate) struct Retell {
    client: Client,
    base: Url,
}

impl Retell {
    pub(crate) fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    /// Succeeds when the key can see the agent.
    pub(crate) async fn prove(&self, agent: &AgentId, key: &SecretString) -> Result<(), ProofError> {
        let url = format!("{}/get-agent/{agent}", self.base.as_str().trim_end_matches('/'));
        let request = self
            .client
            .get(url)
            .bearer_auth(key.expose_secret())
            .timeout(ANSWER_LIMIT);
        let answer = request.send().await.map_err(|error| broken(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(ProofError::Upstream("it answers 429, too many requests".into()));
            }
            status if status.is_client_error() => return Err(ProofError::NotProven),
            status => return Err(ProofError::Upstream(format!("it answers {}", status.as_u16()))),
        }
        if body(answer).await?.get("agent_id").and_then(Value::as_str) == Some(agent.as_str()) {
            Ok(())
        } else {
            Err(ProofError::NotProven)
        }
    }
}

async fn body(mut answer: reqwest::Response) -> Result<Value, ProofError> {
    let mut read = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
        read.extend_from_slice(&chunk);
        if read.len() > ANSWER_MAX_BYTES {
            return Err(ProofError::Upstream("its answer is too large".into()));
        }
    }
    serde_json::from_slice(&read).map_err(|_| ProofError::Upstream("its answer is not JSON".into()))
}

/// The words are ours: those of the HTTP client name the URL.
fn broken(error: &reqwest::Error) -> ProofError {
    if error.is_timeout() {
        ProofError::Timeout
    } else if error.is_connect() {
        ProofError::Upstream("no connection".into())
    } else {
        ProofError::Upstream("the connection broke".into())
    }
}
