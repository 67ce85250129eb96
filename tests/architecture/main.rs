//! The invariants of ARCHITECTURE.md that the compiler and clippy cannot guard: this test reads the source tree.
//!
//! A finding names the file and the line. Exceptions are listed here, each with its reason, or not at all.

mod security;
mod source;

use std::path::Path;

use source::{Line, lines_outside_tests, manifests, migrations, production_files, rust_files};

/// Where SQL may stand besides a service's `store`.
const SQL_IN_CHASSIS: [&str; 7] = [
    "crates/chassis/src/db.rs",
    "crates/chassis/src/outbox/",
    "crates/chassis/src/wake.rs",
    "crates/chassis/src/replicas.rs",
    "crates/chassis/src/idempotency",
    "crates/chassis/src/testing",
    "crates/devstack/src/",
];

const BANNED_MODULE_NAMES: [&str; 8] = [
    "utils", "util", "common", "helpers", "helper", "types", "manager", "misc",
];

fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}

fn is_domain(path: &str) -> bool {
    path.starts_with("crates/core/src/") || path.contains("/src/domain/") || path.ends_with("/src/domain.rs")
}

fn finding(line: &Line) -> String {
    format!("{}:{}: {}", line.path, line.number, line.text.trim())
}

#[test]
fn core_and_domains_do_no_input_or_output() {
    let foreign = ["actix_web", "actix_http", "sqlx", "reqwest", "tokio"];
    let findings: Vec<String> = lines_outside_tests()
        .filter(|line| is_domain(&line.path))
        .filter(|line| foreign.iter().any(|name| line.names_crate(name)))
        .map(|line| finding(&line))
        .collect();
    assert_none("crates/core and every domain are pure", &findings);
}

#[test]
fn sql_stands_in_stores() {
    let findings: Vec<String> = lines_outside_tests()
        .filter(|line| {
            !line.path.contains("/src/store") && !SQL_IN_CHASSIS.iter().any(|p| line.path.starts_with(p))
        })
        .filter(|line| {
            ["query!(", "query_as!(", "query_scalar!(", "sqlx::query"]
                .iter()
                .any(|q| line.text.contains(q))
        })
        .map(|line| finding(&line))
        .collect();
    assert_none(
        "SQL stands in a store, or in the chassis' own modules for it",
        &findings,
    );
}

#[test]
fn no_service_depends_on_another() {
    let manifests = manifests("services");
    let names: Vec<String> = manifests.iter().map(|m| m.name.clone()).collect();
    let findings: Vec<String> = manifests
        .iter()
        .flat_map(|manifest| {
            names
                .iter()
                .filter(|other| **other != manifest.name && manifest.depends_on(other))
                .map(|other| format!("{} depends on {other}", manifest.name))
        })
        .collect();
    assert!(!names.is_empty());
    assert_none("services meet over HTTP only", &findings);
}

#[test]
fn the_database_is_reached_inside_out() {
    // routes → domain → store; a store calls no client, a job calls no route.
    let forbidden = [
        ("/src/store", "crate::routes"),
        ("/src/store", "crate::clients"),
        ("/src/store", "crate::jobs"),
        ("/src/jobs", "crate::routes"),
        ("/src/domain", "crate::store"),
        ("/src/domain", "crate::routes"),
        ("/src/domain", "crate::clients"),
    ];
    let findings: Vec<String> = lines_outside_tests()
        .filter(|line| {
            forbidden
                .iter()
                .any(|(place, import)| line.path.contains(place) && line.text.contains(import))
        })
        .map(|line| finding(&line))
        .collect();
    assert_none("dependencies point one way", &findings);
}

#[test]
fn module_names_say_what_is_inside() {
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|path| {
            let stem = Path::new(path)
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            BANNED_MODULE_NAMES.contains(&stem)
        })
        .cloned()
        .collect();
    assert_none("a name like `utils` says nothing", &findings);
}

#[test]
fn files_stay_readable() {
    let mut findings = Vec::new();
    for file in production_files() {
        let lines = file.text.lines().count();
        if lines > 500 {
            findings.push(format!("{} has {lines} lines: split it", file.path));
        }
        if lines > 80 && !file.text.starts_with("//!") {
            findings.push(format!(
                "{} has {lines} lines and no `//!` that says what it owns",
                file.path
            ));
        }
    }
    assert_none("production files have at most 500 lines and a header", &findings);
}

#[test]
fn a_service_starts_in_a_short_main() {
    let findings: Vec<String> = production_files()
        .filter(|file| file.path.starts_with("services/") && file.path.ends_with("/src/main.rs"))
        .filter(|file| file.text.lines().count() > 60)
        .map(|file| file.path)
        .collect();
    assert_none("main.rs has at most 60 lines", &findings);
}

#[test]
fn no_test_is_switched_off() {
    let mark = ["#[ign", "ore"].concat();
    let mut findings = Vec::new();
    for path in rust_files() {
        let text = source::read(&path);
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with(&mark) {
                findings.push(format!("{path}:{}", index + 1));
            }
        }
    }
    assert_none("a test runs or is deleted", &findings);
}

#[test]
fn migrations_name_their_schema() {
    let mut findings = Vec::new();
    let mut seen = 0;
    for (path, text) in migrations() {
        for (index, line) in text.lines().enumerate() {
            let upper = line.trim_start().to_ascii_uppercase();
            let made = ["CREATE TABLE ", "ALTER TABLE ", "DROP TABLE "]
                .iter()
                .find_map(|verb| {
                    let rest = upper.strip_prefix(verb)?;
                    Some(
                        rest.trim_start_matches("IF NOT EXISTS ")
                            .trim_start_matches("IF EXISTS ")
                            .to_owned(),
                    )
                });
            if let Some(object) = made {
                seen += 1;
                if !object.split_whitespace().next().unwrap_or_default().contains('.') {
                    findings.push(format!("{path}:{}: {}", index + 1, line.trim()));
                }
            }
        }
    }
    assert!(seen > 0, "no migration was found");
    assert_none("SQL names its schema; there is no search_path", &findings);
}
