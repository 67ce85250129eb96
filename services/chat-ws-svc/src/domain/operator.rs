//! What an operator or a machine may see: whose visitors.

use serde_json::{Map, Value};

use super::channel::ChannelName;

/// The role in an operator's token.
pub const ROLE: &str = "operator";
/// The claim that names his channels.
const CHANNELS: &str = "channels";
/// The claim that names him to visitors.
const NAME: &str = "name";
/// Longest name, in characters.
pub const NAME_MAX_CHARS: usize = 80;

/// The channels that somebody reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    All,
    /// These.
    These(Vec<ChannelName>),
}

impl Reach {
    /// What a token says: a list, or `"*"`; without the claim the default channel. What is no name reaches nothing.
    pub fn of_claims(claims: &Map<String, Value>) -> Self {
        match claims.get(CHANNELS) {
            None => Self::These(vec![ChannelName::default()]),
            Some(Value::String(all)) if all == "*" => Self::All,
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(|name| ChannelName::parse(name.as_str()?));
                Self::These(names.collect())
            }
            Some(_) => Self::These(Vec::new()),
        }
    }

    /// What a machine's secret says.
    pub fn of_secret(scope: Option<&str>) -> Self {
        match scope {
            None => Self::All,
            Some(name) => Self::These(ChannelName::parse(name).into_iter().collect()),
        }
    }

    /// Whether a channel is among them.
    pub fn includes(&self, channel: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.iter().any(|name| name.as_str() == channel),
        }
    }

    /// Their names; nothing where it is all.
    pub fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::These(names) => Some(names.iter().map(ToString::to_string).collect()),
        }
    }
}

/// What visitors may know an operator by, where his token says.
pub fn public_name(claims: &Map<String, Value>) -> Option<String> {
    let name = claims.get(NAME)?.as_str()?.trim();
    let sound = !name.is_empty() && !name.contains('\0') && name.chars().count() <= NAME_MAX_CHARS;
    sound.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reach(claims: &Value) -> Reach {
        Reach::of_claims(claims.as_object().unwrap())
    }

    #[test]
    fn a_token_names_its_channels() {
        assert_eq!(reach(&json!({})), Reach::These(vec![ChannelName::default()]));
        assert_eq!(reach(&json!({"channels": "*"})), Reach::All);
        let some = reach(&json!({"channels": ["acme", 7, "no name", "b"]}));
        assert!(some.includes("acme") && some.includes("b") && !some.includes("default"));
        for nothing in [
            json!({"channels": []}),
            json!({"channels": "acme"}),
            json!({"channels": ["*"]}),
            json!({"channels": null}),
        ] {
            assert_eq!(reach(&nothing), Reach::These(vec![]), "{nothing}");
        }
    }

    #[test]
    fn a_secret_reaches_its_channel_or_all() {
        assert!(Reach::of_secret(None).includes("acme"));
        let own = Reach::of_secret(Some("acme"));
        assert!(own.includes("acme") && !own.includes("default"));
        assert_eq!(own.names(), Some(vec!["acme".into()]));
    }

    #[test]
    fn visitors_learn_a_name_and_no_address() {
        let name = |claims: Value| public_name(claims.as_object().unwrap());
        assert_eq!(name(json!({"name": " Sarah "})), Some("Sarah".into()));
        for none in [
            json!({"email": "s@x.example"}),
            json!({"name": ""}),
            json!({"name": 7}),
            json!({"name": "a".repeat(81)}),
        ] {
            assert_eq!(name(none), None);
        }
    }
}
