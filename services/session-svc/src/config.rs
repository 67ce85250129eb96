//! What can be set for this service alone.

use switchhook_chassis::app::ServiceSettings;
use switchhook_chassis::config::{Bounded, SettingError, Span};

switchhook_chassis::settings! {
    /// Settings of `session-svc`.
    pub struct SessionSettings {
        /// The production URL of the workflow that makes the calls.
        pub n8n_webhook_url: url::Url, required, example = "https://n8n.example.com/webhook/ai-session";
        /// Highest daily limit that a user may set, 1..=1000000.
        pub max_daily_call_limit: Bounded<1, 1_000_000>, default = "10000", example = "10000";
        /// How long a session may go on before it is stopped as `expired`.
        pub session_max_duration: Span, default = "24h", example = "24h";
    }
}

/// Judges what no setting can say by itself.
pub fn validate(settings: &ServiceSettings<SessionSettings>) -> Result<(), SettingError> {
    if settings.own.session_max_duration.0.is_zero() {
        return Err(SettingError {
            variable: "SESSION_MAX_DURATION".into(),
            problem: "must be longer than nothing: every session would expire at once".into(),
            example: "24h".into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use switchhook_chassis::app::Program;
    use switchhook_chassis::config::table;

    use super::*;
    use crate::app::SessionSvc;

    #[test]
    fn the_readme_lists_every_setting_as_it_is() {
        let readme = include_str!("../README.md");
        let specs = ServiceSettings::<SessionSettings>::specs();
        for [variable, default, meaning] in table(&SessionSvc::SERVICE, &specs) {
            let default = match default.as_str() {
                "required" | "-" => default,
                value => format!("`{value}`"),
            };
            let row = format!("| `{variable}` | {default} | {meaning} |");
            assert!(readme.contains(&row), "missing: {row}");
        }
    }
}
