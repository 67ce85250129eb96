//! The settings as people read them: in `--help`, and as the table of the documentation.

use std::fmt::Write;

use crate::config::{SettingSpec, table};
use crate::service::Service;

/// What stands under the commands in `--help`.
pub(super) fn settings(service: &Service, specs: &[SettingSpec]) -> String {
    let mut text = format!(
        "Settings are environment variables; {0}__X wins over X. CONFIG_FILE may name a TOML file that stands\n\
         between the defaults and the environment. Durations: 30s, 5m, 24h, or seconds.\n\n\
         Settings (default in brackets; - is none):\n",
        service.env_prefix
    );
    for [variable, default, doc] in table(service, specs) {
        let _ = writeln!(text, "  {variable} [{default}]\n      {doc}");
    }
    text
}

/// The same as a Markdown table.
pub(super) fn markdown(service: &Service, specs: &[SettingSpec]) -> String {
    let mut text = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for [variable, default, doc] in table(service, specs) {
        let default = if matches!(default.as_str(), "-" | "required") {
            default
        } else {
            format!("`{default}`")
        };
        let _ = writeln!(text, "| `{variable}` | {default} | {} |", doc.replace('|', "\\|"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CommonSettings, SettingsBlock};

    const SERVICE: Service = Service {
        name: "session-svc",
        env_prefix: "SESSION",
        schema: "session",
        port: 3000,
        path_prefix: "sessions",
        title: "Sessions",
        retention_days: 365,
        version: "0.1.0",
    };

    #[test]
    fn every_setting_is_listed_with_its_default() {
        let help = settings(&SERVICE, CommonSettings::SPECS);
        let markdown = markdown(&SERVICE, CommonSettings::SPECS);
        for spec in CommonSettings::SPECS {
            assert!(
                help.contains(&format!("  {} [", spec.variable())),
                "{}",
                spec.variable()
            );
            assert!(
                markdown.contains(&format!("| `{}` | ", spec.variable())),
                "{}",
                spec.variable()
            );
        }
        assert!(help.contains("BIND_ADDR [0.0.0.0:3000]"));
        assert!(help.contains("DATABASE_URL [required]"));
        assert!(markdown.contains("| `RETENTION_DAYS` | `365` |"));
        assert_eq!(markdown.lines().count(), CommonSettings::SPECS.len() + 2);
    }
}
