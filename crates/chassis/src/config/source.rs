//! Where settings come from, in order: defaults, the file, the environment, the service's own variables.

use std::collections::{BTreeMap, BTreeSet};

use config::Config;
use toml::{Table, Value};

use super::{SettingError, SettingSpec, SettingValue};
use crate::service::Service;

/// Variables that are read but are no settings of a struct.
const CONFIG_FILE: &str = "CONFIG_FILE";

/// The layers of one service, merged.
#[derive(Debug)]
pub struct Source {
    service: Service,
    merged: Config,
}

impl Source {
    /// Reads the process's environment and the file that `CONFIG_FILE` names.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process(service: &Service, specs: &[SettingSpec]) -> Result<Self, SettingError> {
        Self::from_variables(
            service,
            specs,
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Reads the given variables in the place of the environment.
    pub fn from_variables(
        service: &Service,
        specs: &[SettingSpec],
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingError> {
        let variables: BTreeMap<String, String> = variables
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let known: BTreeSet<String> = specs.iter().map(SettingSpec::variable).collect();
        let own_prefix = format!("{}__", service.env_prefix);
        refuse_unknown(
            variables.keys().filter_map(|name| name.strip_prefix(&own_prefix)),
            &known,
            &own_prefix,
        )?;

        let mut builder = Config::builder();
        for spec in specs {
            if let Some(default) = spec.default_for(service) {
                builder = builder
                    .set_default(spec.field, default)
                    .map_err(|e| unreadable(spec.field, &e))?;
            }
        }
        let file_variable = [format!("{own_prefix}{CONFIG_FILE}"), CONFIG_FILE.to_owned()];
        if let Some(path) = file_variable.iter().find_map(|name| variables.get(name)) {
            builder = builder.add_source(file_values(path, &known)?);
        }
        for spec in specs {
            let variable = spec.variable();
            let given = variables
                .get(&format!("{own_prefix}{variable}"))
                .or_else(|| variables.get(&variable));
            if let Some(text) = given {
                builder = builder
                    .set_override(spec.field, text.as_str())
                    .map_err(|e| unreadable(spec.field, &e))?;
            }
        }
        let merged = builder.build().map_err(|e| unreadable(CONFIG_FILE, &e))?;
        Ok(Self {
            service: *service,
            merged,
        })
    }

    /// The value of one setting, for [`settings!`](crate::settings).
    pub fn value<T: SettingValue>(&self, spec: Option<&SettingSpec>) -> Result<T, SettingError> {
        let Some(spec) = spec else {
            return Err(fault("settings", "are declared wrongly", ""));
        };
        let example = spec.example.replace("{port}", &self.service.port.to_string());
        let wrong = |problem: String| fault(&spec.variable(), &problem, &example);
        match self.merged.get_string(spec.field) {
            Ok(text) => T::parse(text.trim()).map_err(wrong),
            Err(config::ConfigError::NotFound(_)) if spec.default.is_some() => T::parse("").map_err(wrong),
            Err(config::ConfigError::NotFound(_)) => T::absent()
                .filter(|_| !spec.required)
                .ok_or_else(|| wrong("is not set".into())),
            Err(error) => Err(wrong(format!("cannot be read ({error})"))),
        }
    }
}

/// The values of the file: only known names, lists joined with commas. No fault quotes the file: it holds secrets.
fn file_values(path: &str, known: &BTreeSet<String>) -> Result<Config, SettingError> {
    let cannot = |problem: &str| fault(CONFIG_FILE, problem, "/etc/switchhook/session.toml");
    let text =
        std::fs::read_to_string(path).map_err(|error| cannot(&format!("{path} cannot be read: {error}")))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let place = error
            .span()
            .map_or_else(String::new, |span| place(&text, span.start));
        cannot(&format!("{path} is not valid TOML{place}"))
    })?;
    let names: Vec<String> = table.keys().map(|name| name.to_ascii_uppercase()).collect();
    refuse_unknown(
        names.iter().map(String::as_str),
        known,
        &format!("{CONFIG_FILE}: "),
    )?;
    let mut flat = Config::builder();
    for (name, value) in table {
        let text = plain(&value).ok_or_else(|| {
            let problem = format!("in {path} must be a text, a number, true or false, or a list of them");
            fault(&name.to_ascii_uppercase(), &problem, "")
        })?;
        flat = flat
            .set_override(name.to_ascii_lowercase(), text)
            .map_err(|error| unreadable(&name, &error))?;
    }
    flat.build().map_err(|error| unreadable(CONFIG_FILE, &error))
}

/// Where in the text a byte stands, as editors count.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |start| start.chars().count())
        + 1;
    format!(" (line {line}, column {column})")
}

/// A value as it would be typed into a variable.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(time) => Some(time.to_string()),
        Value::Array(entries) => {
            let texts: Option<Vec<String>> = entries.iter().map(plain).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Table(_) => None,
    }
}

/// A name with the service's own prefix, or in its file, that is no setting is a typing error.
fn refuse_unknown<'a>(
    names: impl Iterator<Item = &'a str>,
    known: &BTreeSet<String>,
    prefix: &str,
) -> Result<(), SettingError> {
    for name in names {
        if name != CONFIG_FILE && !known.contains(name) {
            let nearest = known.iter().min_by_key(|candidate| distance(candidate, name));
            let hint = nearest.map_or_else(String::new, |n| format!("; the nearest is {n}"));
            let problem = format!("is no setting of this service{hint}; --help lists them all");
            return Err(fault(&format!("{prefix}{name}"), &problem, ""));
        }
    }
    Ok(())
}

/// Letters that differ, position by position from both ends: enough to find a typing error.
fn distance(a: &str, b: &str) -> usize {
    let prefix = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let suffix = a
        .bytes()
        .rev()
        .zip(b.bytes().rev())
        .take_while(|(x, y)| x == y)
        .count();
    a.len().max(b.len()).saturating_sub(prefix + suffix)
}

fn unreadable(name: &str, error: &config::ConfigError) -> SettingError {
    fault(
        &name.to_ascii_uppercase(),
        &format!("cannot be read: {error}"),
        "",
    )
}

fn fault(variable: &str, problem: &str, example: &str) -> SettingError {
    SettingError {
        variable: variable.to_owned(),
        problem: problem.to_owned(),
        example: example.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bounded, SettingsBlock};

    crate::settings! {
        /// Settings of a test.
        struct Example {
            /// Where n8n is.
            pub n8n_webhook_url: url::Url, required, example = "https://n8n.example.com/webhook/x";
            /// How many, 1..=10.
            pub how_many: Bounded<1, 10>, default = "3", example = "3";
            /// Perhaps.
            pub note: Option<String>, optional, example = "x";
        }
    }

    const SERVICE: Service = Service {
        name: "session-svc",
        env_prefix: "SESSION",
        schema: "session",
        port: 3000,
        path_prefix: "sessions",
        title: "T",
        retention_days: 365,
        version: "0",
    };

    fn read(pairs: &[(&str, &str)]) -> Result<Example, SettingError> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Example::read(&Source::from_variables(&SERVICE, Example::SPECS, pairs)?)
    }

    #[test]
    fn the_services_own_variable_wins() {
        let read = read(&[
            ("N8N_WEBHOOK_URL", "http://plain/x"),
            ("SESSION__N8N_WEBHOOK_URL", "http://own/x"),
            ("HOW_MANY", "7"),
        ])
        .unwrap();
        assert_eq!(read.n8n_webhook_url.as_str(), "http://own/x");
        assert_eq!(read.how_many.get(), 7);
        assert_eq!(read.note, None);
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        assert_eq!(
            read(&[("N8N_WEBHOOK_URL", " ")]).unwrap_err().to_string(),
            "N8N_WEBHOOK_URL is not set; example: N8N_WEBHOOK_URL=https://n8n.example.com/webhook/x"
        );
        assert_eq!(
            read(&[("N8N_WEBHOOK_URL", "http://h/x"), ("HOW_MANY", "")])
                .unwrap()
                .how_many
                .get(),
            3
        );
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = read(&[("N8N_WEBHOOK_URL", "http://h/x"), ("HOW_MANY", "11")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HOW_MANY must be a whole number from 1 to 10; example: HOW_MANY=3"
        );
    }

    #[test]
    fn a_typing_error_in_an_own_variable_is_found() {
        let error = read(&[("N8N_WEBHOOK_URL", "http://h/x"), ("SESSION__HOW_MANNY", "3")]).unwrap_err();
        assert!(
            error.to_string().contains("SESSION__HOW_MANNY is no setting"),
            "{error}"
        );
        assert!(error.to_string().contains("HOW_MANY"), "{error}");
    }

    #[test]
    fn the_file_stands_between_defaults_and_environment() {
        let path = std::env::temp_dir().join(format!("switchhook-config-{}.toml", std::process::id()));
        std::fs::write(&path, "n8n_webhook_url = \"http://file/x\"\nhow_many = 5\n").unwrap();
        let file = path.to_string_lossy().into_owned();
        let from_file = read(&[("CONFIG_FILE", &file)]).unwrap();
        assert_eq!(from_file.how_many.get(), 5);
        let both = read(&[("CONFIG_FILE", &file), ("HOW_MANY", "6")]).unwrap();
        assert_eq!(
            (both.how_many.get(), both.n8n_webhook_url.as_str()),
            (6, "http://file/x")
        );
        std::fs::remove_file(path).unwrap();
    }

    /// The fault of a file with this text.
    fn fault_of(name: &str, text: &str) -> String {
        let path = std::env::temp_dir().join(format!("switchhook-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let outcome = read(&[("CONFIG_FILE", &path.to_string_lossy())]);
        std::fs::remove_file(path).unwrap();
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn no_fault_of_the_file_quotes_a_secret() {
        let broken = [
            (
                "open",
                "how_many = 5\nnote = \"words-of-a-secret\n",
                "(line 2, column ",
            ),
            ("bare", "note = words-of-a-secret\n", "(line 1, column "),
            (
                "twice",
                "note = \"x\"\nnote = \"words-of-a-secret\"\n",
                "(line 2, column 1)",
            ),
            ("table", "note = { a = \"words-of-a-secret\" }\n", "NOTE in "),
            ("nested", "note = [{ a = \"words-of-a-secret\" }]\n", "NOTE in "),
        ];
        for (name, text, expected) in broken {
            let fault = fault_of(name, text);
            assert!(fault.contains(expected), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn the_place_of_a_fault_is_counted_as_editors_do() {
        assert_eq!(place("ab\nö=x", 6), " (line 2, column 3)");
        assert_eq!(place("", 0), " (line 1, column 1)");
    }

    #[test]
    fn a_list_in_the_file_is_joined_with_commas() {
        let table: Table = "list = [\"a\", 1, true, 0.5]".parse().unwrap();
        assert_eq!(plain(&table["list"]).as_deref(), Some("a,1,true,0.5"));
    }
}
