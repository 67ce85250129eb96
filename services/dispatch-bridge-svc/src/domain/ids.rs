//! Typed ids: of a call in this service, of its room, of its dispatch.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use switchhook_core::ids::uuid_v7;
use uuid::Uuid;

/// The id of a call in this service (UUID v7). Callers know it by its dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub Uuid);

impl CallId {
    /// A new id for a call that is reserved at `at`.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(uuid_v7(at))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The room of a call: `outbound-` and ten hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Room(String);

impl Room {
    const PREFIX: &str = "outbound-";
    const HEX_DIGITS: usize = 10;

    /// A new room.
    pub fn new(random: u64) -> Self {
        let bits = random & ((1 << (4 * Self::HEX_DIGITS)) - 1);
        Self(format!("{}{bits:010x}", Self::PREFIX))
    }

    /// Takes the name of a room of ours; other rooms of the project are none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let sound = digits.len() == Self::HEX_DIGITS
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        sound.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// LiveKit's id of a dispatch, `AD_…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DispatchId(String);

impl DispatchId {
    /// Longest id, in characters.
    pub const MAX_CHARS: usize = 128;

    /// Takes whatever LiveKit may call a dispatch.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let chars = text.chars().count();
        ((1..=Self::MAX_CHARS).contains(&chars) && !text.contains('\0')).then_some(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DispatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_one_written_form() {
        let room = Room::new(u64::MAX);
        assert_eq!(room.as_str(), "outbound-ffffffffff");
        assert_eq!(Room::new(0x2b).as_str(), "outbound-000000002b");
        assert_eq!(Room::parse(room.as_str()), Some(room));
        for other in [
            "",
            "outbound-",
            "outbound-FFFFFFFFFF",
            "outbound-fffffffff",
            "room",
            "outbound-fffffffffff",
        ] {
            assert!(Room::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn dispatch_ids_have_bounds() {
        assert!(DispatchId::parse("AD_x").is_some());
        assert!(DispatchId::parse("").is_none());
        assert!(DispatchId::parse("a\0").is_none());
        assert!(DispatchId::parse("a".repeat(129)).is_none());
    }
}
