//! LiveKit's tokens: who may do what, and what a webhook's signature is.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::values::now_seconds;
use super::wire::Fault;

/// How far LiveKit lets clocks be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// How long a webhook's signature is good for.
const SIGNATURE_LIFE: Duration = Duration::from_secs(5 * 60);

/// What a request may do; nothing without a token.
#[derive(Default)]
pub(super) struct Grants(Value);

impl Grants {
    /// Reads the token of a request. What is wrong with it is told in plain text: it never reaches Twirp.
    pub(super) fn of(headers: &HeaderMap, keys: &[(String, String)]) -> Result<Self, String> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(Self::default());
        };
        let Some(token) = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")) else {
            return Err("invalid authorization header. Must start with Bearer ".to_owned());
        };
        let issuer = jsonwebtoken::dangerous::insecure_decode::<Value>(token)
            .ok()
            .and_then(|token| Some(token.claims.get("iss")?.as_str()?.to_owned()))
            .ok_or_else(|| "invalid authorization token".to_owned())?;
        let (key, secret) = keys
            .iter()
            .find(|(key, _)| *key == issuer)
            .ok_or_else(|| "invalid API key".to_owned())?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_issuer(&[key]);
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::decode::<Value>(token, &decoding, &validation)
            .map(|token| Self(token.claims))
            .map_err(|error| format!("invalid authorization token: {error}"))
    }

    fn has(&self, path: &str) -> bool {
        self.0.pointer(path) == Some(&Value::Bool(true))
    }

    fn need(granted: bool) -> Result<(), Fault> {
        if granted {
            return Ok(());
        }
        Err(Fault::new("unauthenticated", "permissions denied"))
    }

    /// May make and delete rooms.
    pub(super) fn create(&self) -> Result<(), Fault> {
        Self::need(self.has("/video/roomCreate"))
    }

    /// May list rooms.
    pub(super) fn list(&self) -> Result<(), Fault> {
        Self::need(self.has("/video/roomList"))
    }

    /// May administer this room.
    pub(super) fn admin(&self, room: &str) -> Result<(), Fault> {
        let named = self.0.pointer("/video/room").and_then(Value::as_str);
        Self::need(self.has("/video/roomAdmin") && named.unwrap_or_default() == room)
    }

    /// May record.
    pub(super) fn record(&self) -> Result<(), Fault> {
        Self::need(self.has("/video/roomRecord"))
    }

    /// May dial.
    pub(super) fn call(&self) -> Result<(), Fault> {
        Self::need(self.has("/sip/call"))
    }
}

/// The `Authorization` of a webhook: a token over the body's hash, without `Bearer`.
pub(super) fn signature(body: &[u8], (key, secret): &(String, String)) -> String {
    let now = now_seconds();
    let claims = json!({
        "iss": key,
        "iat": now,
        "nbf": now,
        "exp": now + i64::try_from(SIGNATURE_LIFE.as_secs()).unwrap_or(i64::MAX),
        "sha256": STANDARD.encode(Sha256::digest(body)),
    });
    let signing = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &signing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const KEY: &str = "APIkey";

    fn keys() -> Vec<(String, String)> {
        vec![(KEY.to_owned(), "secret".to_owned())]
    }

    fn headers(claims: &Value, secret: &str) -> HeaderMap {
        let signing = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &signing).unwrap();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    fn claims(from_now: i64, until: i64) -> Value {
        let now = now_seconds();
        json!({"iss": KEY, "nbf": now + from_now, "exp": now + until,
               "video": {"roomAdmin": true, "room": "r1", "roomCreate": false}, "sip": {"call": true}})
    }

    #[test]
    fn a_token_opens_what_it_names_and_nothing_else() {
        let grants = Grants::of(&headers(&claims(0, 600), "secret"), &keys()).unwrap();
        assert!(grants.admin("r1").is_ok() && grants.call().is_ok());
        assert!(grants.admin("r2").is_err() && grants.create().is_err() && grants.record().is_err());
        assert!(Grants::of(&HeaderMap::new(), &keys()).unwrap().list().is_err());
    }

    #[test]
    fn a_token_of_another_time_secret_or_key_is_refused_in_plain_words() {
        let refused =
            |claims: &Value, secret: &str| Grants::of(&headers(claims, secret), &keys()).err().unwrap();
        assert!(refused(&claims(0, -90), "secret").starts_with("invalid authorization token: "));
        assert!(refused(&claims(90, 600), "secret").starts_with("invalid authorization token: "));
        assert!(refused(&claims(0, 600), "other").starts_with("invalid authorization token: "));
        let mut stranger = claims(0, 600);
        stranger["iss"] = json!("APIother");
        assert_eq!(refused(&stranger, "secret"), "invalid API key");
        assert!(
            Grants::of(&headers(&claims(-30, -30), "secret"), &keys()).is_ok(),
            "clocks differ"
        );
    }
}
