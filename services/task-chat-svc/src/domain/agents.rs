//! Which agents a user may write to.

use serde_json::{Map, Value};

use super::ids::AgentId;

/// Claim of a token that limits its user to the agents in it.
const CLAIM: &str = "agents";

/// Whether the claims of a token allow an agent. Without the claim they allow all.
pub fn allows(claims: &Map<String, Value>, agent: &AgentId) -> bool {
    match claims.get(CLAIM) {
        None | Some(Value::Null) => true,
        Some(Value::String(only)) => only == agent.as_str(),
        Some(Value::Array(agents)) => agents.iter().any(|own| own.as_str() == Some(agent.as_str())),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_allows_what_it_names_and_nothing_else() {
        let allows = |claims: Value| allows(claims.as_object().unwrap(), &AgentId::parse("sales").unwrap());
        assert!(allows(json!({})));
        assert!(allows(json!({"agents": null})));
        assert!(allows(json!({"agents": ["support", "sales"]})));
        assert!(allows(json!({"agents": "sales"})));
        for claim in [
            json!([]),
            json!(["support"]),
            json!("support"),
            json!({}),
            json!(true),
            json!([["sales"]]),
        ] {
            assert!(!allows(json!({"agents": claim})), "{claim}");
        }
    }
}
