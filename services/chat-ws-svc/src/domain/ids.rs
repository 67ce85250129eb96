//! Typed ids of chats and messages, and the token that resumes a chat.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use switchhook_core::ids::uuid_v7;
use uuid::Uuid;

/// The id of a chat: `cw-<unix ms>-<random>`. It is no secret, and ids sort by their moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(#[serde(with = "super::shared")] Arc<str>);

impl SessionId {
    const PREFIX: &str = "cw-";
    const MAX_BYTES: usize = 64;
    /// Base 36 digits of the random part.
    const RANDOM_DIGITS: usize = 24;

    /// A new id for a chat that begins at `at`.
    pub fn new(at: DateTime<Utc>, random: u128) -> Self {
        let mut id = format!("{}{}-", Self::PREFIX, at.timestamp_millis());
        let mut rest = random;
        for _ in 0..Self::RANDOM_DIGITS {
            let digit = u32::try_from(rest % 36)
                .ok()
                .and_then(|digit| char::from_digit(digit, 36));
            id.extend(digit);
            rest /= 36;
        }
        Self(id.into())
    }

    /// Takes an id in its one written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, random) = text.strip_prefix(Self::PREFIX)?.split_once('-')?;
        let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let sound = !time.is_empty()
            && time.bytes().all(|b| b.is_ascii_digit())
            && !random.is_empty()
            && is_word(random)
            && text.len() <= Self::MAX_BYTES;
        sound.then(|| Self(text.into()))
    }

    /// An id that all chats which began before `at` sort before.
    pub fn bound(at: DateTime<Utc>) -> String {
        format!("{}{}", Self::PREFIX, at.timestamp_millis().max(0))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a message or another entry (UUID v7), on the wire `msg-<32 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub Uuid);

impl MessageId {
    const PREFIX: &str = "msg-";

    /// A new id for a message of this moment.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(uuid_v7(at))
    }

    /// Takes an id in its one written form.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(Self::PREFIX)?;
        let lower = hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let id = lower.then(|| hex.parse::<uuid::fmt::Simple>().ok())??;
        Some(Self(id.into_uuid()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0.simple())
    }
}

impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The token that resumes a chat: 256 bits, in hex. Only its hash is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken([u8; Self::BYTES]);

impl ResumeToken {
    const BYTES: usize = 32;

    /// A new token.
    pub fn new(random: [u8; Self::BYTES]) -> Self {
        Self(random)
    }

    /// Takes hex or unpadded base64url.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 2 * Self::BYTES {
            let digits = text.as_bytes().chunks_exact(2).map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                pair.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
                u8::from_str_radix(pair, 16).ok()
            });
            let bytes: Option<Vec<u8>> = digits.collect();
            return bytes?.try_into().ok().map(Self);
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The token as the visitor gets it.
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    #[test]
    fn a_session_id_has_one_written_form() {
        let id = SessionId::new(at(1_759_838_400_000), 35 + 36);
        assert_eq!(id.as_str(), format!("cw-1759838400000-z1{}", "0".repeat(22)));
        assert_eq!(SessionId::parse(id.as_str()), Some(id));
        let long = format!("cw-1-{}", "a".repeat(64));
        for text in [
            "",
            "cw-",
            "cw-1-",
            "cw--a",
            "cw-x-a",
            "cw-1-A",
            "cw-1-a-b",
            "task-1-a",
            "cw-1-é",
            long.as_str(),
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn session_ids_sort_by_their_moment() {
        let early = SessionId::new(at(1_759_838_400_000), u128::MAX);
        let late = SessionId::new(at(1_759_838_400_001), 0);
        assert!(early < late && *early.as_str() < *SessionId::bound(at(1_759_838_400_001)));
        assert!(*SessionId::bound(at(1_759_838_400_001)) < *late.as_str());
    }

    #[test]
    fn a_message_id_has_one_written_form() {
        let id = MessageId::new(at(1_759_838_400_000));
        let text = id.to_string();
        assert_eq!((text.len(), MessageId::parse(&text)), (36, Some(id)));
        for text in [
            "",
            "msg-",
            "msg-1",
            &text.to_uppercase(),
            &text[4..],
            &format!("msg-{}", id.0),
        ] {
            assert_eq!(MessageId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_read_in_both_forms_and_never_shown() {
        let token = ResumeToken::new([0xab; 32]);
        assert_eq!(ResumeToken::parse(&token.reveal()), Some(token.clone()));
        assert_eq!(
            ResumeToken::parse(&token.reveal().to_uppercase()),
            Some(token.clone())
        );
        assert_eq!(
            ResumeToken::parse(&URL_SAFE_NO_PAD.encode([0xab; 32])),
            Some(token.clone())
        );
        for text in [
            "",
            "ab",
            &"+a".repeat(32),
            &"é".repeat(32),
            &URL_SAFE_NO_PAD.encode([0; 31]),
        ] {
            assert_eq!(ResumeToken::parse(text), None, "{text}");
        }
        assert_eq!(format!("{token:?}"), "ResumeToken");
        assert_ne!(token.hash(), [0xab; 32]);
    }
}
