//! The published keys: fetched when first needed, kept, fetched again when a token names an unknown one or when they
//! have become old, never more often than every [`REFRESH_EVERY`].

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use url::Url;

use super::claims::TokenFault;
use super::tokens::TokenKey;
use crate::kit::Kit;

/// Least time between two fetches: tokens with invented key ids must not become load for others.
const REFRESH_EVERY: TimeDelta = TimeDelta::seconds(10);
/// Older keys are fetched anew, so that a withdrawn one goes; they stay if that fails.
const OLD_AFTER: TimeDelta = TimeDelta::hours(1);
const FETCH_LIMIT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1024 * 1024;

/// The keys at one URL.
pub(super) struct Jwks {
    url: Url,
    cached: RwLock<Cached>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct Cached {
    keys: Option<Arc<Vec<TokenKey>>>,
    fetched_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

impl Cached {
    fn find(&self, id: Option<&str>) -> Option<TokenKey> {
        let keys = self.keys.as_deref()?;
        match id {
            Some(id) => keys.iter().find(|key| key.id.as_deref() == Some(id)).cloned(),
            // A set of one needs no names.
            None => keys.first().filter(|_| keys.len() == 1).cloned(),
        }
    }

    fn is_old(&self, now: DateTime<Utc>) -> bool {
        self.fetched_at.is_none_or(|at| now - at >= OLD_AFTER)
    }

    fn may_fetch(&self, now: DateTime<Utc>) -> bool {
        self.tried_at.is_none_or(|at| (now - at).abs() >= REFRESH_EVERY)
    }
}

impl Jwks {
    pub(super) fn at(url: Url) -> Self {
        Self {
            url,
            cached: RwLock::default(),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// The key of that id, or the only one for a token that names none.
    pub(super) async fn key(&self, id: Option<&str>, kit: &Kit) -> Result<TokenKey, TokenFault> {
        let cached = self.cached();
        if let Some(key) = cached.find(id).filter(|_| !cached.is_old(kit.clock.now())) {
            return Ok(key);
        }
        // One fetch at a time; whoever waited looks again before he fetches.
        let turn = self.fetching.lock().await;
        let (cached, now) = (self.cached(), kit.clock.now());
        let known = cached.find(id).is_some() && !cached.is_old(now);
        if !known && cached.may_fetch(now) {
            self.refresh(kit, now).await;
        }
        drop(turn);
        let cached = self.cached();
        match (cached.find(id), &cached.keys) {
            (Some(key), _) => Ok(key),
            (None, Some(_)) => Err(TokenFault::Unproven),
            (None, None) => Err(TokenFault::KeysOutOfReach),
        }
    }

    fn cached(&self) -> Cached {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self, kit: &Kit, now: DateTime<Utc>) {
        // On the service's runtime: a pooled connection must outlive the worker that asked.
        let (client, url) = (kit.outbound.client().clone(), self.url.clone());
        let fetched = kit.tasks.run(async move { fetch(&client, url).await }).await;
        let keys = fetched
            .map_err(|lost| lost.to_string())
            .and_then(|fetched| fetched);
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        cached.tried_at = Some(now);
        match keys {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "users' keys fetched");
                cached.keys = Some(Arc::new(keys));
                cached.fetched_at = Some(now);
            }
            Err(error) => tracing::warn!(error, "users' keys cannot be fetched"),
        }
    }
}

async fn fetch(client: &reqwest::Client, url: Url) -> Result<Vec<TokenKey>, String> {
    let described = |error: reqwest::Error| error.without_url().to_string();
    let reading = async {
        let response = client.get(url).send().await.map_err(described)?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()));
        }
        let mut chunks = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(described)?;
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("answered more than {MAX_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    let body = tokio::time::timeout(FETCH_LIMIT, reading)
        .await
        .map_err(|_| "did not answer in time".to_owned())??;
    let document: Value =
        serde_json::from_slice(&body).map_err(|error| format!("answered no JSON: {error}"))?;
    let keys = document
        .get("keys")
        .and_then(Value::as_array)
        .ok_or("answered no key set")?;
    Ok(keys.iter().filter_map(usable).collect())
}

/// A public key that may verify signatures, with the algorithm of its type. Others are passed over, as the standard asks.
fn usable(jwk: &Value) -> Option<TokenKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let (algorithm, key) = match (text("kty")?, text("crv")) {
        ("RSA", _) => (
            Algorithm::RS256,
            DecodingKey::from_rsa_components(text("n")?, text("e")?).ok()?,
        ),
        ("EC", Some("P-256")) => (
            Algorithm::ES256,
            DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?,
        ),
        ("OKP", Some("Ed25519")) => (
            Algorithm::EdDSA,
            DecodingKey::from_ed_components(text("x")?).ok()?,
        ),
        _ => return None,
    };
    let named = match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        _ => "EdDSA",
    };
    let fits = text("alg").is_none_or(|alg| alg == named || (named == "EdDSA" && alg == "Ed25519"));
    let signs = text("use").is_none_or(|usage| usage == "sig");
    (fits && signs).then(|| TokenKey {
        id: text("kid").map(str::to_owned),
        algorithm,
        key,
    })
}
