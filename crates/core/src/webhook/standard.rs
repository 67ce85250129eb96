//! Signatures after the Standard Webhooks specification, for requests that we send.

use standardwebhooks::Webhook;

/// Signs outbound bodies.
pub struct Signer(Webhook);

/// The secret is not base64 (with or without the `whsec_` prefix).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be base64, with or without the prefix whsec_")]
pub struct InvalidSigningSecret;

impl Signer {
    /// Takes a secret in base64, with or without the prefix `whsec_`.
    pub fn new(secret: &str) -> Result<Self, InvalidSigningSecret> {
        Webhook::new(secret).map(Self).map_err(|_| InvalidSigningSecret)
    }

    /// The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of one request.
    ///
    /// `timestamp_s` is Unix time in seconds.
    pub fn headers(&self, id: &str, timestamp_s: i64, body: &[u8]) -> Option<[(&'static str, String); 3]> {
        let signature = self.0.sign(id, timestamp_s, body).ok()?;
        Some([
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp_s.to_string()),
            ("webhook-signature", signature),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference library.
    #[test]
    fn the_published_example_is_signed_alike() {
        let signer = Signer::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let headers = signer
            .headers("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body)
            .unwrap();
        assert_eq!(headers[2].1, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn a_secret_that_is_not_base64_is_refused() {
        assert!(Signer::new("whsec_not base64!").is_err());
    }
}
