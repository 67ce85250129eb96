//! What the pods are told: every variable is a setting of its service, every reference resolves, and the service itself
//! would start with it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use crate::rendered::{Rendered, Workload, list, map, text};
use crate::secrets::{self, Secrets};
use crate::settings;

/// Variables, each with where its value stands.
type Environment = BTreeMap<String, String>;

pub(super) fn judge(overlay: &str, rendered: &Rendered, findings: &mut Findings) {
    let secrets = secrets::of(overlay);
    for workload in rendered.workloads() {
        let is_service = settings::services().any(|service| service == workload.name());
        if workload.0["kind"] == "Deployment" && !is_service {
            findings.push(format!("{}: is none of the services", workload.name()));
            continue;
        }
        let mut say = |what: &str| findings.push(format!("{}: {what}", workload.name()));
        for container in workload.all_containers() {
            let environment = environment(rendered, secrets, workload, container, &mut say);
            if is_service {
                known(workload, container, &environment, &mut say);
                starts(workload, container, &environment, &mut say);
            }
        }
    }
    for service in settings::services() {
        if rendered.find("Deployment", service).is_none() {
            findings.push(format!("{service}: is not deployed"));
        }
    }
}

/// What a container gets, as the kubelet would put it together.
fn environment(
    rendered: &Rendered,
    secrets: &Secrets,
    workload: Workload,
    container: &Value,
    say: &mut impl FnMut(&str),
) -> Environment {
    let mut environment = Environment::new();
    for source in list(&container["envFrom"]) {
        let name = text(&source["configMapRef"]["name"]);
        match rendered.find("ConfigMap", name) {
            None => say(&format!("there is no ConfigMap {name}")),
            Some(found) => {
                let data = map(&found["data"]).iter();
                environment.extend(data.map(|(key, value)| (key.clone(), text(value).to_owned())));
            }
        }
    }
    for key in environment.keys().filter(|key| is_secret(key)) {
        say(&format!("{key} is a secret and stands in a ConfigMap"));
    }
    for entry in list(&container["env"]) {
        let name = text(&entry["name"]);
        let reference = &entry["valueFrom"]["secretKeyRef"];
        if reference.is_object() {
            if let Some(value) = secret(secrets, workload, reference, say) {
                environment.insert(name.to_owned(), value);
            }
        } else {
            if is_secret(name) {
                say(&format!("{name} is a secret and stands in the manifest"));
            }
            environment.insert(name.to_owned(), text(&entry["value"]).to_owned());
        }
    }
    environment
}

fn is_secret(name: &str) -> bool {
    let ends = [
        "_SECRET",
        "_SECRETS",
        "_KEY",
        "_KEYS",
        "_PASSWORD",
        "DATABASE_URL",
        "LISTEN_URL",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

fn secret(
    secrets: &Secrets,
    workload: Workload,
    reference: &Value,
    say: &mut impl FnMut(&str),
) -> Option<String> {
    let (name, key) = (text(&reference["name"]), text(&reference["key"]));
    if workload.0["kind"] == "Deployment" && name != workload.name() {
        say(&format!("reads the Secret of another: {name}"));
    }
    let Some(keys) = secrets.get(name) else {
        say(&format!("there is no Secret {name}"));
        return None;
    };
    let value = keys.get(key);
    if value.is_none() && reference["optional"] != true {
        say(&format!("the Secret {name} has no key {key}"));
    }
    value.cloned()
}

/// Every variable is a setting.
fn known(workload: Workload, container: &Value, environment: &Environment, say: &mut impl FnMut(&str)) {
    let given = environment.keys().map(String::as_str);
    let named = list(&container["env"]).iter().map(|entry| text(&entry["name"]));
    for name in given.chain(named) {
        if settings::setting(workload.name(), name).is_none() {
            say(&format!("{name} is no setting of the service"));
        }
    }
}

/// The service's own judgement, and what follows from being in a pod.
fn starts(workload: Workload, container: &Value, environment: &Environment, say: &mut impl FnMut(&str)) {
    if container["args"] == serde_json::json!(["migrate"]) {
        if !environment.contains_key("DATABASE_URL") {
            say("whoever migrates is not told where the database is (DATABASE_URL)");
        }
        return;
    }
    if let Some(complaint) = settings::complaint(workload.name(), environment) {
        say(&format!("would not start: {complaint}"));
    }
    if environment.get("MIGRATE_ON_START").map(String::as_str) != Some("false") {
        say("every start migrates (MIGRATE_ON_START), besides the init container");
    }
    let seconds = |name: &str| {
        effective(workload, environment, name)
            .trim_end_matches('s')
            .parse::<u64>()
            .ok()
    };
    let grace = workload.pod()["terminationGracePeriodSeconds"].as_u64();
    let finishes = seconds("DRAIN_DELAY")
        .zip(seconds("SHUTDOWN_TIMEOUT"))
        .map(|(drain, finish)| drain + finish);
    if seconds("DRAIN_DELAY") == Some(0) {
        say("an Ingress still sends to a pod that is going (DRAIN_DELAY)");
    }
    if finishes.is_none_or(|needed| grace.is_none_or(|grace| grace <= needed)) {
        say("is killed before it could finish (DRAIN_DELAY, SHUTDOWN_TIMEOUT)");
    }
    for (port, name) in [("http", "BIND_ADDR"), ("ws", "WS_BIND_ADDR")] {
        if settings::setting(workload.name(), name).is_none() {
            continue;
        }
        let listens = effective(workload, environment, name);
        let listens = listens
            .rsplit(':')
            .next()
            .and_then(|port| port.parse::<u64>().ok());
        if workload.port(&port.into()) != listens {
            say(&format!(
                "its port {port} is not the one where it listens ({name})"
            ));
        }
    }
}

/// What is given, else the default.
fn effective<'a>(workload: Workload, environment: &'a Environment, name: &str) -> &'a str {
    let default = || settings::of(workload.name()).get(name).map_or("", String::as_str);
    environment.get(name).map_or_else(default, String::as_str)
}
