//! Users' tokens: which key verifies them and with which algorithm. The algorithm is the key's, never the token's.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::User;
use super::claims::{Expected, TokenFault};
use super::jwks::Jwks;
use crate::kit::Kit;

/// Where the keys are.
pub(super) enum Keys {
    /// `JWT_SECRET`, for HS256.
    Shared(Box<TokenKey>),
    /// `JWT_JWKS_URL`.
    Published(Jwks),
}

/// A key and the one algorithm it is for.
#[derive(Clone)]
pub(super) struct TokenKey {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({:?}, {:?})", self.id, self.algorithm)
    }
}

impl TokenKey {
    /// The key that `JWT_SECRET` is.
    pub(super) fn shared(secret: &SecretString) -> Self {
        let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
        Self {
            id: None,
            algorithm: Algorithm::HS256,
            key,
        }
    }

    /// The claims, if this key signed them.
    pub(super) fn open(&self, token: &str) -> Result<Map<String, Value>, TokenFault> {
        let mut validation = Validation::new(self.algorithm);
        // The claims are judged by the service's clock, in `claims`.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let opened = jsonwebtoken::decode(token, &self.key, &validation);
        opened.map(|data| data.claims).map_err(|_| TokenFault::Unproven)
    }
}

/// Verifies users' tokens.
pub(super) struct Tokens {
    pub(super) keys: Keys,
    pub(super) expected: Expected,
}

impl Tokens {
    /// The user whom the token proves.
    pub(super) async fn verify(&self, token: &str, kit: &Kit) -> Result<User, TokenFault> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Unproven)?;
        // Whoever marks an extension as critical means that we must know it; we know none.
        if header.crit.is_some() {
            return Err(TokenFault::Unproven);
        }
        let claims = match &self.keys {
            Keys::Shared(key) => key.open(token)?,
            Keys::Published(jwks) => jwks.key(header.kid.as_deref(), kit).await?.open(token)?,
        };
        self.expected.user(claims, kit.clock.now())
    }
}
