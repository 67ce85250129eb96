//! Ends a stack's processes when devstack itself is killed.
//!
//! A small process of its own (`devstack guard`), in a session of its own, reads what to watch over from a pipe whose
//! other end only devstack holds. When that end closes, whatever is still on the list is ended: a process group gets
//! SIGKILL, PostgreSQL first SIGQUIT (its immediate shutdown, which takes its own children along). On Linux every
//! process that carries the stack's mark in its environment is ended too, so that nothing slips through between its
//! start and its line on the list.
//!
//! Lines: `mark <word>`, `watch <pid> kill|quit`, `forget <pid>`, `remove <directory>`, `done`.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// The variable that marks a stack's processes.
pub(crate) const MARK: &str = "SWITCHHOOK_STACK";
/// How long PostgreSQL has for its immediate shutdown.
const QUIT_GRACE: Duration = Duration::from_millis(1200);

/// How a watched process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL to its group.
    Kill,
    /// SIGQUIT, and SIGKILL a moment later.
    Quit,
}

/// The guard of one stack, seen from devstack.
pub struct Guard {
    mark: String,
    pipe: Mutex<Option<ChildStdin>>,
    child: Child,
}

impl Guard {
    /// Starts the guard: `program` is the devstack binary.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("guard")
            // A stack that was started inside another one keeps its guard when the outer one is ended.
            .env_remove(MARK)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let guard = Self {
            mark: crate::secrets::word(),
            pipe: Mutex::new(child.stdin.take()),
            child,
        };
        guard.tell(&format!("mark {}", guard.mark));
        Ok(guard)
    }

    /// What the stack's processes carry in `SWITCHHOOK_STACK`.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Watches a process (and the group it leads).
    pub fn watch(&self, pid: i32, ending: Ending) {
        let word = if ending == Ending::Kill { "kill" } else { "quit" };
        self.tell(&format!("watch {pid} {word}"));
    }

    /// Stops watching a process that has ended.
    pub fn forget(&self, pid: i32) {
        self.tell(&format!("forget {pid}"));
    }

    /// Has a directory removed if devstack cannot do it any more.
    pub fn remove(&self, directory: &Path) {
        self.tell(&format!("remove {}", directory.display()));
    }

    /// Everything has been stopped and removed. What a command started and left behind is still ended.
    pub fn done(&self) {
        self.tell("done");
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // A guard that somebody killed cannot be told anything; the stack itself still works.
            let _ = writeln!(pipe, "{line}").and_then(|()| pipe.flush());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.child.wait();
    }
}

/// What the guard process knows.
#[derive(Default)]
struct Watched {
    mark: Option<String>,
    processes: BTreeMap<i32, (Ending, Option<String>)>,
    directories: Vec<PathBuf>,
}

/// The guard process: reads until the pipe closes, then ends what is left.
///
/// # Errors
/// The pipe cannot be read.
pub fn run() -> Result<()> {
    // Fails only for a process that leads its group already, and then it is out of the terminal's reach as well.
    let _ = nix::unistd::setsid();
    let mut watched = Watched::default();
    for line in std::io::stdin().lock().lines() {
        watched.read(&line?);
    }
    watched.end();
    Ok(())
}

impl Watched {
    fn read(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "mark" => self.mark = Some(rest.to_owned()),
            "watch" => {
                let (pid, ending) = rest.split_once(' ').unwrap_or((rest, "kill"));
                if let Ok(pid) = pid.parse() {
                    let ending = if ending == "quit" {
                        Ending::Quit
                    } else {
                        Ending::Kill
                    };
                    self.processes.insert(pid, (ending, started(pid)));
                }
            }
            "forget" => {
                rest.parse().ok().and_then(|pid: i32| self.processes.remove(&pid));
            }
            "remove" => self.directories.push(PathBuf::from(rest)),
            "done" => {
                self.processes.clear();
                self.directories.clear();
            }
            _ => {}
        }
    }

    fn end(&self) {
        // PostgreSQL's children lead sessions of their own and hide their environment.
        let quitting = self.alive().filter(|(_, ending)| *ending == Ending::Quit);
        let families: Vec<(i32, Option<String>)> = quitting
            .flat_map(|(pid, _)| children(pid))
            .map(|pid| (pid, started(pid)))
            .collect();
        for pid in self
            .alive()
            .map(|(pid, _)| pid)
            .chain(families.iter().map(|(pid, _)| *pid))
        {
            // A paused process only acts on SIGQUIT once it goes on.
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
        for (pid, ending) in self.alive() {
            match ending {
                Ending::Kill => end_group(pid),
                Ending::Quit => drop(kill(Pid::from_raw(pid), Signal::SIGQUIT)),
            }
        }
        self.end_marked();
        let deadline = Instant::now() + QUIT_GRACE;
        while self.alive().next().is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.alive().for_each(|(pid, _)| end_group(pid));
        families
            .iter()
            .filter(|(pid, start)| start.is_some() && started(*pid) == *start)
            .for_each(|(pid, _)| end_group(*pid));
        self.end_marked();
        for directory in &self.directories {
            let _ = std::fs::remove_dir_all(directory);
        }
    }

    fn alive(&self) -> impl Iterator<Item = (i32, Ending)> {
        let same = |(pid, (_, start)): &(&i32, &(Ending, Option<String>))| {
            kill(Pid::from_raw(**pid), None).is_ok() && (start.is_none() || started(**pid) == *start)
        };
        self.processes
            .iter()
            .filter(same)
            .map(|(pid, (ending, _))| (*pid, *ending))
    }

    /// Ends what carries the mark; PostgreSQL on its way down hides it, or is spared.
    fn end_marked(&self) {
        let Some(mark) = &self.mark else { return };
        let marked = format!("{MARK}={mark}").into_bytes();
        let quits = |pid: i32| {
            self.processes
                .get(&pid)
                .is_some_and(|(ending, _)| *ending == Ending::Quit)
        };
        for pid in process_ids() {
            let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else {
                continue;
            };
            let spared = quits(pid) || parent(pid).is_some_and(quits);
            if !spared
                && environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == marked)
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

fn end_group(pid: i32) {
    // Not every watched process leads a group.
    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// All processes, where the system has `/proc`.
fn process_ids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The direct children of a process.
pub(crate) fn children(of: i32) -> Vec<i32> {
    process_ids()
        .into_iter()
        .filter(|pid| parent(*pid) == Some(of))
        .collect()
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// When a process began: tells it from a later one with the same number. A process that has ended has none, also while
/// it has not been collected.
fn started(pid: i32) -> Option<String> {
    let fields = stat(pid)?;
    (fields.first()? != "Z").then(|| fields.get(19).cloned())?
}

/// The fields of `/proc/<pid>/stat` after the name, which may hold anything.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_follows_the_lines() {
        let mut watched = Watched::default();
        for line in [
            "mark abc",
            "watch 11 kill",
            "watch 12 quit",
            "watch x kill",
            "forget 11",
            "remove /a b",
            "?",
        ] {
            watched.read(line);
        }
        assert_eq!(watched.mark.as_deref(), Some("abc"));
        assert_eq!(watched.processes.keys().collect::<Vec<_>>(), [&12]);
        assert_eq!(watched.processes[&12].0, Ending::Quit);
        assert_eq!(watched.directories, [PathBuf::from("/a b")]);
        watched.read("done");
        assert!(watched.processes.is_empty() && watched.directories.is_empty());
        // What still carries the mark then was left behind by somebody.
        assert!(watched.mark.is_some());
    }

    #[test]
    fn a_number_that_was_given_to_another_process_is_left_alone() {
        let mut watched = Watched::default();
        let own = i32::try_from(std::process::id()).unwrap();
        watched
            .processes
            .insert(own, (Ending::Kill, Some("another start".into())));
        assert_eq!(watched.alive().count(), 0);
        watched.processes.insert(own, (Ending::Kill, started(own)));
        assert_eq!(watched.alive().count(), 1);
    }
}
