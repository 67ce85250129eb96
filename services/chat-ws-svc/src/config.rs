//! What can be set for this service alone.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value};
use switchhook_chassis::app::ServiceSettings;
use switchhook_chassis::config::{
    Bounded, CommonSettings, ListenAddr, OptionalUrl, Origins, SettingError, SettingValue, Span,
};
use url::Url;

use crate::domain::channel::ChannelName;

switchhook_chassis::settings! {
    /// Settings of `chat-ws-svc`.
    pub struct ChatSettings {
        /// The production URL of the bot's workflow, where there is one channel only.
        pub n8n_webhook_url: OptionalUrl, optional, example = "https://n8n.example.com/webhook/chat";
        /// Several channels: a JSON object from name to `{"n8nUrl","origins","secret"?}`; the secret reaches its own channel only.
        pub chat_channels: Option<ChannelTable>, optional, example = "{\"acme\":{\"n8nUrl\":\"https://n8n.example.com/webhook/acme\",\"origins\":[\"https://acme.example\"]}}";
        /// What the bot is sent: `plain`, or `chat_trigger` for n8n's Chat Trigger.
        pub n8n_chat_format: ChatFormat, default = "plain", example = "chat_trigger";
        /// How long the bot may take to answer.
        pub bot_timeout: Span, default = "120s", example = "120s";
        /// Largest answer of the bot that is shown, in bytes, 1024..=1048576.
        pub bot_answer_bytes: Bounded<1024, 1_048_576>, default = "65536", example = "65536";
        /// Address and port of the WebSocket listener.
        pub ws_bind_addr: ListenAddr, default = "0.0.0.0:8080", example = "127.0.0.1:8080";
        /// URL under which browsers reach the WebSocket; default: the page's own host and the port of `WS_BIND_ADDR`.
        pub ws_public_url: Option<WsUrl>, optional, example = "wss://chat.example.com/ws";
        /// Longest message, in Unicode code points, 1..=100000.
        pub message_chars: Bounded<1, 100_000>, default = "5000", example = "5000";
        /// Messages a minute that a visitor may send, 1..=6000.
        pub visitor_rate: Bounded<1, 6_000>, default = "30", example = "30";
        /// Messages a minute that `send-message` takes for one chat, 1..=6000.
        pub send_message_rate: Bounded<1, 6_000>, default = "60", example = "60";
        /// WebSocket connections of one address (IPv6: of one /64), 1..=100000.
        pub connections_per_address: Bounded<1, 100_000>, default = "100", example = "100";
        /// WebSocket connections of one process, 1..=1000000.
        pub max_connections: Bounded<1, 1_000_000>, default = "10000", example = "10000";
        /// Time between two pings to a visitor.
        pub ping_interval: Span, default = "25s", example = "25s";
        /// How long a connection may stay without a message in either direction.
        pub idle_timeout: Span, default = "1h", example = "1h";
    }
}

/// What the bot is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatFormat {
    /// `{"text","sessionId","meta","messageId"}`.
    Plain,
    /// What n8n's Chat Trigger expects.
    ChatTrigger,
}

impl SettingValue for ChatFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "plain" => Ok(Self::Plain),
            "chat_trigger" => Ok(Self::ChatTrigger),
            _ => Err("must be plain or chat_trigger".into()),
        }
    }
}

/// The address of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsUrl(pub Url);

impl SettingValue for WsUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        match url.scheme() {
            "ws" | "wss" if url.host().is_some() => Ok(Self(url)),
            _ => Err("must be a ws or wss URL".into()),
        }
    }
}

/// One channel.
#[derive(Clone)]
pub struct Channel {
    /// Where its bot is. May hold a secret.
    pub n8n_url: Url,
    /// From where its visitors may connect.
    pub origins: Origins,
    /// A secret that reaches this channel alone.
    pub secret: Option<SecretString>,
}

/// The channels as they are set.
#[derive(Clone)]
pub struct ChannelTable(BTreeMap<ChannelName, Channel>);

impl ChannelTable {
    /// All of them.
    pub fn channels(&self) -> impl Iterator<Item = (&ChannelName, &Channel)> {
        self.0.iter()
    }
}

/// URLs of webhooks may hold secrets.
impl std::fmt::Debug for ChannelTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl SettingValue for ChannelTable {
    fn parse(text: &str) -> Result<Self, String> {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|_| "must be a JSON object from channel name to channel".to_owned())?;
        let mut channels = BTreeMap::new();
        for (name, value) in object {
            let channel = ChannelName::parse(&name);
            let channel = channel.ok_or_else(|| {
                format!(
                    "has the name {name:?}: a name has 1 to {} letters, digits, dots, dashes and underscores",
                    ChannelName::MAX_CHARS
                )
            })?;
            channels.insert(
                channel,
                one(&value).map_err(|why| format!("has for {name:?} {why}"))?,
            );
        }
        if channels.is_empty() {
            return Err("must name at least one channel".into());
        }
        Ok(Self(channels))
    }
}

fn one(value: &Value) -> Result<Channel, String> {
    let url = value["n8nUrl"].as_str().ok_or("no n8nUrl")?;
    let n8n_url = <Url as SettingValue>::parse(url).map_err(|why| format!("an n8nUrl that {why}"))?;
    let origins = match &value["origins"] {
        Value::Null => String::new(),
        Value::String(list) => list.clone(),
        Value::Array(entries) => {
            let entries: Option<Vec<&str>> = entries.iter().map(Value::as_str).collect();
            entries.ok_or("origins that are not all text")?.join(",")
        }
        _ => return Err("origins that are no list".into()),
    };
    let origins = Origins::parse(&origins).map_err(|why| format!("origins of which the list {why}"))?;
    let secret = match &value["secret"] {
        Value::Null => None,
        Value::String(secret) if !secret.trim().is_empty() => Some(secret.clone().into()),
        _ => return Err("a secret that is no text".into()),
    };
    Ok(Channel {
        n8n_url,
        origins,
        secret,
    })
}

/// The channels of this installation. Never empty.
#[derive(Debug, Clone)]
pub struct Channels(ChannelTable);

impl Channels {
    /// The channels that are set, or the one made of `N8N_WEBHOOK_URL` and `CORS_ALLOWED_ORIGINS`.
    pub fn of(own: &ChatSettings, common: &CommonSettings) -> Result<Self, SettingError> {
        match (&own.chat_channels, &own.n8n_webhook_url) {
            (Some(table), _) => Ok(Self(table.clone())),
            (None, Some(url)) => {
                let only = Channel {
                    n8n_url: url.clone(),
                    origins: common.cors_allowed_origins.clone(),
                    secret: None,
                };
                Ok(Self(ChannelTable(BTreeMap::from([(
                    ChannelName::default(),
                    only,
                )]))))
            }
            (None, None) => Err(SettingError {
                variable: "N8N_WEBHOOK_URL".into(),
                problem: "or CHAT_CHANNELS must be set: no bot could be asked".into(),
                example: "https://n8n.example.com/webhook/chat".into(),
            }),
        }
    }

    /// The channel of that name.
    pub fn get(&self, name: &ChannelName) -> Option<&Channel> {
        self.0.0.get(name)
    }

    /// The channel of that name, with the name as all of its chats share it.
    pub fn find(&self, name: &ChannelName) -> Option<(&ChannelName, &Channel)> {
        self.0.0.get_key_value(name)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&ChannelName, &Channel)> {
        self.0.channels()
    }
}

/// Judges what no setting can say by itself.
pub fn validate(settings: &ServiceSettings<ChatSettings>) -> Result<(), SettingError> {
    Channels::of(&settings.own, &settings.common)?;
    let spans = [
        ("BOT_TIMEOUT", settings.own.bot_timeout, "120s"),
        ("PING_INTERVAL", settings.own.ping_interval, "25s"),
        ("IDLE_TIMEOUT", settings.own.idle_timeout, "1h"),
    ];
    for (variable, span, example) in spans {
        if span.0.is_zero() {
            return Err(SettingError {
                variable: variable.into(),
                problem: "must be longer than nothing".into(),
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
    use crate::app::ChatWsSvc;

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let readme = include_str!("../README.md");
        let specs = ServiceSettings::<ChatSettings>::specs();
        for [variable, default, meaning] in table(&ChatWsSvc::SERVICE, &specs) {
            let default = match default.as_str() {
                "required" | "-" => default,
                value => format!("`{value}`"),
            };
            let row = format!("| `{variable}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "missing: {row}");
        }
    }

    #[test]
    fn channels_are_read_with_their_bots_origins_and_secrets() {
        let text = r#"{"acme":{"n8nUrl":"https://n8n/a?key=hidden","origins":["https://acme.example"],"secret":"s3cret"},
            "default":{"n8nUrl":"http://n8n/d","origins":"*"},"quiet":{"n8nUrl":"http://n8n/q"}}"#;
        let table = ChannelTable::parse(text).unwrap();
        let get = |name: &str| table.0.get(&ChannelName::parse(name).unwrap()).unwrap();
        assert_eq!(
            get("acme").origins,
            Origins::These(vec!["https://acme.example".into()])
        );
        assert!(get("acme").secret.is_some() && get("default").secret.is_none());
        assert_eq!(
            (&get("default").origins, &get("quiet").origins),
            (&Origins::Any, &Origins::These(vec![]))
        );
        let shown = format!("{table:?}");
        assert!(!shown.contains("hidden") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn what_is_no_table_of_channels_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"n8nUrl":"n8n"}}"#,
            r#"{"a b":{"n8nUrl":"http://n8n/x"}}"#,
            r#"{"a":{"n8nUrl":"http://n8n/x","origins":[1]}}"#,
            r#"{"a":{"n8nUrl":"http://n8n/x","origins":"nowhere"}}"#,
            r#"{"a":{"n8nUrl":"http://n8n/x","secret":" "}}"#,
        ] {
            assert!(ChannelTable::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_of_the_socket_is_one() {
        assert!(WsUrl::parse("wss://chat.example.com/ws").is_ok());
        assert!(WsUrl::parse("https://chat.example.com/ws").is_err() && WsUrl::parse("x").is_err());
    }
}
