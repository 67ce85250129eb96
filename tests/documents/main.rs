//! The documents say what the programs do: their settings, and the settings of `.env.example`.
//!
//! The service's own list (`<service> settings`) is the one truth; the binaries are built before.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

use std::collections::BTreeSet;
use std::process::Command;

use devstack::places;
use devstack::services::SERVICES;
use e2e::workspace_root;

const END: &str = "<!-- end of settings -->";

fn settings_of(service: &str) -> String {
    let program = places::program(service).unwrap();
    let output = Command::new(program).arg("settings").output().unwrap();
    assert!(output.status.success(), "{service} settings failed");
    String::from_utf8(output.stdout).unwrap()
}

fn names(table: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
        .collect()
}

fn document(path: &str) -> String {
    std::fs::read_to_string(workspace_root().join(path)).unwrap()
}

/// The names of all services that there are.
fn services() -> Vec<&'static str> {
    SERVICES.iter().map(|service| service.name).collect()
}

#[test]
fn the_tables_of_settings_are_the_programs_own() {
    for service in services() {
        let readme = document(&format!("services/{service}/README.md"));
        let begin = format!("<!-- settings: the output of `{service} settings` -->\n");
        let shown = readme
            .split_once(&begin)
            .and_then(|(_, rest)| rest.split_once(END))
            .map(|(table, _)| table.trim());
        let actual = settings_of(service);
        assert_eq!(shown, Some(actual.trim()), "run `make docs` to refresh the table");
    }
}

/// Every name that may stand in an environment: plain, or with a service's prefix.
fn known_names() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for service in &SERVICES {
        for name in names(&settings_of(service.name)) {
            known.insert(format!("{}__{name}", service.key));
            known.insert(name);
        }
    }
    known
}

#[test]
fn every_name_in_the_example_environment_is_a_setting() {
    let known = known_names();
    assert!(known.contains("DATABASE_URL"));
    let unknown: Vec<String> = document(".env.example")
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
        .filter(|name| {
            name.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn what_a_service_cannot_start_without_is_in_the_example_environment() {
    let example = document(".env.example");
    for service in services() {
        let missing: Vec<String> = settings_of(service)
            .lines()
            .filter(|line| line.contains("| required |"))
            .filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned()))
            .filter(|name| !example.contains(&format!("{name}=")))
            .collect();
        assert!(missing.is_empty(), "{service}: {missing:?}");
    }
}
