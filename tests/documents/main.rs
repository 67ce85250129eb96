//! The documents say what the programs do: their settings. What is deployed is judged in `platform`.
//!
//! The service's own list (`<service> settings`) is the one truth; the binaries are built before.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and so do the functions that serve it"
)]

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
