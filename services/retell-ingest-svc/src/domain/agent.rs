//! Ids of Retell's agents.

use std::fmt;

use serde_json::Value;

/// What a malformed id is told.
pub const EXPECTED: &str = "must be agent_ followed by 1 to 128 letters, digits or _";

/// `agent_` and 1..=128 of `[A-Za-z0-9_]`: what a client may connect. Webhooks may name any text as an agent, but only a
/// well-formed one can have a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(String);

impl AgentId {
    /// The id in a request.
    pub fn read(value: &Value) -> Result<Self, String> {
        value
            .as_str()
            .and_then(|text| Self::parse(text.trim()))
            .ok_or_else(|| EXPECTED.to_owned())
    }

    /// The id in a text.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("agent_")?;
        let fits = (1..=128).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_agent_id_has_one_form() {
        for good in ["agent_1", "agent_oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD", "agent__"] {
            assert!(AgentId::parse(good).is_some(), "{good}");
        }
        let long = format!("agent_{}", "a".repeat(129));
        for bad in [
            "",
            "agent_",
            "Agent_1",
            "agent-1",
            "agent_a b",
            "agent_é",
            "xagent_1",
            &long,
        ] {
            assert!(AgentId::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(AgentId::read(&json!(" agent_1 ")).unwrap().as_str(), "agent_1");
        assert_eq!(AgentId::read(&json!(7)).unwrap_err(), EXPECTED);
    }
}
