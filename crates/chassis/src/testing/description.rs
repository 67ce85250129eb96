//! Holds the OpenAPI description of a service against what it serves.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use super::{TestApp, json_of};
use crate::app::Program;

impl<P: Program> TestApp<P> {
    /// The description that the replica serves.
    pub async fn description(&self) -> Value {
        let asked = self.client().get(self.url("/openapi.json")).send().await;
        json_of(asked.expect("an answer"), 200).await
    }
}

/// The described addresses are those of the URL table (`routes.rs`, as text), each with the described methods. `prefixes` are
/// what the service's own addresses begin with.
///
/// # Panics
/// When they differ.
pub async fn assert_routed<P: Program>(app: &TestApp<P>, table: &str, prefixes: &[&str]) {
    let is_own = |path: &str| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let description = app.description().await;
    let documented = methods_by_path(&description, is_own);
    let routed: BTreeSet<&str> = table
        .split("resource(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(path, _)| path)
        .filter(|path| is_own(path))
        .collect();
    assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), routed);
    for (path, methods) in documented {
        let refused = app
            .as_user("anyone", Method::PATCH, &with_an_id(path), None)
            .await;
        assert_eq!(refused.status(), 405, "{path}");
        let allow = refused.headers()["allow"].to_str().expect("text").to_owned();
        let allowed: BTreeSet<String> = allow
            .split(", ")
            .filter(|method| *method != "HEAD")
            .map(str::to_owned)
            .collect();
        assert_eq!(allowed, methods, "{path}");
    }
}

fn methods_by_path(description: &Value, is_own: impl Fn(&str) -> bool) -> BTreeMap<&str, BTreeSet<String>> {
    let paths = description["paths"].as_object().into_iter().flatten();
    let own = paths.filter(|(path, _)| is_own(path));
    own.map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        (
            path.as_str(),
            methods.map(|(method, _)| method.to_uppercase()).collect(),
        )
    })
    .collect()
}

/// The path with an id in the place of each parameter.
fn with_an_id(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "0197a9f2-0000-7000-8000-000000000000",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The value with a word in the place of each text that differs from run to run: the word, and the fields that get it.
pub fn stable(mut value: Value, words: &[(&str, &[&str])]) -> Value {
    hide(&mut value, words);
    value
}

fn hide(value: &mut Value, words: &[(&str, &[&str])]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let word = words.iter().find(|(_, names)| names.contains(&name.as_str()));
                match (word, &value) {
                    (Some((word, _)), Value::String(_)) => *value = Value::from(*word),
                    _ => hide(value, words),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, words)),
        _ => {}
    }
}

/// The description is complete enough that a client can be generated from it. `open` are the operations that ask for no
/// credentials of ours.
///
/// # Panics
/// When something is missing.
pub fn assert_complete(description: &Value, open: &[&str]) {
    assert!(
        description["openapi"]
            .as_str()
            .is_some_and(|v| v.starts_with("3.1"))
    );
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let place = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(!id.is_empty() && ids.insert(id), "{place}: {id}");
            let summary = operation["summary"].as_str();
            assert!(summary.is_some_and(|text| !text.is_empty()), "{place}");
            assert_responses(
                &place,
                operation,
                path.starts_with("/api/") && !open.contains(&id),
            );
        }
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap_or_default();
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

fn assert_responses(place: &str, operation: &Value, guarded: bool) {
    let responses = operation["responses"].as_object().expect("responses");
    assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
    for (status, response) in responses {
        let content = response["content"].as_object().expect("content");
        let schemas = content.values().all(|media| media["schema"].is_object());
        assert!(schemas, "{place} {status}");
    }
    if guarded {
        let security = operation["security"].as_array();
        assert!(security.is_some_and(|schemes| !schemes.is_empty()), "{place}");
        assert!(
            responses.contains_key("401") && responses.contains_key("503"),
            "{place}"
        );
    }
}
