//! What the figures were measured on.

use std::process::Command;

use devstack::postgres::programs;
use e2e::people::now;
use e2e::workspace_root;

/// Lines for the top of the report: name and value.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let cpu = first("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = first("/proc/meminfo", "MemTotal").unwrap_or_else(unknown);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let postgres = programs::find().map(|programs| programs.path("postgres").display().to_string());
    vec![
        ("date", now().format("%Y-%m-%d %H:%M UTC").to_string()),
        (
            "commit",
            said("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        ),
        (
            "machine",
            format!("{cores} × {cpu}, {memory}, Linux {}", kernel.trim()),
        ),
        (
            "PostgreSQL",
            postgres.map_or_else(unknown, |path| said(&path, &["--version"])),
        ),
        ("Node", said("node", &["--version"])),
        ("Python", said("python3", &["--version"])),
        ("Rust", said("rustc", &["--version"])),
    ]
}

/// Share of the machine's time that others have had since it was started, and how long the queue for its cores is now.
pub(crate) fn noise() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The first line of the file that begins with the name, without it.
fn first(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program says about itself, on one line.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .current_dir(workspace_root())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
