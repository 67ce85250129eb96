//! Where findings go: the terminal as they come, `target/bench/report.md` and pictures beside it at the end.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use e2e::workspace_root;

use crate::report::{Section, so_far};
use crate::{charts, machine};

/// How far the run is, beside the figures.
#[allow(clippy::print_stderr, reason = "the figures are the output")]
pub(crate) fn progress(text: &str) {
    eprintln!("· {text}");
}

#[allow(clippy::print_stdout, reason = "the figures are the output")]
fn print(section: &Section) {
    print!("{}", section.text());
}

/// Prints the sections from this one on.
pub(crate) fn sections(first: usize) {
    so_far().sections.iter().skip(first).for_each(print);
}

/// Prints the goals, and writes everything down.
pub(crate) fn report(took: Duration, failed: &[&str]) -> Result<()> {
    let report = so_far();
    let goals = report.goals();
    print(&goals);
    let folder = folder()?;
    let mut text = "# What it costs, and how fast it is\n\n".to_owned();
    for (name, value) in machine::facts() {
        writeln!(text, "- {name}: {value}")?;
    }
    writeln!(
        text,
        "- took {:.0} s; the load of the machine at the end was {}",
        took.as_secs_f64(),
        machine::noise()
    )?;
    if !failed.is_empty() {
        writeln!(text, "- **failed: {}**", failed.join(", "))?;
    }
    text.push_str("\nA value is the median of its rounds, which alternate between all who are compared; the spread is that of the rounds.\n");
    text.push_str(&goals.markdown(None));
    for section in &report.sections {
        let name = format!("{}.svg", file_name(&section.title));
        let picture = charts::svg(section)?;
        if let Some(picture) = &picture {
            std::fs::write(folder.join(&name), picture)?;
        }
        text.push_str(&section.markdown(picture.map(|_| name.as_str())));
    }
    let path = folder.join("report.md");
    std::fs::write(&path, text)?;
    progress(&format!("{}, {:.0} s", path.display(), took.as_secs_f64()));
    Ok(())
}

/// An empty `target/bench`.
fn folder() -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace_root().join("target"), PathBuf::from);
    let folder = target.join("bench");
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The title in letters that a file's name may have.
fn file_name(title: &str) -> String {
    let letters = title.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    let name: String = letters.collect();
    name.split('-')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
