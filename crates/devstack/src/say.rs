//! Words for the person at the terminal.
//!
//! Progress goes to standard error, results to standard output. A closed pipe is no reason to stop a stack.

use std::io::{IsTerminal, Write};

/// A line of progress.
pub fn progress(line: &str) {
    let mut out = std::io::stderr().lock();
    let _ = if out.is_terminal() {
        writeln!(out, "\x1b[2m·\x1b[0m {line}")
    } else {
        writeln!(out, "· {line}")
    };
}

/// A line that must not be missed.
pub fn loudly(line: &str) {
    let mut out = std::io::stderr().lock();
    let _ = if out.is_terminal() {
        writeln!(out, "\x1b[1;31m!! {line}\x1b[0m")
    } else {
        writeln!(out, "!! {line}")
    };
}

/// A result.
pub fn result(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
