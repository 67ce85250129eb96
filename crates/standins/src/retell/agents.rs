//! Who may see which agent: API keys with their agents, and what Retell says about one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{DEFAULT_AGENT, DEFAULT_KEY};

/// API keys in the order in which they became known.
pub(super) struct Workspaces {
    keys: Mutex<Vec<(String, Vec<String>)>>,
}

impl Workspaces {
    pub(super) fn new(keys: Vec<(String, Vec<String>)>) -> Self {
        Self {
            keys: Mutex::new(keys),
        }
    }

    /// Whether a key is known, and whether it sees the agent.
    pub(super) fn sees(&self, key: &str, agent: &str) -> Option<bool> {
        let keys = self.locked();
        let (_, agents) = keys.iter().find(|(known, _)| known == key)?;
        Some(agents.iter().any(|known| known == agent))
    }

    /// The key of an agent; the first one for an agent that no key sees.
    pub(super) fn key_of(&self, agent: &str) -> String {
        let keys = self.locked();
        keys.iter()
            .find(|(_, agents)| agents.iter().any(|known| known == agent))
            .or_else(|| keys.first())
            .map_or_else(|| DEFAULT_KEY.to_owned(), |(key, _)| key.clone())
    }

    pub(super) fn first_key(&self) -> String {
        self.locked()
            .first()
            .map_or_else(|| DEFAULT_KEY.to_owned(), |(key, _)| key.clone())
    }

    pub(super) fn first_agent(&self) -> String {
        let keys = self.locked();
        let first = keys.iter().flat_map(|(_, agents)| agents).next();
        first.cloned().unwrap_or_else(|| DEFAULT_AGENT.to_owned())
    }

    pub(super) fn set(&self, key: &str, agents: Vec<String>) {
        let mut keys = self.locked();
        match keys.iter_mut().find(|(known, _)| known == key) {
            Some((_, seen)) => *seen = agents,
            None => keys.push((key.to_owned(), agents)),
        }
    }

    pub(super) fn remove(&self, key: &str) {
        self.locked().retain(|(known, _)| known != key);
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(String, Vec<String>)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an agent is called.
pub(super) fn name(agent: &str) -> String {
    match agent {
        DEFAULT_AGENT => "Front desk".to_owned(),
        other => format!("Agent {}", other.trim_start_matches("agent_")),
    }
}

/// An agent as the API describes it.
pub(super) fn described(agent: &str, webhook_url: Option<&str>) -> Value {
    json!({
        "agent_id": agent,
        "agent_name": name(agent),
        "version": 3,
        "base_version": 2,
        "is_published": true,
        "channel": "voice",
        "response_engine": {"type": "retell-llm", "llm_id": "llm_234sdertfsdsfsdf", "version": 3},
        "voice_id": "11labs-Adrian",
        "voice_model": "eleven_flash_v2_5",
        "voice_speed": 1.0,
        "voice_temperature": 1.0,
        "volume": 1.0,
        "language": "en-US",
        "webhook_url": webhook_url,
        "webhook_events": ["call_started", "call_ended", "call_analyzed", "transcript_updated"],
        "webhook_timeout_ms": 10000,
        "data_storage_setting": "everything",
        "opt_in_signed_url": false,
        "interruption_sensitivity": 1.0,
        "responsiveness": 1.0,
        "enable_backchannel": true,
        "end_call_after_silence_ms": 600_000,
        "max_call_duration_ms": 3_600_000,
        "post_call_analysis_model": "gpt-4.1-mini",
        "post_call_analysis_data": [{"type": "string", "name": "next_step", "description": "What happens next."}],
        "last_modification_timestamp": 1_757_600_000_000_i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sees_its_own_agents_alone() {
        let workspaces = Workspaces::new(vec![
            ("k1".into(), vec!["agent_a".into()]),
            ("k2".into(), vec!["agent_b".into()]),
        ]);
        assert_eq!(workspaces.sees("k1", "agent_a"), Some(true));
        assert_eq!(workspaces.sees("k1", "agent_b"), Some(false));
        assert_eq!(workspaces.sees("k3", "agent_a"), None);
        assert_eq!(workspaces.key_of("agent_b"), "k2");
        assert_eq!(workspaces.key_of("agent_nobody_s"), "k1");
        workspaces.set("k1", vec![]);
        workspaces.remove("k2");
        assert_eq!(
            (workspaces.sees("k1", "agent_a"), workspaces.sees("k2", "agent_b")),
            (Some(false), None)
        );
    }
}
