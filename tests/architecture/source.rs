//! The source tree as text: which files count, and which lines of them are not tests.

use std::path::Path;

use e2e::workspace_root;

/// A file of the workspace, its path relative to the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A line of production code.
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) number: usize,
    pub(crate) text: String,
}

impl Line {
    /// Whether the line imports or paths into the crate: `use sqlx…`, `sqlx::…`.
    pub(crate) fn names_crate(&self, name: &str) -> bool {
        let code = self.text.split("//").next().unwrap_or_default();
        let path = format!("{name}::");
        let starts = |at: usize| {
            at == 0 || !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        };
        code.match_indices(&path).any(|(at, _)| starts(at))
            || code.trim().trim_end_matches(';') == format!("use {name}")
    }
}

/// A manifest below a folder.
pub(crate) struct Manifest {
    pub(crate) name: String,
    text: String,
}

impl Manifest {
    pub(crate) fn depends_on(&self, other: &str) -> bool {
        self.text.lines().any(|line| {
            let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
            key == other
        })
    }
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn walk(dir: &Path, ending: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && name != ".git" {
                walk(&path, ending, found);
            }
        } else if name.to_string_lossy().ends_with(ending) {
            let relative = path.strip_prefix(workspace_root()).unwrap_or(&path);
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

/// All Rust files of the workspace.
pub(crate) fn rust_files() -> Vec<String> {
    let mut found = Vec::new();
    for part in ["crates", "services", "tests"] {
        walk(&workspace_root().join(part), ".rs", &mut found);
    }
    assert!(found.len() > 20, "the source tree was not found");
    found.sort();
    found
}

/// Rust files below a `src` folder of a crate or service.
pub(crate) fn production_files() -> impl Iterator<Item = File> {
    let production = |path: &String| {
        (path.starts_with("crates/") || path.starts_with("services/"))
            && path.contains("/src/")
            && !path.ends_with("/tests.rs")
            && !path.contains("/tests/")
    };
    rust_files().into_iter().filter(production).map(|path| File {
        text: read(&path),
        path,
    })
}

/// Lines of production files above their `#[cfg(test)]` module, which stands at a file's end.
pub(crate) fn lines_outside_tests() -> impl Iterator<Item = Line> {
    production_files().flat_map(|File { path, text }| {
        let lines: Vec<Line> = text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| Line {
                path: path.clone(),
                number: index + 1,
                text: line.to_owned(),
            })
            .collect();
        lines
    })
}

/// The manifests of the packages directly below a folder.
pub(crate) fn manifests(folder: &str) -> Vec<Manifest> {
    let mut found = Vec::new();
    walk(&workspace_root().join(folder), "Cargo.toml", &mut found);
    found
        .iter()
        .map(|path| {
            let text = read(path);
            let name = text
                .lines()
                .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
            Manifest {
                name: name.unwrap_or_default().to_owned(),
                text: text.clone(),
            }
        })
        .collect()
}

/// The migrations of all services.
pub(crate) fn migrations() -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&workspace_root().join("services"), ".sql", &mut found);
    found
        .into_iter()
        .map(|path| (read(&path), path))
        .map(|(text, path)| (path, text))
        .collect()
}
