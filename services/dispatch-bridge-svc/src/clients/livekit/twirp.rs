//! LiveKit's API on the wire: Twirp over protobuf, with the tokens and messages of LiveKit's own crates.
//!
//! The request itself is made by the service's one HTTP client. The one inside `livekit-api` cannot be set: it would follow
//! redirects, give a connection all of the time that an answer has, and keep not even the status of what is no JSON.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use livekit_api::access_token::{AccessToken, VideoGrants};
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use switchhook_chassis::outbound::Outbound;

use crate::config::DispatchSettings;
use crate::domain::dispatch::ANSWER_LIMIT;
use crate::domain::trouble::{Refusal, Trouble};

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Asks LiveKit.
pub(super) struct Twirp {
    client: Client,
    base: String,
    key: String,
    secret: SecretString,
}

/// An error as Twirp tells it.
#[derive(Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    meta: Map<String, Value>,
}

impl Twirp {
    pub(super) fn new(settings: &DispatchSettings, outbound: &Outbound) -> Self {
        let url = settings.livekit_url.0.as_str();
        let base = match url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}/twirp/livekit."),
            None => format!("{url}/twirp/livekit."),
        };
        Self {
            client: outbound.client().clone(),
            base,
            key: settings.livekit_api_key.clone(),
            secret: settings.livekit_api_secret.clone(),
        }
    }

    /// Asks once. `procedure` is a service and its method.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        procedure: &str,
        grants: VideoGrants,
        request: &impl Message,
    ) -> Result<A, Trouble> {
        self.ask_within(ANSWER_LIMIT, procedure, grants, request).await
    }

    /// The same, with another limit than LiveKit has for a dial.
    pub(super) async fn ask_within<A: Message + Default>(
        &self,
        limit: Duration,
        procedure: &str,
        grants: VideoGrants,
        request: &impl Message,
    ) -> Result<A, Trouble> {
        let outcome = self.send(limit, procedure, grants, request.encode_to_vec()).await;
        let answer = outcome.and_then(|body| A::decode(body).map_err(|_undecodable| Trouble::NotLiveKit));
        if let Err(trouble) = &answer {
            tracing::debug!(procedure, %trouble, "LiveKit did not do what it was asked");
        }
        answer
    }

    async fn send(
        &self,
        limit: Duration,
        procedure: &str,
        grants: VideoGrants,
        body: Vec<u8>,
    ) -> Result<Bytes, Trouble> {
        let token = AccessToken::with_api_key(&self.key, self.secret.expose_secret()).with_grants(grants);
        // Says which part of the credentials cannot sign, and quotes none of them.
        let token = token
            .to_jwt()
            .map_err(|error| Trouble::Unusable(error.to_string()))?;
        let request = self.client.post(format!("{}{procedure}", self.base));
        let request = request
            .header(CONTENT_TYPE, "application/protobuf")
            .bearer_auth(token);
        let answer = request.timeout(limit).body(body).send().await;
        let answer = answer.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = read(answer).await?;
        match status {
            StatusCode::OK => Ok(body),
            _ => Err(refusal(status, &body)),
        }
    }
}

/// What a request proves that got no whole answer.
fn broken(error: &reqwest::Error) -> Trouble {
    if error.is_connect() {
        Trouble::Unreachable
    } else if error.is_timeout() {
        Trouble::Late
    } else {
        Trouble::Broken
    }
}

async fn read(mut answer: Response) -> Result<Bytes, Trouble> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Trouble::Broken);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// An unknown key is told in plain text, before Twirp; what else is not Twirp's is a proxy's page, or another server's.
fn refusal(status: StatusCode, body: &[u8]) -> Trouble {
    let (code, msg, meta) = match serde_json::from_slice::<Said>(body) {
        Ok(said) => (said.code, said.msg, said.meta),
        Err(_) if status == StatusCode::UNAUTHORIZED => (
            "unauthenticated".to_owned(),
            "LiveKit does not accept LIVEKIT_API_KEY with LIVEKIT_API_SECRET".to_owned(),
            Map::new(),
        ),
        Err(_) => return Trouble::NotLiveKit,
    };
    Trouble::Refused(Refusal { code, msg, meta })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(status: u16, body: &str) -> Option<String> {
        match refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes()) {
            Trouble::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_proxys_page_and_from_an_unknown_key() {
        let said = r#"{"code":"not_found","msg":"no","meta":{"sip_status_code":"404"},"newer":1}"#;
        assert_eq!(code_of(404, said).as_deref(), Some("not_found"));
        assert_eq!(
            code_of(500, r#"{"code":"internal"}"#).as_deref(),
            Some("internal")
        );
        assert_eq!(
            code_of(401, "invalid API key").as_deref(),
            Some("unauthenticated")
        );
        for (status, body) in [
            (502, "<html>"),
            (403, "<html>"),
            (307, ""),
            (500, "{}"),
            (404, "[]"),
        ] {
            assert_eq!(code_of(status, body), None, "{status} {body}");
        }
    }
}
