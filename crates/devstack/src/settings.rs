//! Which settings a service is started with. Pure: an environment in, variables out.
//!
//! devstack gives every setting under its most specific name (`SESSION__X`), and only where the caller has set neither
//! that nor the plain `X`; so whatever is in the environment of `make up` wins.

use std::collections::BTreeMap;

use crate::environment::Environment;
use crate::secrets::{self, Expected, OPERATOR, OTHER_USER, Person, USER};
use crate::services::{PAGE_KEYS, SERVICES, Service};

/// Settings that every service has. The caller may set them by their plain names.
const SHARED_NAMES: [&str; 36] = [
    "DATABASE_URL",
    "DATABASE_MAX_CONNECTIONS",
    "DATABASE_LISTEN_URL",
    "MIGRATE_ON_START",
    "CONFIG_FILE",
    "BIND_ADDR",
    "ADVERTISE_URL",
    "PUBLIC_URL",
    "TRUSTED_PROXIES",
    "CORS_ALLOWED_ORIGINS",
    "MAX_BODY_BYTES",
    "WEBHOOK_SECRETS",
    "WEBHOOK_AUTH",
    "MACHINE_RATE",
    "JWT_SECRET",
    "JWT_JWKS_URL",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "DEV_SIGN_IN",
    "SIGN_IN_URL",
    "PAGES_SESSION_URL",
    "PAGES_CHAT_URL",
    "PAGES_RETELL_URL",
    "PAGES_DISPATCH_URL",
    "PAGES_TASK_CHAT_URL",
    "N8N_WEBHOOK_URL",
    "N8N_OUTBOUND_SECRET",
    "N8N_SIGNING_SECRET",
    "RUST_LOG",
    "LOG_FORMAT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "DRAIN_DELAY",
    "SHUTDOWN_TIMEOUT",
    "RETENTION_DAYS",
    "DAY_TIMEZONE",
    "SERVICE_TITLE",
];

/// What a stack's services have around them.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The stack's database.
    pub database_url: String,
    /// Where the stand-in for n8n takes webhooks: everything before `/webhook/`.
    pub n8n: String,
    /// Where the stand-in for Retell is told what to do.
    pub retell: String,
    /// Base URL of its API.
    pub retell_api: String,
    /// Base URL of the API of LiveKit's stand-in.
    pub livekit_api: String,
    /// The services' base URLs by their key.
    pub urls: BTreeMap<&'static str, String>,
    /// The stack's secrets.
    pub keys: Keys,
}

impl Surroundings {
    /// URL of a webhook of n8n's stand-in.
    #[must_use]
    pub fn n8n_webhook(&self, path: &str) -> String {
        format!("{}/webhook/{path}", self.n8n)
    }
}

/// Secrets that a stack's parts share: the caller's where they are set, else random ones.
#[derive(Clone)]
pub struct Keys {
    /// What machines present.
    pub webhook_secret: String,
    /// What users' tokens are signed with; none when the caller has tokens verified by a JWKS.
    pub jwt_secret: Option<String>,
    /// What the services present to n8n.
    pub n8n_secret: String,
    /// Retell's API key: signs its webhooks and opens its API.
    pub retell_key: String,
    /// LiveKit's API key and its secret: open its API and sign its webhooks.
    pub livekit_key: (String, String),
    /// What encrypts at rest (base64).
    pub data_key: String,
    issuer: Option<String>,
    audience: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys([REDACTED])")
    }
}

impl Keys {
    /// Takes the caller's secrets and makes the others.
    #[must_use]
    pub fn of(caller: &Environment) -> Self {
        let any = |name| {
            caller
                .get(name)
                .or_else(|| SERVICES.iter().find_map(|service| given(service, name, caller)))
        };
        let first = |secrets: &str| {
            secrets
                .split(',')
                .next()
                .map(|entry| bare_secret(entry.trim()).to_owned())
        };
        let by_jwks = any("JWT_JWKS_URL").is_some();
        let jwt_secret = any("JWT_SECRET").map_or_else(secrets::secret, str::to_owned);
        Self {
            webhook_secret: any("WEBHOOK_SECRETS")
                .and_then(first)
                .unwrap_or_else(secrets::secret),
            jwt_secret: (!by_jwks).then_some(jwt_secret),
            n8n_secret: any("N8N_OUTBOUND_SECRET").map_or_else(secrets::secret, str::to_owned),
            retell_key: any("RETELL_API_KEYS")
                .and_then(|keys| Some(keys.split(',').next()?.trim().to_owned()))
                .unwrap_or_else(|| format!("key_{}", secrets::secret())),
            livekit_key: (
                any("LIVEKIT_API_KEY").map_or_else(secrets::livekit_key, str::to_owned),
                any("LIVEKIT_API_SECRET").map_or_else(secrets::secret, str::to_owned),
            ),
            data_key: any("DATA_KEY").map_or_else(secrets::data_key, str::to_owned),
            issuer: any("JWT_ISSUER").map(str::to_owned),
            audience: any("JWT_AUDIENCE").map(str::to_owned),
        }
    }

    /// Tokens of the stack's people, by their name in the env file; none with a JWKS.
    ///
    /// # Errors
    /// Signing fails.
    pub fn tokens(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let Some(secret) = &self.jwt_secret else {
            return Ok(Vec::new());
        };
        let expected = Expected {
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
        };
        let people: [(&str, Person); 3] = [
            ("USER_TOKEN", USER),
            ("OTHER_USER_TOKEN", OTHER_USER),
            ("OPERATOR_TOKEN", OPERATOR),
        ];
        people
            .into_iter()
            .map(|(name, person)| Ok((name, secrets::token(person, secret, expected)?)))
            .collect()
    }
}

/// The secret in `secret` or `name:secret`.
fn bare_secret(entry: &str) -> &str {
    let is_name = |name: &str| {
        (1..=32).contains(&name.len())
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-')
            })
    };
    entry
        .split_once(':')
        .filter(|(name, _)| is_name(name))
        .map_or(entry, |(_, secret)| secret)
}

/// The caller's value of a service's setting: the specific name wins over the plain one.
#[must_use]
pub fn given<'a>(service: &Service, name: &str, caller: &'a Environment) -> Option<&'a str> {
    caller
        .get(&format!("{}__{name}", service.key))
        .or_else(|| caller.get(name))
}

/// The variables that devstack sets for one process of a service.
#[must_use]
pub fn variables(
    service: &Service,
    port: u16,
    around: &Surroundings,
    caller: &Environment,
) -> Vec<(String, String)> {
    let unset = |(name, _): &(&str, String)| given(service, name, caller).is_none();
    let specific = |(name, value): (&str, String)| (format!("{}__{name}", service.key), value);
    defaults(service, port, around, caller)
        .into_iter()
        .filter(unset)
        .map(specific)
        .collect()
}

fn defaults(
    service: &Service,
    port: u16,
    around: &Surroundings,
    caller: &Environment,
) -> Vec<(&'static str, String)> {
    let own_url = format!("http://127.0.0.1:{port}");
    let mut settings = vec![
        ("DATABASE_URL", around.database_url.clone()),
        ("BIND_ADDR", format!("127.0.0.1:{port}")),
        ("PUBLIC_URL", own_url.clone()),
        ("ADVERTISE_URL", own_url),
        ("WEBHOOK_SECRETS", format!("n8n:{}", around.keys.webhook_secret)),
        ("N8N_OUTBOUND_SECRET", around.keys.n8n_secret.clone()),
        ("DEV_SIGN_IN", "true".to_owned()),
        ("LOG_FORMAT", "pretty".to_owned()),
    ];
    // A service takes one of the two, never both.
    if given(service, "JWT_JWKS_URL", caller).is_none() {
        settings.extend(
            around
                .keys
                .jwt_secret
                .clone()
                .map(|secret| ("JWT_SECRET", secret)),
        );
    }
    for key in PAGE_KEYS {
        let name = SHARED_NAMES
            .iter()
            .find(|name| name.strip_prefix("PAGES_") == Some(&format!("{key}_URL")));
        let url = around
            .urls
            .get(key)
            .map_or_else(|| "off".to_owned(), |url| format!("{url}/"));
        settings.extend(name.map(|name| (*name, url)));
    }
    settings.extend((service.own_settings)(around));
    // Whoever names the bot of the only channel has no others.
    if given(service, "N8N_WEBHOOK_URL", caller).is_some() {
        settings.retain(|(name, _)| *name != "CHAT_CHANNELS");
    }
    // A storage is taken as a whole.
    if given(service, "RECORDING_PROVIDER", caller).is_some() {
        settings.retain(|(name, _)| !name.starts_with("RECORDING_"));
    }
    settings
}

/// Everything in the caller's environment that is a setting of some service: what makes two stacks different.
#[must_use]
pub fn overrides(caller: &Environment) -> Vec<(String, String)> {
    let is_setting = |name: &str| {
        SHARED_NAMES.contains(&name)
            || SERVICES.iter().any(|service| {
                service.own_names.contains(&name)
                    || name
                        .strip_prefix(service.key)
                        .is_some_and(|rest| rest.starts_with("__"))
            })
    };
    let settings = caller
        .iter()
        .filter(|(name, value)| is_setting(name) && !value.is_empty());
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(caller: &Environment) -> Surroundings {
        Surroundings {
            database_url: "postgres://private".into(),
            n8n: "http://127.0.0.1:5681".into(),
            retell: "http://127.0.0.1:5682".into(),
            retell_api: "http://127.0.0.1:5683".into(),
            livekit_api: "http://127.0.0.1:5685".into(),
            urls: BTreeMap::from([("SESSION", "http://127.0.0.1:3000".to_owned())]),
            keys: Keys::of(caller),
        }
    }

    fn of(caller: &Environment) -> BTreeMap<String, String> {
        variables(&SERVICES[0], 3000, &around(caller), caller)
            .into_iter()
            .collect()
    }

    #[test]
    fn without_overrides_the_stack_s_own_parts_are_used() {
        let given = of(&Environment::default());
        assert_eq!(given["SESSION__DATABASE_URL"], "postgres://private");
        assert_eq!(given["SESSION__BIND_ADDR"], "127.0.0.1:3000");
        assert_eq!(
            given["SESSION__N8N_WEBHOOK_URL"],
            "http://127.0.0.1:5681/webhook/ai-session"
        );
        assert_eq!(given["SESSION__PAGES_SESSION_URL"], "http://127.0.0.1:3000/");
        for absent in ["CHAT", "RETELL", "DISPATCH", "TASK_CHAT"] {
            assert_eq!(given[&format!("SESSION__PAGES_{absent}_URL")], "off");
        }
        assert!(given["SESSION__WEBHOOK_SECRETS"].starts_with("n8n:"));
        assert!(given.keys().all(|name| name.starts_with("SESSION__")));
    }

    #[test]
    fn agents_are_workflows_of_n8n_s_stand_in() {
        let caller = Environment::default();
        let service = crate::services::by_name("task-chat-svc").unwrap();
        let given: BTreeMap<String, String> = variables(service, 3002, &around(&caller), &caller)
            .into_iter()
            .collect();
        let agents: serde_json::Value = serde_json::from_str(&given["TASK_CHAT__AGENT_WEBHOOKS"]).unwrap();
        assert_eq!(agents["default"], "http://127.0.0.1:5681/webhook/task-agent");
        assert_eq!(agents["echo"], "http://127.0.0.1:5681/webhook/task-agent-respond");
        assert_eq!(given["TASK_CHAT__ENABLE_TEST_ENDPOINTS"], "true");
    }

    #[test]
    fn a_caller_s_bot_takes_the_place_of_the_channels() {
        let service = crate::services::by_name("chat-ws-svc").unwrap();
        let of = |caller: &Environment| -> BTreeMap<String, String> {
            variables(service, 3001, &around(caller), caller)
                .into_iter()
                .collect()
        };
        let channels = &of(&Environment::default())["CHAT__CHAT_CHANNELS"];
        let channels: serde_json::Value = serde_json::from_str(channels).unwrap();
        assert_eq!(
            channels["default"]["n8nUrl"],
            "http://127.0.0.1:5681/webhook/chat"
        );
        assert_eq!(
            channels["stream"]["n8nUrl"],
            "http://127.0.0.1:5681/webhook/chat-stream"
        );
        let own = of(&Environment::from([("N8N_WEBHOOK_URL", "https://n8n.example/x")]));
        assert!(!own.contains_key("CHAT__CHAT_CHANNELS"));
    }

    #[test]
    fn retell_s_stand_in_and_its_service_share_a_key() {
        let caller = Environment::default();
        let around = around(&caller);
        let service = crate::services::by_name("retell-ingest-svc").unwrap();
        let given: BTreeMap<String, String> =
            variables(service, 5000, &around, &caller).into_iter().collect();
        assert_eq!(given["RETELL__RETELL_API_URL"], "http://127.0.0.1:5683");
        assert_eq!(given["RETELL__RETELL_API_KEYS"], around.keys.retell_key);
        assert_eq!(given["RETELL__RETELL_ADOPT_UNPROVEN"], "true");
        assert_eq!(given["RETELL__DATA_KEY"], around.keys.data_key);
        let own = Environment::from([("RETELL_API_KEYS", "key_one, key_two"), ("DATA_KEY", "mine")]);
        let keys = Keys::of(&own);
        assert_eq!(
            (keys.retell_key.as_str(), keys.data_key.as_str()),
            ("key_one", "mine")
        );
        assert_eq!(overrides(&own).len(), 2);
    }

    #[test]
    fn livekit_s_stand_in_and_its_service_share_a_key() {
        let of = |caller: &Environment| -> BTreeMap<String, String> {
            let service = crate::services::by_name("dispatch-bridge-svc").unwrap();
            variables(service, 8000, &around(caller), caller)
                .into_iter()
                .collect()
        };
        let caller = Environment::from([
            ("LIVEKIT_API_KEY", "APIone"),
            ("DISPATCH__LIVEKIT_API_SECRET", "two"),
        ]);
        assert_eq!(
            Keys::of(&caller).livekit_key,
            ("APIone".to_owned(), "two".to_owned())
        );
        let given = of(&Environment::default());
        assert_eq!(given["DISPATCH__LIVEKIT_URL"], "http://127.0.0.1:5685");
        assert_eq!(
            given["DISPATCH__N8N_WEBHOOK_URL"],
            "http://127.0.0.1:5681/webhook/call-result"
        );
        assert_eq!(given["DISPATCH__RECORDING_PROVIDER"], "s3");
        // The caller's storage is taken as a whole.
        let own = of(&Environment::from([("RECORDING_PROVIDER", "gcs")]));
        assert!(!own.keys().any(|name| name.contains("RECORDING_")));
    }

    #[test]
    fn the_caller_s_settings_win_under_either_name() {
        for name in ["N8N_WEBHOOK_URL", "SESSION__N8N_WEBHOOK_URL"] {
            let given = of(&Environment::from([(name, "https://n8n.example/webhook/x")]));
            assert!(!given.contains_key("SESSION__N8N_WEBHOOK_URL"), "{name}");
            assert!(given.contains_key("SESSION__DATABASE_URL"));
        }
        let other = of(&Environment::from([
            ("CHAT__N8N_WEBHOOK_URL", "https://n8n.example"),
            ("BIND_ADDR", ""),
        ]));
        assert!(other.contains_key("SESSION__N8N_WEBHOOK_URL") && other.contains_key("SESSION__BIND_ADDR"));
    }

    #[test]
    fn a_caller_s_jwks_takes_the_place_of_the_secret() {
        let caller = Environment::from([("SESSION__JWT_JWKS_URL", "https://id.example/jwks")]);
        assert!(!of(&caller).contains_key("SESSION__JWT_SECRET"));
        assert!(Keys::of(&caller).tokens().unwrap().is_empty());
    }

    #[test]
    fn a_caller_s_secrets_are_the_stack_s() {
        let caller = Environment::from([
            ("WEBHOOK_SECRETS", "n8n:one,two"),
            ("JWT_SECRET", "sign"),
            ("SESSION__N8N_OUTBOUND_SECRET", "out"),
        ]);
        let keys = Keys::of(&caller);
        assert_eq!(
            (keys.webhook_secret.as_str(), keys.jwt_secret.as_deref()),
            ("one", Some("sign"))
        );
        assert_eq!(keys.n8n_secret, "out");
        assert_eq!(keys.tokens().unwrap().len(), 3);
        assert_eq!(format!("{keys:?}"), "Keys([REDACTED])");
    }

    #[test]
    fn a_colon_inside_a_secret_is_part_of_it_unless_a_name_stands_before_it() {
        assert_eq!(bare_secret("n8n:a:b"), "a:b");
        assert_eq!(bare_secret("Secret:1"), "Secret:1");
        assert_eq!(bare_secret(":x"), ":x");
    }

    #[test]
    fn only_settings_make_two_stacks_different() {
        let caller = Environment::from([
            ("HOME", "/root"),
            ("SESSION__N8N_WEBHOOK_URL", "x"),
            ("SESSION_SVC_PORT", "tcp://1"),
            ("RETENTION_DAYS", "3"),
            ("MAX_DAILY_CALL_LIMIT", "9"),
            ("JWT_SECRET", ""),
        ]);
        let names: Vec<String> = overrides(&caller).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "MAX_DAILY_CALL_LIMIT",
                "RETENTION_DAYS",
                "SESSION__N8N_WEBHOOK_URL"
            ]
        );
    }

    #[test]
    fn every_page_has_a_setting() {
        for key in PAGE_KEYS {
            assert!(
                SHARED_NAMES.contains(&format!("PAGES_{key}_URL").as_str()),
                "{key}"
            );
        }
    }
}
