//! `deploy/compose.yaml`: strict Compose takes it, and every service would start with what it is given.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use e2e::workspace_root;
use serde_json::Value;

use crate::rendered::{list, map, text};
use crate::{settings, tools};

/// Renders a file like `deploy/compose.yaml` with the values of `.env.example`, or tells what Compose has against it.
fn rendered(file: &Path) -> Result<Value, String> {
    let example = workspace_root().join(".env.example");
    let words = [
        "--file".as_ref(),
        file.as_os_str(),
        "--env-file".as_ref(),
        example.as_os_str(),
    ];
    let words = [&words[..], &["config", "--format", "json"].map(OsStr::new)].concat();
    compose(&words, &workspace_root()).map(|text| serde_json::from_str(&text).unwrap())
}

/// What Compose says, asked in a folder.
fn compose(words: &[&OsStr], folder: &Path) -> Result<String, String> {
    let standalone = tools::is_there("docker-compose");
    let (program, first) = if standalone {
        ("docker-compose", None)
    } else {
        ("docker", Some(OsStr::new("compose")))
    };
    let words: Vec<&OsStr> = first.into_iter().chain(words.iter().copied()).collect();
    tools::run(program, &words, folder)
}

/// What is wrong with it.
fn complaints(file: &Path) -> Vec<String> {
    let compose = match rendered(file) {
        Ok(compose) => compose,
        Err(words) => return vec![words],
    };
    let mut complaints = Vec::new();
    for service in settings::services() {
        let mut say = |what: String| complaints.push(format!("{service}: {what}"));
        let described = &compose["services"][service];
        let environment: BTreeMap<String, String> = map(&described["environment"])
            .iter()
            .map(|(name, value)| (name.clone(), text(value).to_owned()))
            .collect();
        for name in environment.keys() {
            if settings::setting(service, name).is_none() {
                say(format!("{name} is no setting of the service"));
            }
        }
        if let Some(words) = settings::complaint(service, &environment) {
            say(format!("would not start: {words}"));
        }
        published(service, described, &mut say);
        bounded(described, &mut say);
    }
    complaints
}

fn published(service: &str, described: &Value, say: &mut impl FnMut(String)) {
    for name in ["BIND_ADDR", "WS_BIND_ADDR"] {
        let Some(listens) = settings::of(service).get(name) else {
            continue;
        };
        let port: Option<u64> = listens.rsplit(':').next().and_then(|port| port.parse().ok());
        if !list(&described["ports"])
            .iter()
            .any(|published| published["target"].as_u64() == port)
        {
            say(format!("does not publish the port of {name}"));
        }
    }
}

fn bounded(described: &Value, say: &mut impl FnMut(String)) {
    let expected = [
        ("read_only", Value::Bool(true)),
        ("cap_drop", serde_json::json!(["ALL"])),
        ("security_opt", serde_json::json!(["no-new-privileges:true"])),
    ];
    for (field, value) in expected {
        if described[field] != value {
            say(format!("{field} is not {value}"));
        }
    }
    if described["mem_limit"].is_null() || described["stop_grace_period"] != "40s" {
        say("has no bound of memory, or of the time to stop".into());
    }
}

#[test]
fn the_stack_of_compose_passes_every_check() {
    let complaints = complaints(&workspace_root().join("deploy/compose.yaml"));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn defects_of_the_compose_file_are_found() {
    let defects = [
        (
            "WEBHOOK_SECRETS: $",
            "WEBHOOK_SECRET: $",
            "WEBHOOK_SECRET is no setting",
        ),
        (
            "      N8N_WEBHOOK_URL: http://n8n:5678/webhook/ai-session\n",
            "",
            "session-svc: would not start",
        ),
        (
            "127.0.0.1:8080:8080",
            "127.0.0.1:8080:8081",
            "does not publish the port of WS_BIND_ADDR",
        ),
        ("read_only: true", "read_only: false", "read_only is not"),
        ("cap_drop:", "cap_dropp:", "cap_dropp"),
        (
            "condition: service_healthy",
            "condition: service_fine",
            "depends_on.postgres.condition",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(workspace_root().join("deploy/compose.yaml")).unwrap();
    for (from, to, found) in defects {
        assert!(text.contains(from), "{from}");
        let file = folder.path().join("compose.yaml");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let complaints = complaints(&file);
        assert!(
            complaints.iter().any(|complaint| complaint.contains(found)),
            "{found}: {complaints:?}"
        );
    }
}

#[test]
fn n8n_is_the_one_in_which_the_templates_are_tested() {
    let compose = rendered(&workspace_root().join("deploy/compose.yaml")).unwrap();
    let package = std::fs::read_to_string(workspace_root().join("tests/n8n/package.json")).unwrap();
    let package: Value = serde_json::from_str(&package).unwrap();
    let tested = text(&package["dependencies"]["n8n"]);
    for service in ["n8n", "n8n-templates"] {
        let image = text(&compose["services"][service]["image"]);
        assert_eq!(image.rsplit(':').next(), Some(tested), "{service}");
    }
}

#[test]
fn compose_reads_what_make_env_writes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    for file in ["Makefile", ".env.example", "deploy/env.sh", "deploy/compose.yaml"] {
        std::fs::copy(workspace_root().join(file), folder.path().join(file)).unwrap();
    }
    let words = ["-f", "deploy/compose.yaml", "config", "--quiet"].map(OsStr::new);
    let complaint = compose(&words, folder.path()).unwrap_err();
    assert!(complaint.contains("make env writes it"), "{complaint}");
    tools::run("make", &["env".as_ref()], folder.path()).unwrap();
    compose(&words, folder.path()).unwrap();
}
