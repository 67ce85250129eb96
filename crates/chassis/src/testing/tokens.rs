//! Tokens as an identity provider would give them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The claims of a token.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    /// The claims, any of them.
    pub claims: Value,
}

impl TokenSpec {
    /// A user who is signed in until `exp` (seconds since 1970), with an address made from his id.
    pub fn user(sub: &str, exp: i64) -> Self {
        Self {
            claims: json!({"sub": sub, "email": format!("{sub}@example.com"), "exp": exp}),
        }
    }

    /// With another claim, or another value for one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Signed with HS256.
    ///
    /// # Panics
    /// Never for claims that are JSON.
    pub fn sign(&self, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &self.claims, &key).expect("claims are JSON")
    }
}
