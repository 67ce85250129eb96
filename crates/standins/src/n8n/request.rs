//! What n8n's HTTP Request node sends: its headers in its order, a new connection each time, Retry On Fail.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::outgoing::{self, Response};

/// The node's default time-out.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Tries in all with Retry On Fail.
const TRIES: u32 = 3;
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
const ACCEPT: &str =
    "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7";

/// Posts JSON; a failure of any kind, a 4xx too, is tried three times in all, one second apart. Gives the answer's JSON.
pub(super) async fn post_with_retries(url: &Url, secret: Option<&str>, body: &str) -> Result<Value, String> {
    let mut tries = 1;
    loop {
        let failure = match post(url, secret, body).await {
            Ok(answer) if answer.status.is_success() => {
                return Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null));
            }
            Ok(answer) => format!(
                "{} - {}",
                answer.status.as_u16(),
                String::from_utf8_lossy(&answer.body)
            ),
            Err(error) => error.to_string(),
        };
        if tries == TRIES {
            return Err(failure);
        }
        tries += 1;
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

async fn post(url: &Url, secret: Option<&str>, body: &str) -> io::Result<Response> {
    let mut headers = vec![
        ("Accept", ACCEPT.to_owned()),
        ("Content-Type", "application/json".to_owned()),
    ];
    headers.extend(secret.map(|secret| ("x-n8n-webhook-secret", secret.to_owned())));
    headers.extend([
        ("User-Agent", "n8n".to_owned()),
        ("Content-Length", body.len().to_string()),
        ("Accept-Encoding", "gzip, compress, deflate, br".to_owned()),
        ("Host", outgoing::host(url)?),
        ("Connection", "close".to_owned()),
    ]);
    outgoing::post(url, &headers, Bytes::from(body.to_owned()), TIMEOUT).await
}
