//! `target/devstack/env`: what a running stack tells a shell, as `KEY='value'` lines.
//!
//! It holds secrets: it is readable by its owner alone, and replaced as a whole so that no reader sees half of it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file that only its owner can read, in one step.
///
/// # Errors
/// The directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let name = path
        .file_name()
        .context("a file has a name")?
        .to_string_lossy()
        .into_owned();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // A draft that a killed process left behind would keep its own permissions.
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    file.write_all(text.as_bytes())?;
    drop(file);
    std::fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))
}

/// The lines of the file.
#[must_use]
pub fn render(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| format!("{name}={}\n", quoted(value)))
        .collect()
}

/// The value as one word of a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        let values = [
            "plain",
            "",
            "it's",
            "a b\tc",
            "$HOME `id` \\ \"q\"",
            "two\nlines",
            "ünï",
            "''",
        ];
        let pairs: Vec<(String, String)> = values
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("K{at}"), (*value).to_owned()))
            .collect();
        write_private(&path, &render(&pairs)).unwrap();
        for (name, value) in &pairs {
            let script = format!(". {}; printf %s \"${name}\"", path.display());
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *value);
        }
    }

    #[test]
    fn the_file_is_private_also_when_an_open_one_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        std::fs::write(&path, "OLD='1'\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, "NEW='1'\n").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "NEW='1'\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
