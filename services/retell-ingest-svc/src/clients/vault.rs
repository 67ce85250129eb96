//! Seals clients' API keys for the database: XChaCha20-Poly1305 with a random nonce, bound to its owner, so that a row that
//! is copied to another client opens nothing.

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use switchhook_core::ids::UserId;

/// Length of `DATA_KEY`.
pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Seals and opens.
#[derive(Clone)]
pub(crate) struct Vault {
    cipher: XChaCha20Poly1305,
}

/// The sealed key cannot be opened: `DATA_KEY` is another one, or the row was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed API key cannot be opened with this DATA_KEY")]
pub(crate) struct Unopenable;

impl Vault {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
        }
    }

    /// `nonce ‖ ciphertext`.
    pub(crate) fn seal(&self, owner: &UserId, key: &SecretString) -> Result<Vec<u8>, Unopenable> {
        let nonce = XNonce::generate();
        let payload = Payload {
            msg: key.expose_secret().as_bytes(),
            aad: owner.as_str().as_bytes(),
        };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| Unopenable)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, owner: &UserId, sealed: &[u8]) -> Result<SecretString, Unopenable> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unopenable)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| Unopenable)?;
        let payload = Payload {
            msg: sealed,
            aad: owner.as_str().as_bytes(),
        };
        let key = self.cipher.decrypt(&nonce, payload).map_err(|_| Unopenable)?;
        String::from_utf8(key)
            .map(SecretString::from)
            .map_err(|_| Unopenable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_its_owner_with_its_key_alone() {
        let (vault, other) = (Vault::new(&[7; 32]), Vault::new(&[8; 32]));
        let sealed = vault.seal(&user("ada"), &"key_1".into()).unwrap();
        assert_eq!(
            vault.open(&user("ada"), &sealed).unwrap().expose_secret(),
            "key_1"
        );
        assert!(vault.open(&user("bob"), &sealed).is_err());
        assert!(other.open(&user("ada"), &sealed).is_err());
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        assert!(vault.open(&user("ada"), &changed).is_err());
        assert!(vault.open(&user("ada"), b"short").is_err());
    }

    #[test]
    fn the_same_key_is_never_sealed_the_same_way() {
        let vault = Vault::new(&[7; 32]);
        let seal = || vault.seal(&user("ada"), &"key_1".into()).unwrap();
        assert_ne!(seal(), seal());
        assert!(!seal().windows(5).any(|part| part == b"key_1"));
    }
}
