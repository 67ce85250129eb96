//! One stack per clone: who runs it, with which settings, and how to end it.
//!
//! The lock is the truth about whether a stack runs: the system gives it back when its holder dies, however that
//! happens. What the holder says about itself lies beside it and is only believed while the lock is held.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::env_file::write_private;
use crate::environment::Environment;
use crate::places::{self, Places};
use crate::services::SERVICES;
use crate::{say, settings};

/// Services finish their work within 30 s; PostgreSQL and the rest take a moment more.
const STOP_TIME: Duration = Duration::from_secs(50);
const KILL_TIME: Duration = Duration::from_secs(5);

/// The right to run this clone's stack; given back when dropped.
pub struct Lock {
    _file: File,
}

/// Whether the stack runs.
pub enum Holder {
    /// It does not, and now is ours to run.
    Nobody(Lock),
    /// This process runs it.
    Process(i32),
}

/// What a running stack says about itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct State {
    /// Who runs it.
    pub pid: i32,
    /// Everything is ready.
    pub ready: bool,
    /// What it was started with ([`fingerprint`]).
    pub fingerprint: String,
    /// What to tell a person.
    pub table: String,
    /// Base URLs of the services.
    pub urls: Vec<String>,
    /// Where services can be borrowed.
    pub loan: Option<Desk>,
}

/// Where a running stack lends its services.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Desk {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Shows that the borrower may read this file.
    pub token: String,
}

/// Takes the lock, or tells who has it.
///
/// # Errors
/// The lock cannot be opened, or its holder is not known.
pub fn acquire(places: &Places) -> Result<Holder> {
    let path = places.lock();
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = opened.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", std::process::id())?;
            file.flush()?;
            Ok(Holder::Nobody(Lock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => holder(&mut file).map(Holder::Process),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn holder(file: &mut File) -> Result<i32> {
    for _ in 0..20 {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        if let Ok(pid) = text.trim().parse() {
            return Ok(pid);
        }
        // The holder took the lock just now and has not written its number yet.
        std::thread::sleep(Duration::from_millis(25));
    }
    bail!("another devstack runs in this clone and does not say which")
}

/// What the stack that runs now says about itself; none before it says anything.
#[must_use]
pub fn read(places: &Places, holder: i32) -> Option<State> {
    let text = std::fs::read_to_string(places.state_file()).ok()?;
    serde_json::from_str(&text)
        .ok()
        .filter(|state: &State| state.pid == holder)
}

/// Says it.
///
/// # Errors
/// The file cannot be written.
pub fn write(places: &Places, state: &State) -> Result<()> {
    write_private(&places.state_file(), &serde_json::to_string(state)?)
}

/// Takes back what a stack said; also after one that could not do it itself.
pub fn clear(places: &Places) {
    for path in [places.state_file(), places.env_file()] {
        let _ = std::fs::remove_file(path);
    }
}

/// Ends the stack of this clone, if it runs.
///
/// # Errors
/// It cannot be ended.
pub fn stop(places: &Places) -> Result<bool> {
    let pid = match acquire(places)? {
        Holder::Nobody(_lock) => {
            clear(places);
            return Ok(false);
        }
        Holder::Process(pid) => pid,
    };
    say::progress(&format!("stopping the stack (process {pid})"));
    for (signal, time) in [(Signal::SIGTERM, STOP_TIME), (Signal::SIGKILL, KILL_TIME)] {
        // It may have ended meanwhile; the lock tells.
        let _ = kill(Pid::from_raw(pid), signal);
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if let Holder::Nobody(_lock) = acquire(places)? {
                clear(places);
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    bail!("process {pid} runs the stack and cannot be ended")
}

/// Tells one way of running the stack from another: settings given by the caller, and the programs. A hash, so that no
/// secret is written down.
///
/// # Errors
/// A service's program is not built.
pub fn fingerprint(caller: &Environment) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    settings::overrides(caller).hash(&mut hasher);
    for service in &SERVICES {
        stamp(&places::program(service.name)?)?.hash(&mut hasher);
    }
    stamp(&places::program("devstack")?)?.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn stamp(program: &Path) -> Result<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let metadata = program.metadata()?;
    Ok((program.to_path_buf(), metadata.len(), metadata.modified()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::at(directory.path().join("state")).unwrap();
        (directory, places)
    }

    #[test]
    fn the_lock_is_held_once_and_names_its_holder() {
        let (_directory, places) = places();
        let Holder::Nobody(lock) = acquire(&places).unwrap() else {
            panic!("the lock is taken")
        };
        let Holder::Process(pid) = acquire(&places).unwrap() else {
            panic!("the lock is free")
        };
        assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
        drop(lock);
        // A child that another test is just starting holds the descriptor until it becomes its program.
        let begun = Instant::now();
        while !matches!(acquire(&places).unwrap(), Holder::Nobody(_)) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the lock stays taken");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_a_dead_stack_said_is_not_believed() {
        let (_directory, places) = places();
        let state = State {
            pid: 7,
            ready: true,
            fingerprint: "f".into(),
            table: "t".into(),
            urls: vec![],
            loan: None,
        };
        write(&places, &state).unwrap();
        assert!(read(&places, 8).is_none());
        assert_eq!(read(&places, 7).unwrap().table, "t");
        assert!(!stop(&places).unwrap());
        assert!(!places.state_file().exists());
    }
}
