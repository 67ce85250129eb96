//! The shared secret of machines (n8n, operators' tools): several at a time for rotation, compared in constant time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Shorter secrets are warned about at start, not refused.
pub const ADVISED_SECRET_CHARS: usize = 16;

/// The secrets that are accepted, each under an optional name that logs may show.
#[derive(Clone)]
pub struct SecretSet {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    name: Option<String>,
    // Digests have one length, so that comparing them tells nothing about the length of the secret.
    digest: [u8; 32],
    short: bool,
}

/// Why a list of secrets is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretListError {
    /// An entry holds nothing after its name.
    #[error("entry {0} is empty")]
    EmptyEntry(usize),
}

impl SecretSet {
    /// Reads a comma-separated list; an entry is `secret` or `name:secret` with a name of `[a-z0-9_-]{1,32}`.
    pub fn parse(list: &str) -> Result<Self, SecretListError> {
        let mut entries = Vec::new();
        for (index, entry) in list.split(',').map(str::trim).enumerate() {
            let (name, secret) = match entry.split_once(':') {
                Some((name, secret)) if is_name(name) => (Some(name.to_owned()), secret),
                _ => (None, entry),
            };
            if secret.is_empty() {
                return Err(SecretListError::EmptyEntry(index + 1));
            }
            let short = secret.chars().count() < ADVISED_SECRET_CHARS;
            entries.push(Entry {
                name,
                digest: Sha256::digest(secret.as_bytes()).into(),
                short,
            });
        }
        Ok(Self { entries })
    }

    /// The name of the entry that the presented secret belongs to (`default` for one without a name), or `None`.
    /// Takes the same time whichever entry fits, or none.
    pub fn verify(&self, presented: &[u8]) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let mut found = Choice::from(0);
        let mut at = 0_u64;
        for (index, entry) in self.entries.iter().enumerate() {
            let same = entry.digest.ct_eq(&digest);
            at.conditional_assign(&(index as u64), same);
            found |= same;
        }
        if !bool::from(found) {
            return None;
        }
        let entry = self.entries.get(usize::try_from(at).ok()?)?;
        Some(entry.name.as_deref().unwrap_or("default"))
    }

    /// How many entries are shorter than [`ADVISED_SECRET_CHARS`].
    pub fn short_entries(&self) -> usize {
        self.entries.iter().filter(|entry| entry.short).count()
    }
}

fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

impl fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSet({} entries)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_secrets_are_accepted_during_a_rotation() {
        let set = SecretSet::parse("old-secret-of-some-length, n8n:new-secret-of-some-length").unwrap();
        assert_eq!(set.verify(b"old-secret-of-some-length"), Some("default"));
        assert_eq!(set.verify(b"new-secret-of-some-length"), Some("n8n"));
        assert_eq!(set.verify(b"n8n:new-secret-of-some-length"), None);
        assert_eq!(set.verify(b""), None);
        assert_eq!(set.short_entries(), 0);
    }

    #[test]
    fn a_colon_without_a_name_before_it_belongs_to_the_secret() {
        let set = SecretSet::parse("Abc:def").unwrap();
        assert_eq!(set.verify(b"Abc:def"), Some("default"));
    }

    #[test]
    fn empty_entries_are_refused() {
        assert_eq!(SecretSet::parse("").unwrap_err(), SecretListError::EmptyEntry(1));
        assert_eq!(
            SecretSet::parse("abc,,def").unwrap_err(),
            SecretListError::EmptyEntry(2)
        );
        assert_eq!(
            SecretSet::parse("n8n:").unwrap_err(),
            SecretListError::EmptyEntry(1)
        );
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let set = SecretSet::parse("n8n:very-secret-words").unwrap();
        assert_eq!(format!("{set:?}"), "SecretSet(1 entries)");
        assert_eq!(
            set.short_entries(),
            1 - usize::from("very-secret-words".len() >= ADVISED_SECRET_CHARS)
        );
    }
}
