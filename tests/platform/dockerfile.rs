//! `deploy/Dockerfile`: hadolint finds nothing, and it says what the workspace says.

use std::path::Path;

use e2e::workspace_root;

use crate::tools;

fn dockerfile() -> String {
    std::fs::read_to_string(workspace_root().join("deploy/Dockerfile")).unwrap()
}

fn lint(file: &Path) -> Result<String, String> {
    tools::run("hadolint", &[file.as_os_str()], &workspace_root())
}

#[test]
fn the_linter_of_dockerfiles_finds_nothing() {
    lint(&workspace_root().join("deploy/Dockerfile")).unwrap();
}

#[test]
fn defects_of_the_dockerfile_are_found() {
    let defects = [
        ("rust:${RUST}-alpine AS build", "rust AS build", "DL3006"),
        ("COPY service /service", "ADD service /service", "DL3020"),
        ("RUN find . -type f", "RUN sudo find . -type f", "DL3004"),
        ("ENTRYPOINT [\"/service\"]", "ENTRYPOINT /service", "DL3025"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (from, to, found) in defects {
        let text = dockerfile();
        assert!(text.contains(from), "{from}");
        let file = folder.path().join("Dockerfile");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let complaints = lint(&file).unwrap_err();
        assert!(complaints.contains(found), "{found}: {complaints}");
    }
}

#[test]
fn images_are_built_with_the_compiler_of_the_workspace() {
    let toolchain = std::fs::read_to_string(workspace_root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain
        .split("channel = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let rust = dockerfile();
    let rust = rust.lines().find_map(|line| line.strip_prefix("ARG RUST="));
    assert!(channel.is_some() && channel == rust, "{channel:?} {rust:?}");
}

#[test]
fn the_image_is_nobodys_and_knows_whether_it_lives() {
    let text = dockerfile();
    let (_, image) = text.split_once("FROM scratch AS image\n").unwrap();
    let image = image.split("\nFROM ").next().unwrap();
    for line in [
        "USER 65532:65532",
        "ENTRYPOINT [\"/service\"]",
        "CMD [\"/service\", \"healthcheck\"]",
    ] {
        assert!(image.contains(line), "{line}");
    }
    // The image itself, and the two that are made of it.
    assert_eq!(text.matches("\nFROM scratch AS image\n").count(), 1);
    assert!(
        text.trim_end()
            .rsplit("\nFROM ")
            .next()
            .unwrap()
            .starts_with("image\n")
    );
}
