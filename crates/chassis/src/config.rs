//! Settings: defaults, then `CONFIG_FILE` (TOML), then the environment, into typed structs.
//!
//! A setting is declared once, in a [`settings!`](crate::settings) block, with its name, its meaning, its default and an example; reading,
//! `--help`, `check-config` and the table in the documentation all come from that block. `PREFIX__X` wins over plain
//! `X`. An empty value counts as absent.

mod macros;
mod source;
mod values;

use std::fmt;

pub use source::Source;
pub use values::{
    Bounded, Cidrs, ListenAddr, LogFormat, OptionalUrl, Origins, PageLink, SettingValue, Span, Toggle,
};

use crate::service::Service;

/// What is known about a setting before it is read.
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// Field name in lower case; the variable is its upper case.
    pub field: &'static str,
    /// Meaning, units, range.
    pub doc: &'static str,
    /// Default as it would be typed; may hold `{port}`, `{title}`, `{retention_days}` of the service.
    pub default: Option<&'static str>,
    /// Whether the service refuses to start without it.
    pub required: bool,
    /// A value that works, for messages.
    pub example: &'static str,
}

impl SettingSpec {
    /// The environment variable.
    pub fn variable(&self) -> String {
        self.field.to_ascii_uppercase()
    }

    /// The default for one service.
    pub fn default_for(&self, service: &Service) -> Option<String> {
        self.default.map(|text| {
            text.replace("{port}", &service.port.to_string())
                .replace("{title}", service.title)
                .replace("{retention_days}", &service.retention_days.to_string())
        })
    }
}

/// One line that names the setting, says what is wrong and gives an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
    /// A value that works.
    pub example: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)?;
        if !self.example.is_empty() {
            write!(f, "; example: {}={}", self.variable, self.example)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingError {}

/// A block of settings made by [`settings!`](crate::settings).
pub trait SettingsBlock: Sized {
    /// What may be set.
    const SPECS: &'static [SettingSpec];

    /// Reads every setting of the block, or tells the first that is wrong.
    fn read(source: &Source) -> Result<Self, SettingError>;
}

crate::settings! {
    /// Settings that every service has.
    pub struct CommonSettings {
        /// PostgreSQL, as `postgres://user:password@host:port/database`.
        pub database_url: secrecy::SecretString, required, example = "postgres://switchhook:secret@localhost:5432/switchhook";
        /// Connections of one replica, 1..=100: one is its heartbeat's, the others, at least one, are shared. One more is its listener's.
        pub database_max_connections: Bounded<1, 100>, default = "5", example = "5";
        /// A direct connection for LISTEN, where `DATABASE_URL` goes through a transaction pooler. PgBouncer also needs `ignore_startup_parameters = options`; limits on statements are then the database role's to set.
        pub database_listen_url: Option<secrecy::SecretString>, optional, example = "postgres://switchhook:secret@db:5432/switchhook";
        /// Apply migrations when the service starts.
        pub migrate_on_start: bool, default = "true", example = "false";
        /// Address and port of the HTTP listener.
        pub bind_addr: ListenAddr, default = "0.0.0.0:{port}", example = "127.0.0.1:{port}";
        /// URL under which other replicas reach this one; default: this machine's own address and the port.
        pub advertise_url: OptionalUrl, optional, example = "http://10.0.0.12:{port}";
        /// URL under which users and n8n reach the service; makes `next` links. Default: the request's `Host`.
        pub public_url: OptionalUrl, optional, example = "https://calls.example.com";
        /// Networks whose `X-Forwarded-For` is believed, comma-separated CIDRs.
        pub trusted_proxies: Cidrs, default = "", example = "10.0.0.0/8,fd00::/8";
        /// Origins that may call the API from a browser, comma-separated, or `*`. Credentials are never allowed.
        pub cors_allowed_origins: Origins, default = "", example = "https://app.example.com";
        /// Largest request body in bytes, 1024..=67108864.
        pub max_body_bytes: Bounded<1024, 67_108_864>, default = "1048576", example = "1048576";
        /// Secrets that machines present, comma-separated; an entry may be `name:secret`.
        pub webhook_secrets: Option<secrecy::SecretString>, optional, example = "n8n:a-long-random-secret";
        /// `off` admits n8n's POSTs without a secret.
        pub webhook_auth: Toggle, default = "on", example = "on";
        /// Requests a second for each named secret, 1..=100000; absent: no limit.
        pub machine_rate: Option<Bounded<1, 100_000>>, optional, example = "50";
        /// Secret of users' tokens (HS256). Exactly one of this and `JWT_JWKS_URL`.
        pub jwt_secret: Option<secrecy::SecretString>, optional, example = "a-long-random-secret";
        /// Where the public keys of users' tokens are (RS256, ES256, EdDSA).
        pub jwt_jwks_url: OptionalUrl, optional, example = "https://id.example.com/.well-known/jwks.json";
        /// Required `iss` of users' tokens.
        pub jwt_issuer: Option<String>, optional, example = "https://id.example.com/";
        /// Required `aud` of users' tokens.
        pub jwt_audience: Option<String>, optional, example = "switchhook";
        /// Lets a page turn a token from a link into the sign-in cookie. For development.
        pub dev_sign_in: bool, default = "false", example = "true";
        /// Where users sign in; the pages link to it.
        pub sign_in_url: OptionalUrl, optional, example = "https://app.example.com/login";
        /// Link to the sessions page, or `off`; default: `/sessions/` on the same host.
        pub pages_session_url: PageLink, default = "", example = "https://sessions.example.com/";
        /// Link to the chats page, or `off`; default: `/chats/` on the same host.
        pub pages_chat_url: PageLink, default = "", example = "off";
        /// Link to the calls page, or `off`; default: `/calls/` on the same host.
        pub pages_retell_url: PageLink, default = "", example = "off";
        /// Link to the dispatches page, or `off`; default: `/dispatches/` on the same host.
        pub pages_dispatch_url: PageLink, default = "", example = "off";
        /// Link to the tasks page, or `off`; default: `/tasks/` on the same host.
        pub pages_task_chat_url: PageLink, default = "", example = "off";
        /// Sent to n8n as `x-n8n-webhook-secret`.
        pub n8n_outbound_secret: Option<secrecy::SecretString>, optional, example = "a-long-random-secret";
        /// Signs requests to n8n after the Standard Webhooks specification: base64, with or without `whsec_`.
        pub n8n_signing_secret: Option<secrecy::SecretString>, optional, example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        /// What is logged, in the syntax of `tracing`.
        pub rust_log: String, default = "info", example = "info,session_svc=debug";
        /// `json` or `pretty`.
        pub log_format: LogFormat, default = "json", example = "pretty";
        /// Where traces are exported to (OTLP over HTTP).
        pub otel_exporter_otlp_endpoint: OptionalUrl, optional, example = "http://otel-collector:4318";
        /// How long everything is still served after SIGTERM, while `/readyz` already says no.
        pub drain_delay: Span, default = "0", example = "5s";
        /// How long work in flight may take to finish.
        pub shutdown_timeout: Span, default = "25s", example = "25s";
        /// Days that data is kept, 0..=36500; 0 keeps it for ever.
        pub retention_days: Bounded<0, 36_500>, default = "{retention_days}", example = "365";
        /// Time zone of a day, an IANA name.
        pub day_timezone: chrono_tz::Tz, default = "UTC", example = "Europe/Berlin";
        /// Name on the pages.
        pub service_title: String, default = "{title}", example = "Acme AI Calls";
    }
}

/// The table of settings, as `--help` and the documentation show it: variable, default, meaning.
pub fn table(service: &Service, specs: &[SettingSpec]) -> Vec<[String; 3]> {
    specs
        .iter()
        .map(|spec| {
            let default = match (spec.default_for(service), spec.required) {
                (_, true) => "required".to_owned(),
                (Some(text), false) if !text.is_empty() => text,
                _ => "-".to_owned(),
            };
            [spec.variable(), default, spec.doc.trim().to_owned()]
        })
        .collect()
}
