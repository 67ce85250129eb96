//! PostgreSQL's own programs, wherever the system keeps them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::{is_executable, on_path};

/// The oldest PostgreSQL that the services work with.
const OLDEST: u32 = 14;
/// Directories that hold one directory per version.
const VERSIONED: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/libexec/postgresql", ""),
    ("/usr/local/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];
/// Directories whose name holds the version.
const NUMBERED: [(&str, &str); 3] = [
    ("/usr", "pgsql-"),
    ("/usr/libexec", "postgresql"),
    ("/usr/lib", "postgresql"),
];

/// The server programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Where `initdb` and `postgres` are.
    pub directory: PathBuf,
    /// The major version.
    pub version: u32,
}

impl Programs {
    fn in_directory(directory: &Path) -> Option<Self> {
        if !is_executable(&directory.join("initdb")) || !is_executable(&directory.join("postgres")) {
            return None;
        }
        let output = Command::new(directory.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let version = major(&String::from_utf8_lossy(&output.stdout))?;
        (version >= OLDEST).then(|| Self {
            directory: directory.to_path_buf(),
            version,
        })
    }

    /// One of the programs.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// The newest programs on this machine.
#[must_use]
pub fn find() -> Option<Programs> {
    all().into_iter().max_by_key(|programs| programs.version)
}

/// The programs that can run a cluster of this version.
#[must_use]
pub fn find_version(version: u32) -> Option<Programs> {
    all().into_iter().find(|programs| programs.version == version)
}

fn all() -> Vec<Programs> {
    let mut directories = Vec::new();
    if let Some(output) =
        on_path("pg_config").and_then(|program| Command::new(program).arg("--bindir").output().ok())
    {
        directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    directories.extend(
        on_path("initdb").and_then(|program| Some(program.canonicalize().ok()?.parent()?.to_path_buf())),
    );
    for (parent, below) in VERSIONED {
        directories.extend(entries(parent).into_iter().map(|directory| directory.join(below)));
    }
    for (parent, prefix) in NUMBERED {
        let named = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        };
        directories.extend(
            entries(parent)
                .into_iter()
                .filter(named)
                .flat_map(|path| [path.join("bin"), path]),
        );
    }
    directories.sort();
    directories.dedup();
    directories
        .iter()
        .filter_map(|directory| Programs::in_directory(directory))
        .collect()
}

fn entries(directory: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_any_build_s_words() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("bash 5.2"), None);
    }
}
