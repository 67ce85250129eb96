//! `.env.example`: every name in it is a setting, and each service would start with it.

use std::collections::BTreeMap;

use e2e::workspace_root;

use crate::settings;

/// Read by Compose, not by a service.
const OF_COMPOSE: [&str; 1] = ["POSTGRES_PASSWORD"];

fn example() -> String {
    std::fs::read_to_string(workspace_root().join(".env.example")).unwrap()
}

/// The name and value of a line that sets something.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(is_name).then_some((name, value))
}

#[test]
fn every_name_in_the_example_environment_is_a_setting() {
    let known = settings::names_for_all();
    assert!(known.contains("DATABASE_URL") && known.contains("SESSION__DATABASE_URL"));
    let unknown: Vec<String> = example()
        .lines()
        .filter_map(|line| Some(assignment(line.trim_start_matches("# "))?.0.to_owned()))
        .filter(|name| !known.contains(name) && !OF_COMPOSE.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn each_service_would_start_with_the_example_environment() {
    let example = example();
    let given = |all: bool| -> BTreeMap<String, String> {
        let lines = example
            .lines()
            .map(|line| if all { line.trim_start_matches("# ") } else { line });
        let pairs = lines.filter_map(assignment);
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    for service in settings::services() {
        assert_eq!(settings::complaint(service, &given(false)), None, "{service}");
        // The lines that are commented out are good values too; these two exclude each other.
        let mut all = given(true);
        all.remove("JWT_JWKS_URL");
        assert_eq!(settings::complaint(service, &all), None, "{service}");
        for name in settings::required(service) {
            let mut without = given(false);
            without.retain(|variable, _| settings::setting(service, variable) != Some(name));
            assert!(
                settings::complaint(service, &without).is_some_and(|words| words.contains(name)),
                "{service}"
            );
        }
    }
}
