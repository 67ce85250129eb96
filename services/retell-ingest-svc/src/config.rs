//! What can be set for this service alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use switchhook_chassis::app::ServiceSettings;
use switchhook_chassis::config::{SettingError, Span};

use crate::clients::vault::KEY_BYTES;

switchhook_chassis::settings! {
    /// Settings of `retell-ingest-svc`.
    pub struct RetellSettings {
        /// Retell's API, which proves that an agent is its owner's.
        pub retell_api_url: url::Url, default = "https://api.retellai.com", example = "https://api.retellai.com";
        /// API keys that sign the webhooks of agents whose owner gave none of his own, comma-separated.
        pub retell_api_keys: Option<SecretString>, optional, example = "key_0123456789abcdef";
        /// Whether an agent is connected only with an API key that can see it.
        pub retell_require_proof: bool, default = "false", example = "true";
        /// Whether a client gets calls that were held before he connected also without proof. Agent ids are no secret.
        pub retell_adopt_unproven: bool, default = "false", example = "true";
        /// How long calls of an agent that nobody has are held for whoever proves that it is his.
        pub held_calls_window: Span, default = "7d", example = "7d";
        /// Key that seals clients' API keys in the database: 32 bytes in base64, such as `openssl rand -base64 32` prints.
        pub data_key: SecretString, required, example = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    }
}

impl RetellSettings {
    /// The keys of `RETELL_API_KEYS`.
    pub fn api_keys(&self) -> Vec<SecretString> {
        let listed = self
            .retell_api_keys
            .as_ref()
            .map_or("", |keys| keys.expose_secret());
        let keys = listed.split(',').map(str::trim).filter(|key| !key.is_empty());
        keys.map(SecretString::from).collect()
    }
}

/// The bytes of `DATA_KEY`.
pub(crate) fn data_key(settings: &RetellSettings) -> Result<[u8; KEY_BYTES], SettingError> {
    let wrong = |problem: &str| SettingError {
        variable: "DATA_KEY".into(),
        problem: problem.into(),
        example: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into(),
    };
    let bytes = STANDARD
        .decode(settings.data_key.expose_secret().trim())
        .map_err(|_| wrong("is not base64"))?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| wrong(&format!("has {} bytes in the place of {KEY_BYTES}", bytes.len())))
}

/// Judges what no setting can say by itself.
pub fn validate(settings: &ServiceSettings<RetellSettings>) -> Result<(), SettingError> {
    data_key(&settings.own)?;
    if settings.own.held_calls_window.0.is_zero() {
        return Err(SettingError {
            variable: "HELD_CALLS_WINDOW".into(),
            problem: "must be longer than nothing: no held call would ever find its client".into(),
            example: "7d".into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use switchhook_chassis::app::Program;
    use switchhook_chassis::config::table;

    use super::*;
    use crate::app::RetellIngestSvc;

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let readme = include_str!("../README.md");
        let specs = ServiceSettings::<RetellSettings>::specs();
        for [variable, default, meaning] in table(&RetellIngestSvc::SERVICE, &specs) {
            let default = match default.as_str() {
                "required" | "-" => default,
                value => format!("`{value}`"),
            };
            let row = format!("| `{variable}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "missing: {row}");
        }
    }
}
