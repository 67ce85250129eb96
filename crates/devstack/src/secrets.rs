//! Random secrets, and the tokens that a stack's users sign in with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use rand::RngCore;
use serde::Serialize;

/// How long a token is good for: a stack seldom runs longer.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Letters of LiveKit's API keys behind their prefix.
const LIVEKIT_KEY_LETTERS: usize = 12;
/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// A person who can sign in to a stack.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The user's id.
    pub id: &'static str,
    /// The user's address.
    pub email: &'static str,
    /// The user's role, if any.
    pub role: Option<&'static str>,
    /// Whose visitors an operator answers: `*` for all.
    pub channels: Option<&'static str>,
}

/// The user of the examples.
pub const USER: Person = Person {
    id: "550e8400-e29b-41d4-a716-446655440000",
    email: "user@example.com",
    role: None,
    channels: None,
};
/// Another user, who must not see the first one's things.
pub const OTHER_USER: Person = Person {
    id: "6fa459ea-ee8a-4ca4-894e-db77e160355e",
    email: "other@example.com",
    role: None,
    channels: None,
};
/// Somebody who answers chats.
pub const OPERATOR: Person = Person {
    id: "16fd2706-8baf-433b-82eb-8c7fada847da",
    email: "operator@example.com",
    role: Some("operator"),
    channels: Some("*"),
};

/// An API key of LiveKit, in the form that LiveKit gives it.
#[must_use]
pub fn livekit_key() -> String {
    let letters: String = secret()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(LIVEKIT_KEY_LETTERS)
        .collect();
    format!("API{letters}")
}

/// What a service checks in a token beside the signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// `JWT_ISSUER`.
    pub issuer: Option<&'a str>,
    /// `JWT_AUDIENCE`.
    pub audience: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    email: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// A new secret: 43 characters that need no escaping anywhere.
#[must_use]
pub fn secret() -> String {
    random(SECRET_BYTES)
}

/// A key that encrypts at rest: 32 bytes in base64.
#[must_use]
pub fn data_key() -> String {
    let mut buffer = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut buffer);
    STANDARD.encode(buffer)
}

/// A short random word, for names.
pub(crate) fn word() -> String {
    random(9).to_lowercase().replace('-', "0").replace('_', "1")
}

fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rand::rng().fill_bytes(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}

/// A token for a person, signed with `JWT_SECRET` (HS256).
///
/// # Errors
/// The library refuses to sign.
pub fn token(person: Person, jwt_secret: &str, expected: Expected<'_>) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let claims = Claims {
        sub: person.id,
        email: person.email,
        iat: now.as_secs(),
        exp: (now + TOKEN_LIFE).as_secs(),
        role: person.role,
        channels: person.channels,
        iss: expected.issuer,
        aud: expected.audience,
    };
    Ok(jsonwebtoken::encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(jwt_secret.as_bytes()),
    )?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_names_its_person_and_can_be_verified() {
        let expected = Expected {
            issuer: Some("dev"),
            audience: Some("switchhook"),
        };
        let token = token(OPERATOR, "s3cret", expected).unwrap();
        let mut validation = Validation::default();
        validation.set_issuer(&["dev"]);
        validation.set_audience(&["switchhook"]);
        let key = DecodingKey::from_secret(b"s3cret");
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(
            (&claims["sub"], &claims["role"]),
            (&OPERATOR.id.into(), &"operator".into())
        );
        let other = DecodingKey::from_secret(b"other");
        assert!(jsonwebtoken::decode::<Value>(&token, &other, &validation).is_err());
    }

    #[test]
    fn secrets_differ_and_need_no_escaping() {
        let (one, two) = (secret(), secret());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
        assert_eq!(STANDARD.decode(data_key()).unwrap().len(), 32);
        assert!(
            word()
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        );
    }
}
