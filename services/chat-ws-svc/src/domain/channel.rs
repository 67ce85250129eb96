//! The channel of a chat: whose visitors they are.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a channel: 1..=64 characters of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelName(#[serde(with = "super::shared")] Arc<str>);

impl ChannelName {
    /// Longest name.
    pub const MAX_CHARS: usize = 64;
    /// The channel of whoever names none.
    pub const DEFAULT: &str = "default";

    /// Checks length and characters.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(sound)).then(|| Self(text.into()))
    }

    /// Whether it is the one of whoever names none.
    pub fn is_default(&self) -> bool {
        &*self.0 == Self::DEFAULT
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ChannelName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        for name in ["default", "a", "Acme-Shop_2.eu", &"a".repeat(64)] {
            assert!(ChannelName::parse(name).is_some(), "{name}");
        }
        for name in ["", "a b", "é", "a/b", "a\0", &"a".repeat(65)] {
            assert!(ChannelName::parse(name).is_none(), "{name}");
        }
        assert!(ChannelName::default().is_default());
    }
}
