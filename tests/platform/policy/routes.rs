//! The Ingress: every public address reaches its service, and what is for the inside is not routed.

use std::path::Path;

use e2e::workspace_root;
use serde_json::Value;

use super::Findings;
use crate::rendered::{Rendered, list, text};
use crate::settings;

/// Never for the outside. `/` would be all of them.
const INSIDE: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/internal", "/health"];

/// One rule.
struct Rule<'a> {
    path: &'a str,
    service: &'a str,
    port: &'a str,
}

pub(super) fn judge(rendered: &Rendered, findings: &mut Findings) {
    let rules: Vec<Rule> = rendered.all("Ingress").flat_map(rules).collect();
    for Rule { path, service, port } in &rules {
        let ports = rendered
            .find("Service", service)
            .map(|found| list(&found["spec"]["ports"]));
        if !ports.is_some_and(|ports| ports.iter().any(|known| known["name"] == *port)) {
            findings.push(format!(
                "Ingress: {path} goes to port {port} of {service}, which there is not"
            ));
        }
        if INSIDE.iter().any(|inside| covers(path, inside)) {
            findings.push(format!("Ingress: {path} lets the outside in"));
        }
    }
    for service in settings::services() {
        for address in public_addresses(service) {
            let best = rules
                .iter()
                .filter(|rule| covers(rule.path, &address))
                .max_by_key(|rule| rule.path.len());
            if best.is_none_or(|rule| rule.service != service) {
                findings.push(format!("Ingress: {address} does not reach {service}"));
            }
        }
    }
}

fn rules(ingress: &Value) -> impl Iterator<Item = Rule<'_>> {
    let paths = list(&ingress["spec"]["rules"])
        .iter()
        .flat_map(|rule| list(&rule["http"]["paths"]));
    paths.map(|entry| {
        let backend = &entry["backend"]["service"];
        Rule {
            path: text(&entry["path"]),
            service: text(&backend["name"]),
            port: text(&backend["port"]["name"]),
        }
    })
}

/// `Prefix` goes by whole elements of the path.
fn covers(rule: &str, address: &str) -> bool {
    let rule = rule.trim_end_matches('/');
    address
        .strip_prefix(rule)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The addresses of the service's URL table, and the prefix of its page.
fn public_addresses(service: &str) -> Vec<String> {
    let source = workspace_root().join("services").join(service).join("src");
    let table = std::fs::read_to_string(source.join("routes.rs")).unwrap();
    let mut addresses = between(&table, "resource(\"", "\"");
    addresses.retain(|address| !INSIDE.iter().any(|inside| covers(inside, address)));
    assert!(
        !addresses.is_empty(),
        "no address was found in {}",
        source.display()
    );
    addresses.extend(prefix(&source));
    addresses
}

fn prefix(source: &Path) -> Option<String> {
    let application = std::fs::read_to_string(source.join("app.rs")).unwrap();
    let prefix = between(&application, "path_prefix: \"", "\"");
    Some(format!("/{}/", prefix.first()?))
}

fn between(text: &str, begin: &str, end: &str) -> Vec<String> {
    text.split(begin)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(end)?.0.to_owned()))
        .collect()
}
