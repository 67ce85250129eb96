//! The Secrets that `make k8s-secrets` makes: what the manifests may refer to.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::workspace_root;
use serde_json::Value;

use crate::rendered::{map, name_of, text};
use crate::tools::said;

/// Keys and values of each Secret.
pub(crate) type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// The Secrets of an overlay.
pub(crate) fn of(overlay: &str) -> &'static Secrets {
    static DEV: LazyLock<Secrets> = LazyLock::new(|| printed(&["dev"]));
    static PRODUCTION: LazyLock<Secrets> = LazyLock::new(|| printed(&["production", "outside"]));
    if overlay == "dev" { &DEV } else { &PRODUCTION }
}

/// Where PostgreSQL is, for the overlay that has none of its own: for one service, and for the others.
const DATABASES: [(&str, &str); 2] = [
    (
        "SESSION__DATABASE_URL",
        "postgres://session:word@db.example.com/switchhook",
    ),
    ("DATABASE_URL", "postgres://all:word@db.example.com/switchhook"),
];

/// What the script would make in an empty namespace.
pub(crate) fn printed(words: &[&str]) -> Secrets {
    let output = Command::new("sh")
        .arg(workspace_root().join("k8s/secrets.sh"))
        .arg("--print")
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // On a developer's machine DATABASE_URL is some other database: dev does not look at it.
        .envs(DATABASES.iter().skip(usize::from(words == ["dev"])).copied())
        .output()
        .unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&said(&output).unwrap()).unwrap();
    let decoded = |(key, value): (&String, &Value)| {
        let bytes = STANDARD.decode(text(value)).unwrap();
        (key.clone(), String::from_utf8(bytes).unwrap())
    };
    objects
        .iter()
        .map(|object| {
            (
                name_of(object).to_owned(),
                map(&object["data"]).iter().map(decoded).collect(),
            )
        })
        .collect()
}

#[test]
fn every_service_has_a_password_and_an_address_of_its_own() {
    let secrets = printed(&["dev"]);
    let urls: Vec<&String> = secrets
        .values()
        .filter_map(|keys| keys.get("DATABASE_URL"))
        .collect();
    assert_eq!(urls.len(), crate::settings::services().count());
    for (at, url) in urls.iter().enumerate() {
        let password = url.split(['@', ':']).nth(2).unwrap();
        assert!(password.len() >= 32, "a password is random");
        assert!(!urls.iter().skip(at + 1).any(|other| other.contains(password)));
        assert!(
            secrets
                .values()
                .any(|keys| keys.get("password").is_some_and(|word| word == password)),
            "PostgreSQL is told the password of each role"
        );
    }
}

#[test]
fn what_machines_and_users_present_is_the_same_everywhere_and_new_each_time() {
    let (first, second) = (printed(&["dev"]), printed(&["dev"]));
    for key in ["WEBHOOK_SECRETS", "JWT_SECRET", "N8N_OUTBOUND_SECRET"] {
        let mut values: Vec<&String> = first.values().filter_map(|keys| keys.get(key)).collect();
        values.dedup();
        assert_eq!(values.len(), 1, "{key}");
        assert_ne!(Some(values[0]), second["session-svc"].get(key), "{key}");
    }
}

#[test]
fn a_value_in_the_environment_wins() {
    let production = printed(&["production", "outside"]);
    assert!(production["session-svc"]["DATABASE_URL"].starts_with("postgres://session:"));
    assert!(production["chat-ws-svc"]["DATABASE_URL"].starts_with("postgres://all:"));
    assert!(printed(&["dev"])["chat-ws-svc"]["DATABASE_URL"].contains("@postgres:5432/"));
}
