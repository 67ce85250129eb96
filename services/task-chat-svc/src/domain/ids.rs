//! Typed ids of tasks, agents, messages and answers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use switchhook_core::ids::uuid_v7;
use uuid::Uuid;

/// The id of a task: `task_<unix ms>_<random>`. Nobody guesses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TaskId(String);

impl TaskId {
    const PREFIX: &str = "task_";
    const MAX_BYTES: usize = 96;

    /// A new id for a task that begins at `at`.
    pub fn new(at: DateTime<Utc>, random: u128) -> Self {
        Self(format!("{}{}_{random:032x}", Self::PREFIX, at.timestamp_millis()))
    }

    /// Takes an id in its one written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, random) = text.strip_prefix(Self::PREFIX)?.split_once('_')?;
        let is_word = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let sound = !time.is_empty()
            && time.bytes().all(|b| b.is_ascii_digit())
            && !random.is_empty()
            && is_word(random)
            && text.len() <= Self::MAX_BYTES;
        sound.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of an agent: whatever `AGENT_WEBHOOKS` calls it, 1..=128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AgentId(String);

impl AgentId {
    /// Longest id, in characters.
    pub const MAX_CHARS: usize = 128;

    /// Checks the length; refuses U+0000.
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

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a user's message (UUID v7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// A new id for a message of this moment.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(uuid_v7(at))
    }
}

/// The id of an agent's answer (UUID v7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ResponseId(pub Uuid);

impl ResponseId {
    /// A new id for an answer of this moment.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(uuid_v7(at))
    }

    /// Takes the hyphenated form only.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.parse::<uuid::fmt::Hyphenated>().ok()?;
        Some(Self(id.into_uuid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_has_one_written_form() {
        let at = DateTime::from_timestamp_millis(1_759_838_400_000).unwrap();
        let id = TaskId::new(at, u128::MAX);
        assert_eq!(id.as_str(), "task_1759838400000_ffffffffffffffffffffffffffffffff");
        assert_eq!(TaskId::parse(id.as_str()), Some(id));
        let long = format!("task_1_{}", "a".repeat(96));
        for text in [
            "",
            "task_",
            "task_1_",
            "task__a",
            "task_x_a",
            "task_1_A",
            "task_1_a-b",
            "job_1_a",
            "task_1_é",
            long.as_str(),
        ] {
            assert_eq!(TaskId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn agent_ids_have_bounds() {
        assert!(AgentId::parse("").is_none());
        assert!(AgentId::parse("é".repeat(128)).is_some());
        assert!(AgentId::parse("é".repeat(129)).is_none());
        assert!(AgentId::parse("a\0").is_none());
    }
}
