//! What can be set for this service alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use switchhook_chassis::app::ServiceSettings;
use switchhook_chassis::config::{SettingError, SettingValue, Span};
use url::Url;

use crate::domain::ids::AgentId;

switchhook_chassis::settings! {
    /// Settings of `task-chat-svc`.
    pub struct TaskChatSettings {
        /// Where the agents are: a JSON object from agent id to webhook URL; the key `default` serves all others.
        pub agent_webhooks: AgentWebhooks, required, example = "{\"default\":\"https://n8n.example.com/webhook/task-agent\"}";
        /// How long an agent may take to answer the request itself; one that answers by webhook may take longer.
        pub agent_timeout: Span, default = "120s", example = "120s";
        /// How long a task may wait for its answer before it fails as `no_answer`.
        pub task_max_wait: Span, default = "24h", example = "24h";
        /// Offers `POST /api/communications/test-response`, by which users simulate an agent. For development.
        pub enable_test_endpoints: bool, default = "false", example = "true";
    }
}

/// The key that serves agents without a webhook of their own.
const DEFAULT: &str = "default";

/// The webhook of each agent.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentWebhooks {
    named: BTreeMap<AgentId, Url>,
    default: Option<Url>,
}

impl AgentWebhooks {
    /// Where an agent is.
    pub fn url(&self, agent: &AgentId) -> Option<&Url> {
        self.named.get(agent).or(self.default.as_ref())
    }

    /// The agents with a webhook of their own.
    pub fn named(&self) -> impl Iterator<Item = &AgentId> {
        self.named.keys()
    }

    /// Whether all others are served too.
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }
}

/// URLs of webhooks may hold secrets.
impl std::fmt::Debug for AgentWebhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.named.keys()).finish()
    }
}

impl SettingValue for AgentWebhooks {
    fn parse(text: &str) -> Result<Self, String> {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| "must be a JSON object from agent id to URL".to_owned())?;
        let (mut named, mut default) = (BTreeMap::new(), None);
        for (name, url) in object {
            let url = url.as_str().ok_or_else(|| format!("gives {name:?} no text"))?;
            let url =
                <Url as SettingValue>::parse(url).map_err(|why| format!("has for {name:?} what {why}"))?;
            if name == DEFAULT {
                default = Some(url);
            } else {
                let agent = AgentId::parse(name.as_str());
                let agent = agent.ok_or_else(|| {
                    format!(
                        "has an agent id that is not 1 to {} characters long",
                        AgentId::MAX_CHARS
                    )
                })?;
                named.insert(agent, url);
            }
        }
        if named.is_empty() && default.is_none() {
            return Err("must name at least one agent, or default".into());
        }
        Ok(Self { named, default })
    }
}

/// Judges what no setting can say by itself.
pub fn validate(settings: &ServiceSettings<TaskChatSettings>) -> Result<(), SettingError> {
    let spans = [
        ("AGENT_TIMEOUT", settings.own.agent_timeout, "120s"),
        ("TASK_MAX_WAIT", settings.own.task_max_wait, "24h"),
    ];
    for (variable, span, example) in spans {
        if span.0.is_zero() {
            return Err(SettingError {
                variable: variable.into(),
                problem: "must be longer than nothing: no agent could ever answer in time".into(),
                example: example.into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use switchhook_chassis::app::Program;
    use switchhook_chassis::config::table;

    use super::*;
    use crate::app::TaskChatSvc;

    fn agent(id: &str) -> AgentId {
        AgentId::parse(id).unwrap()
    }

    #[test]
    fn an_agent_has_its_own_webhook_or_the_default_one() {
        let both = AgentWebhooks::parse(r#"{"default":"http://n8n/d","sales":"https://n8n/s"}"#).unwrap();
        assert_eq!(both.url(&agent("sales")).unwrap().as_str(), "https://n8n/s");
        assert_eq!(both.url(&agent("other")).unwrap().as_str(), "http://n8n/d");
        assert_eq!(both.named().collect::<Vec<_>>(), [&agent("sales")]);
        let one = AgentWebhooks::parse(r#"{"sales":"https://n8n/s?key=secret"}"#).unwrap();
        assert_eq!(one.url(&agent("other")), None);
        assert!(!one.has_default());
        assert!(!format!("{one:?}").contains("secret"));
    }

    #[test]
    fn what_names_no_webhooks_is_refused() {
        for text in [
            "",
            "http://n8n/x",
            "[]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":"n8n"}"#,
            r#"{"":"http://n8n/x"}"#,
        ] {
            assert!(AgentWebhooks::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let readme = include_str!("../README.md");
        let specs = ServiceSettings::<TaskChatSettings>::specs();
        for [variable, default, meaning] in table(&TaskChatSvc::SERVICE, &specs) {
            let default = match default.as_str() {
                "required" | "-" => default,
                value => format!("`{value}`"),
            };
            let row = format!("| `{variable}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "missing: {row}");
        }
    }
}
