//! The table of services. A further service is one more row.

use switchhook_standins::retell::DEFAULT_AGENT;

use crate::secrets::{OPERATOR, OTHER_USER, Person, USER};
use crate::settings::Surroundings;

/// People, each with the name of his token in the env file.
pub type People = &'static [(Person, &'static str)];

/// Those whose own things the pages show.
const USERS: People = &[(USER, "USER_TOKEN"), (OTHER_USER, "OTHER_USER_TOKEN")];
/// Those who answer chats.
const OPERATORS: People = &[(OPERATOR, "OPERATOR_TOKEN")];

/// A listener for WebSockets beside the HTTP one.
#[derive(Debug)]
pub struct Sockets {
    /// Its port when nobody else has it.
    pub port: u16,
    /// The setting that says where it listens.
    pub bind: &'static str,
    /// The setting that says where browsers reach it.
    pub public: &'static str,
}

/// One service.
#[derive(Debug)]
pub struct Service {
    /// Its name and its program's.
    pub name: &'static str,
    /// Its word in `<KEY>_URL`, `<KEY>_PID`, `PAGES_<KEY>_URL` and in front of its settings (`<KEY>__X`).
    pub key: &'static str,
    /// Its port when nobody else has it.
    pub port: u16,
    /// Its WebSockets, where it has them.
    pub sockets: Option<Sockets>,
    /// What its page is called.
    pub page: &'static str,
    /// Who signs in to its page.
    pub people: People,
    /// Another page, its name and path.
    pub other_page: Option<(&'static str, &'static str)>,
    /// Settings that only this service has; the caller may set them by their plain names.
    pub own_names: &'static [&'static str],
    /// Settings that devstack gives it beside those of every service.
    pub own_settings: fn(&Surroundings) -> Vec<(&'static str, String)>,
    /// What the command below does.
    pub example_title: &'static str,
    /// A command to paste into a terminal, from the service's URL, a user's token and what is around.
    pub example: fn(&str, &str, &Surroundings) -> String,
}

/// Every service that exists.
pub static SERVICES: [Service; 5] = [
    Service {
        name: "session-svc",
        key: "SESSION",
        port: 3000,
        sockets: None,
        page: "Sessions",
        people: USERS,
        other_page: None,
        own_names: &["MAX_DAILY_CALL_LIMIT", "SESSION_MAX_DURATION"],
        own_settings: |around| vec![("N8N_WEBHOOK_URL", around.n8n_webhook("ai-session"))],
        example_title: "Start a session",
        example: |url, token, _| {
            format!(
                "curl -sS -X POST {url}/api/ai-session/start -H 'Authorization: Bearer {token}' \
                 -H 'Content-Type: application/json' -d '{{\"dailyCallLimit\":10}}'"
            )
        },
    },
    Service {
        name: "chat-ws-svc",
        key: "CHAT",
        port: 3001,
        sockets: Some(Sockets {
            port: 8080,
            bind: "WS_BIND_ADDR",
            public: "WS_PUBLIC_URL",
        }),
        page: "Chats",
        people: OPERATORS,
        other_page: Some(("Demo", "/demo")),
        own_names: &[
            "WS_BIND_ADDR",
            "WS_PUBLIC_URL",
            "CHAT_CHANNELS",
            "N8N_CHAT_FORMAT",
            "BOT_TIMEOUT",
            "BOT_ANSWER_BYTES",
            "MESSAGE_CHARS",
            "VISITOR_RATE",
            "SEND_MESSAGE_RATE",
            "CONNECTIONS_PER_ADDRESS",
            "MAX_CONNECTIONS",
            "PING_INTERVAL",
            "IDLE_TIMEOUT",
        ],
        own_settings: |around| {
            let channels = format!(
                "{{\"default\":{{\"n8nUrl\":\"{}\"}},\"stream\":{{\"n8nUrl\":\"{}\"}}}}",
                around.n8n_webhook("chat"),
                around.n8n_webhook("chat-stream")
            );
            vec![("CHAT_CHANNELS", channels)]
        },
        example_title: "List the chats (the demo page begins one)",
        example: |url, token, _| {
            format!("curl -sS '{url}/api/sessions?state=all' -H 'Authorization: Bearer {token}'")
        },
    },
    Service {
        name: "retell-ingest-svc",
        key: "RETELL",
        port: 5000,
        sockets: None,
        page: "Calls",
        people: USERS,
        other_page: None,
        own_names: &[
            "RETELL_API_URL",
            "RETELL_API_KEYS",
            "RETELL_REQUIRE_PROOF",
            "RETELL_ADOPT_UNPROVEN",
            "HELD_CALLS_WINDOW",
            "DATA_KEY",
        ],
        own_settings: |around| {
            vec![
                ("RETELL_API_URL", around.retell_api.clone()),
                ("RETELL_API_KEYS", around.keys.retell_key.clone()),
                ("RETELL_ADOPT_UNPROVEN", "true".to_owned()),
                ("DATA_KEY", around.keys.data_key.clone()),
            ]
        },
        example_title: "Connect an agent and let it take a call",
        example: |url, token, around| {
            format!(
                "curl -sS -X POST {url}/api/retell/connect-agent -H 'Authorization: Bearer {token}' \
                 -H 'Content-Type: application/json' -d '{{\"agentId\":\"{DEFAULT_AGENT}\"}}' \
                 && curl -sS -X POST {}/_call",
                around.retell
            )
        },
    },
    Service {
        name: "dispatch-bridge-svc",
        key: "DISPATCH",
        port: 8000,
        sockets: None,
        page: "Dispatches",
        people: OPERATORS,
        other_page: None,
        own_names: &[
            "LIVEKIT_URL",
            "LIVEKIT_API_KEY",
            "LIVEKIT_API_SECRET",
            "LIVEKIT_WEBHOOK_KEYS",
            "AGENT_NAME",
            "WORKER_WAIT",
            "DUPLICATE_DIAL_WINDOW",
            "CALL_RESULT_WEBHOOK_URL",
            "RECORDING_PROVIDER",
            "RECORDING_BUCKET",
            "RECORDING_REGION",
            "RECORDING_ENDPOINT",
            "RECORDING_ACCESS_KEY",
            "RECORDING_SECRET",
            "RECORDING_PATH",
        ],
        own_settings: |around| {
            let (key, secret) = &around.keys.livekit_key;
            vec![
                ("LIVEKIT_URL", around.livekit_api.clone()),
                ("LIVEKIT_API_KEY", key.clone()),
                ("LIVEKIT_API_SECRET", secret.clone()),
                ("N8N_WEBHOOK_URL", around.n8n_webhook("call-result")),
                // LiveKit's stand-in records what it is told to, and stores nothing.
                ("RECORDING_PROVIDER", "s3".to_owned()),
                ("RECORDING_BUCKET", "call-recordings".to_owned()),
                ("RECORDING_REGION", "eu-central-1".to_owned()),
                ("RECORDING_ACCESS_KEY", "stand-in".to_owned()),
                ("RECORDING_SECRET", secret.clone()),
            ]
        },
        example_title: "Dial a number and wait for the end of the call",
        example: |url, token, _| {
            format!(
                "curl -sS -X POST {url}/dispatch -H 'Authorization: Bearer {token}' \
                 -H 'Content-Type: application/json' \
                 -d '{{\"destination\":\"61402012298\",\"account_code\":\"demo\",\"wait\":\"ended\"}}'"
            )
        },
    },
    Service {
        name: "task-chat-svc",
        key: "TASK_CHAT",
        port: 3002,
        sockets: None,
        page: "Tasks",
        people: USERS,
        other_page: None,
        own_names: &[
            "AGENT_WEBHOOKS",
            "AGENT_TIMEOUT",
            "TASK_MAX_WAIT",
            "ENABLE_TEST_ENDPOINTS",
        ],
        own_settings: |around| {
            let agents = format!(
                "{{\"default\":\"{}\",\"echo\":\"{}\"}}",
                around.n8n_webhook("task-agent"),
                around.n8n_webhook("task-agent-respond")
            );
            vec![
                ("AGENT_WEBHOOKS", agents),
                ("ENABLE_TEST_ENDPOINTS", "true".to_owned()),
            ]
        },
        example_title: "Write to an agent",
        example: |url, token, _| {
            format!(
                "curl -sS -X POST {url}/api/tasks/assign-user-task -H 'Authorization: Bearer {token}' \
                 -H 'Content-Type: application/json' -d '{{\"agentId\":\"echo\",\"message\":\"Hello\"}}'"
            )
        },
    },
];

/// The words of all services that Switchhook has, those that do not exist yet too: their pages are switched off.
pub const PAGE_KEYS: [&str; 5] = ["SESSION", "CHAT", "RETELL", "DISPATCH", "TASK_CHAT"];

/// The service of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::environment::Environment;
    use crate::settings::Keys;

    #[test]
    fn names_keys_and_ports_are_each_used_once() {
        for (at, service) in SERVICES.iter().enumerate() {
            assert!(PAGE_KEYS.contains(&service.key), "{}", service.key);
            for other in SERVICES.iter().skip(at + 1) {
                assert!(service.name != other.name && service.key != other.key && service.port != other.port);
            }
        }
    }

    #[test]
    fn the_example_can_be_pasted_as_it_is() {
        let around = Surroundings {
            database_url: String::new(),
            n8n: String::new(),
            retell: "http://127.0.0.1:5682".into(),
            retell_api: String::new(),
            livekit_api: String::new(),
            urls: BTreeMap::new(),
            keys: Keys::of(&Environment::default()),
        };
        for service in &SERVICES {
            let line = (service.example)("http://127.0.0.1:3000", "a.b.c", &around);
            assert!(line.starts_with("curl ") && !line.contains('\n'), "{line}");
            let parsed = std::process::Command::new("sh")
                .args(["-nc", &line])
                .status()
                .unwrap();
            assert!(parsed.success(), "{line}");
        }
    }
}
