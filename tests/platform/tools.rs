//! Programs of others: found on the `PATH` or among the project's tools, and run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What `make k8s` has brought, or the machine has.
fn program(name: &str) -> PathBuf {
    found(name).unwrap_or_else(|| panic!("{name} is not here: run `make k8s`, which brings it"))
}

/// Whether it is here.
pub(crate) fn is_there(name: &str) -> bool {
    found(name).is_some()
}

fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let tools = cache.map(|cache| cache.join("switchhook/tools/bin"));
    let places = std::env::split_paths(&path).chain(tools);
    let mut files = places.map(|place| place.join(name));
    files.find(|file| file.is_file())
}

/// Runs it in a directory; what it printed, or what it complained about.
pub(crate) fn run(name: &str, words: &[&OsStr], directory: &Path) -> Result<String, String> {
    let output = Command::new(program(name))
        .args(words)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("{name} cannot be run: {error}"));
    said(&output)
}

/// Its output when it went well, else all that it said.
pub(crate) fn said(output: &Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}
