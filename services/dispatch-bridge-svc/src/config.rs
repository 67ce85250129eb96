//! What can be set for this service alone.

use secrecy::{ExposeSecret, SecretString};
use switchhook_chassis::app::ServiceSettings;
use switchhook_chassis::config::{OptionalUrl, SettingError, SettingValue, Span};
use url::Url;

switchhook_chassis::settings! {
    /// Settings of `dispatch-bridge-svc`.
    pub struct DispatchSettings {
        /// Where LiveKit is: a URL without a path, with the scheme wss, ws, https or http.
        pub livekit_url: LivekitUrl, required, example = "wss://acme.livekit.cloud";
        /// The API key of the LiveKit project.
        pub livekit_api_key: String, required, example = "APIabcdef";
        /// The secret of the API key.
        pub livekit_api_secret: SecretString, required, example = "a-long-random-secret";
        /// Keys that LiveKit signs its webhooks with, comma-separated `key:secret`; default: the API key.
        pub livekit_webhook_keys: Option<WebhookKeys>, optional, example = "APIabcdef:a-long-random-secret";
        /// The name under which the agent registers at LiveKit.
        pub agent_name: String, default = "nehos-outbound-agent", example = "nehos-outbound-agent";
        /// How long a worker may take to accept a dispatch; then the room is deleted and the answer is `no_worker`.
        pub worker_wait: Span, default = "5s", example = "5s";
        /// How long the same number is not dialled again for the same account, unless the request has a key or allows it; 0: never refused.
        pub duplicate_dial_window: Span, default = "30s", example = "30s";
        /// Where results and summaries of calls go: the production URL of a Webhook node. Without one they go nowhere.
        pub n8n_webhook_url: OptionalUrl, optional, example = "https://n8n.example.com/webhook/call-result";
        /// In the place of `N8N_WEBHOOK_URL`.
        pub call_result_webhook_url: OptionalUrl, optional, example = "https://n8n.example.com/webhook/call-result";
        /// Where recordings go: `s3`, `gcs` or `azure`. Without it nothing can be recorded.
        pub recording_provider: Option<RecordingProvider>, optional, example = "s3";
        /// The bucket; with Azure the container.
        pub recording_bucket: Option<String>, optional, example = "call-recordings";
        /// The region of the bucket (S3).
        pub recording_region: Option<String>, optional, example = "eu-central-1";
        /// The URL of a storage that is compatible with S3.
        pub recording_endpoint: OptionalUrl, optional, example = "https://minio.example.com";
        /// The access key (S3), or the name of the account (Azure).
        pub recording_access_key: Option<String>, optional, example = "AKIAEXAMPLE";
        /// The secret key (S3), the JSON of the service account's key (GCS), or the account's key (Azure).
        pub recording_secret: Option<SecretString>, optional, example = "a-long-random-secret";
        /// The folder of the recordings in the bucket.
        pub recording_path: String, default = "recordings", example = "calls/outbound";
    }
}

impl DispatchSettings {
    /// Where results and summaries go.
    pub fn result_url(&self) -> Option<&Url> {
        self.call_result_webhook_url
            .as_ref()
            .or(self.n8n_webhook_url.as_ref())
    }
}

/// Where LiveKit is, as its client takes it: a path would be dropped there, so there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivekitUrl(pub String);

impl SettingValue for LivekitUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        if !matches!(url.scheme(), "ws" | "wss" | "http" | "https") || url.host().is_none() {
            return Err("must be a ws, wss, http or https URL".into());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("must have no path: LiveKit's API is always at /twirp".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no user or password: set LIVEKIT_API_KEY and LIVEKIT_API_SECRET".into());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// The keys that LiveKit signs with.
#[derive(Clone)]
pub struct WebhookKeys(Vec<(String, SecretString)>);

impl WebhookKeys {
    /// One key alone.
    pub fn one(key: &str, secret: &SecretString) -> Self {
        Self(vec![(key.to_owned(), secret.clone())])
    }

    /// The secret of a key.
    pub fn secret(&self, key: &str) -> Option<&SecretString> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, secret)| secret)
    }
}

impl std::fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

impl SettingValue for WebhookKeys {
    fn parse(text: &str) -> Result<Self, String> {
        let one = |entry: &str| match entry.split_once(':') {
            Some((key, secret)) if !key.is_empty() && !secret.is_empty() => {
                Ok((key.to_owned(), secret.to_owned().into()))
            }
            _ => Err("has an entry that is not `key:secret`".to_owned()),
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let keys: Vec<_> = entries.map(one).collect::<Result<_, String>>()?;
        if keys.is_empty() {
            return Err("must hold at least one `key:secret`".into());
        }
        Ok(Self(keys))
    }
}

/// A kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingProvider {
    /// Amazon S3 or what is compatible with it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl SettingValue for RecordingProvider {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "s3" => Ok(Self::S3),
            "gcs" => Ok(Self::Gcs),
            "azure" => Ok(Self::Azure),
            _ => Err("must be s3, gcs or azure".into()),
        }
    }
}

/// Judges what no setting can say by itself.
pub fn validate(settings: &ServiceSettings<DispatchSettings>) -> Result<(), SettingError> {
    let own = &settings.own;
    if own.worker_wait.0.is_zero() {
        return Err(wrong(
            "WORKER_WAIT",
            "must be longer than nothing: no worker could ever accept in time",
            "5s",
        ));
    }
    if own.agent_name.is_empty() {
        return Err(wrong(
            "AGENT_NAME",
            "must not be empty: LiveKit would dispatch any agent",
            "nehos-outbound-agent",
        ));
    }
    if own.livekit_api_secret.expose_secret().is_empty() || own.livekit_api_key.is_empty() {
        return Err(wrong(
            "LIVEKIT_API_SECRET",
            "must not be empty",
            "a-long-random-secret",
        ));
    }
    storage(own)
}

fn storage(own: &DispatchSettings) -> Result<(), SettingError> {
    let Some(provider) = own.recording_provider else {
        return Ok(());
    };
    let needs = |given: bool, variable: &str, example: &str| {
        if given {
            return Ok(());
        }
        let word = match provider {
            RecordingProvider::S3 => "s3",
            RecordingProvider::Gcs => "gcs",
            RecordingProvider::Azure => "azure",
        };
        Err(wrong(
            variable,
            &format!("is required with RECORDING_PROVIDER={word}"),
            example,
        ))
    };
    needs(
        own.recording_bucket.is_some(),
        "RECORDING_BUCKET",
        "call-recordings",
    )?;
    if provider == RecordingProvider::Azure {
        needs(
            own.recording_access_key.is_some(),
            "RECORDING_ACCESS_KEY",
            "account-name",
        )?;
    }
    // Without keys S3 takes the role of LiveKit's own machine, and so does GCS.
    let has_secret = own.recording_secret.is_some();
    let half_a_key = provider == RecordingProvider::S3 && own.recording_access_key.is_some();
    needs(
        has_secret || !(half_a_key || provider == RecordingProvider::Azure),
        "RECORDING_SECRET",
        "a-long-random-secret",
    )
}

fn wrong(variable: &str, problem: &str, example: &str) -> SettingError {
    SettingError {
        variable: variable.into(),
        problem: problem.into(),
        example: example.into(),
    }
}

#[cfg(test)]
mod tests {
    use switchhook_chassis::app::Program;
    use switchhook_chassis::config::table;

    use super::*;
    use crate::app::DispatchBridgeSvc;

    #[test]
    fn a_url_with_a_path_is_refused_for_livekits_client_would_drop_it() {
        for fine in [
            "wss://acme.livekit.cloud",
            "http://127.0.0.1:7880/",
            "ws://lk:7880",
        ] {
            assert!(LivekitUrl::parse(fine).is_ok(), "{fine}");
        }
        assert_eq!(LivekitUrl::parse("http://lk/").unwrap().0, "http://lk");
        for wrong in [
            "",
            "lk:7880",
            "http://host/livekit",
            "http://host/?a=1",
            "ftp://host",
            "http://a:b@host",
        ] {
            assert!(LivekitUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn webhook_keys_are_named_and_hidden() {
        let keys = WebhookKeys::parse("a:one, b:two:three").unwrap();
        assert_eq!(keys.secret("b").unwrap().expose_secret(), "two:three");
        assert!(keys.secret("c").is_none());
        assert_eq!(format!("{keys:?}"), r#"["a", "b"]"#);
        for wrong in ["", ",", "a", "a:", ":b"] {
            assert!(WebhookKeys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let readme = include_str!("../README.md");
        let specs = ServiceSettings::<DispatchSettings>::specs();
        for [variable, default, meaning] in table(&DispatchBridgeSvc::SERVICE, &specs) {
            let default = match default.as_str() {
                "required" | "-" => default,
                value => format!("`{value}`"),
            };
            let row = format!("| `{variable}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "missing: {row}");
        }
    }
}
