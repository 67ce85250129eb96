//! The overlays as they stand: they render, the schema knows all of it, and no rule finds anything.

use std::path::{Path, PathBuf};

use e2e::workspace_root;

use crate::policy;
use crate::rendered::{Rendered, list, name_of};
use crate::tools;

/// The schemas that the manifests are held against; what they use has been stable since 1.27.
const KUBERNETES: &str = "1.32";
pub(crate) const OVERLAYS: [&str; 2] = ["dev", "production"];

pub(crate) fn tree() -> PathBuf {
    workspace_root().join("k8s")
}

/// What the schema has against it.
pub(crate) fn schema(rendered: &Rendered) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rendered.yaml");
    std::fs::write(&file, &rendered.text).unwrap();
    let words = ["-k", KUBERNETES, "--strict", "--quiet"].map(AsRef::as_ref);
    let words = [&words[..], &[file.as_ref()]].concat();
    tools::run("kubernetes-validate", &words, folder.path()).map(drop)
}

/// What the checks have against an overlay of a tree: rendering, our rules, the schema; each only when it is asked for.
pub(crate) fn complaints(tree: &Path, overlay: &str) -> impl Iterator<Item = String> {
    let (rendered, failure) = match Rendered::of(tree, overlay) {
        Ok(rendered) => (Some(rendered), None),
        Err(words) => (None, Some(format!("does not render: {words}"))),
    };
    let findings = rendered
        .as_ref()
        .map(|rendered| policy::findings(overlay, rendered));
    let schema = std::iter::once_with(move || schema(rendered.as_ref()?).err()).flatten();
    failure
        .into_iter()
        .chain(findings.into_iter().flatten())
        .chain(schema)
}

/// A copy of the tree that a test may spoil.
pub(crate) fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .args([
            "-R".as_ref(),
            tree().join(".").as_os_str(),
            folder.path().as_os_str(),
        ])
        .status()
        .unwrap();
    assert!(copied.success());
    folder
}

/// Replaces a passage of a file in the copy.
pub(crate) fn edit(tree: &Path, file: &str, from: &str, to: &str) {
    let path = tree.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(from),
        "{file} no longer holds {from:?}: the test must follow it"
    );
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn both_overlays_pass_every_check() {
    for overlay in OVERLAYS {
        let complaints: Vec<String> = complaints(&tree(), overlay).collect();
        assert!(complaints.is_empty(), "{overlay}:\n  {}", complaints.join("\n  "));
    }
}

#[test]
fn each_service_stands_in_a_base_of_its_own() {
    for service in crate::settings::services() {
        let folder = tree().join("base").join(service);
        let text = tools::run("kubectl", &["kustomize".as_ref(), folder.as_ref()], &tree()).unwrap();
        for kind in [
            "Deployment",
            "Service",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
            "NetworkPolicy",
            "ConfigMap",
        ] {
            assert!(
                text.contains(&format!("kind: {kind}\n")),
                "{service} has no {kind}"
            );
        }
    }
}

#[test]
fn production_takes_cloudnative_pg_and_a_service_monitor() {
    let copy = copy();
    let kustomization = "overlays/production/kustomization.yaml";
    edit(
        copy.path(),
        kustomization,
        "components/external-database",
        "components/cloudnative-pg",
    );
    edit(
        copy.path(),
        kustomization,
        "# - ../../components/servicemonitor",
        "- ../../components/servicemonitor",
    );
    let rendered = Rendered::of(copy.path(), "production").unwrap();
    let findings = policy::findings("production", &rendered);
    assert!(findings.is_empty(), "{findings:?}");

    let monitor = rendered.all("ServiceMonitor").next().unwrap();
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    for service in rendered.services() {
        let labels = &rendered.find("Service", service.name()).unwrap()["metadata"]["labels"];
        assert!(
            selector.iter().all(|(key, value)| labels[key] == *value),
            "{}",
            service.name()
        );
    }
    let secrets = crate::secrets::printed(&["production", "cloudnative-pg"]);
    let cluster = rendered.all("Cluster").next().unwrap();
    for role in list(&cluster["spec"]["managed"]["roles"]) {
        let secret = role["passwordSecret"]["name"].as_str().unwrap();
        assert_eq!(
            Some(role["name"].as_str().unwrap()),
            secrets[secret].get("username").map(String::as_str)
        );
    }
}

#[test]
fn what_is_optional_is_off() {
    for overlay in OVERLAYS {
        let rendered = Rendered::of(&tree(), overlay).unwrap();
        for kind in ["ServiceMonitor", "Cluster"] {
            assert_eq!(
                rendered.all(kind).map(name_of).collect::<Vec<_>>(),
                [""; 0],
                "{overlay}"
            );
        }
    }
}
