//! What children print: to the terminal with a prefix, to a file, and the last lines kept for error messages.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Lines that are kept of each process.
const KEPT_LINES: usize = 60;
/// A log file that grew larger is set aside (one older file is kept).
const MAX_FILE_BYTES: u64 = 32 << 20;
const PREFIX_WIDTH: usize = 18;
const COLOURS: [u8; 6] = [36, 35, 33, 32, 34, 31];

/// Where the lines of a stack's processes go.
#[derive(Clone, Debug)]
pub struct Output {
    /// Print them to standard output, each with the name of its process.
    pub terminal: bool,
    /// Write them to `<name>.log` in this directory.
    pub directory: Option<PathBuf>,
}

impl Output {
    /// Neither printed nor written: only the last lines are kept, for error messages.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            terminal: false,
            directory: None,
        }
    }
}

/// Takes the lines of one process.
#[derive(Clone)]
pub(crate) struct Sink {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    prefix: Option<String>,
    file: Option<(PathBuf, File)>,
    kept: VecDeque<String>,
}

impl Sink {
    pub(crate) fn new(name: &str, output: &Output) -> Self {
        let prefix = output
            .terminal
            .then(|| prefix(name, std::io::stdout().is_terminal()));
        let file = output
            .directory
            .as_deref()
            .and_then(|directory| open(directory, name));
        Self {
            inner: Arc::new(Mutex::new(Inner {
                prefix,
                file,
                kept: VecDeque::new(),
            })),
        }
    }

    /// Reads a stream to its end, in the background.
    pub(crate) fn follow(&self, stream: impl AsyncRead + Unpin + Send + 'static) {
        let sink = self.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(read) = reader.read_until(b'\n', &mut line).await {
                if read == 0 {
                    break;
                }
                sink.line(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        });
    }

    fn line(&self, line: &str) {
        let mut inner = self.locked();
        if let Some(prefix) = &inner.prefix {
            // A closed terminal is no reason to stop reading: the child would block.
            let _ = writeln!(std::io::stdout().lock(), "{prefix} {line}");
        }
        if let Some((path, file)) = &mut inner.file {
            let _ = writeln!(file, "{line}");
            rotate(path, file);
        }
        if inner.kept.len() == KEPT_LINES {
            inner.kept.pop_front();
        }
        inner.kept.push_back(line.to_owned());
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        self.locked()
            .kept
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect()
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(directory: &Path, name: &str) -> Option<(PathBuf, File)> {
    let path = directory.join(format!("{name}.log"));
    let file = OpenOptions::new().create(true).append(true).open(&path).ok()?;
    Some((path, file))
}

fn rotate(path: &Path, file: &mut File) {
    if file
        .metadata()
        .is_ok_and(|metadata| metadata.len() < MAX_FILE_BYTES)
    {
        return;
    }
    let _ = std::fs::rename(path, path.with_extension("log.old"));
    if let Ok(fresh) = OpenOptions::new().create(true).append(true).open(path) {
        *file = fresh;
    }
}

/// The name in front of each line; coloured, always the same colour for the same name.
pub(crate) fn prefix(name: &str, coloured: bool) -> String {
    let padded = format!("{name:<PREFIX_WIDTH$}");
    if !coloured {
        return format!("{padded} |");
    }
    let sum: usize = name.bytes().map(usize::from).sum();
    let colour = COLOURS.get(sum % COLOURS.len()).copied().unwrap_or(36);
    format!("\x1b[{colour}m{padded} |\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_alone() {
        assert_eq!(prefix("session-svc", false), "session-svc        |");
        assert!(prefix("session-svc", true).starts_with("\x1b["));
    }

    #[tokio::test]
    async fn lines_reach_the_file_and_the_last_ones_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let output = Output {
            terminal: false,
            directory: Some(directory.path().to_path_buf()),
        };
        let sink = Sink::new("thing", &output);
        for number in 0..KEPT_LINES + 3 {
            sink.line(&format!("line {number}"));
        }
        let text = std::fs::read_to_string(directory.path().join("thing.log")).unwrap();
        assert_eq!(text.lines().count(), KEPT_LINES + 3);
        assert!(sink.tail().starts_with("    line 3\n"), "{}", sink.tail());
    }

    #[test]
    fn a_file_that_grew_too_large_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let (path, mut file) = open(directory.path(), "thing").unwrap();
        file.set_len(MAX_FILE_BYTES).unwrap();
        rotate(&path, &mut file);
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(directory.path().join("thing.log.old").is_file());
    }
}
