//! One child process: started in a group of its own, watched by the guard, never left behind.
//!
//! A [`Process`] that is dropped is ended. Who restarts what, and why, is decided elsewhere.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::watch;

use crate::guard::{Ending, Guard, MARK};
use crate::logs::{Output, Sink};

/// Variables of PostgreSQL's client library, which would lead its programs elsewhere.
const POSTGRES_VARIABLES: [&str; 8] = [
    "PGDATA",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGSERVICE",
];

/// An account of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// What to start, and how.
pub struct Program {
    /// The name in front of its lines, and of its log file.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Arguments. Never secrets: everybody can read them.
    pub arguments: Vec<String>,
    /// Variables set beside the inherited ones.
    pub variables: Vec<(String, String)>,
    /// Another account to run as.
    pub account: Option<Account>,
    /// Another directory to run in.
    pub directory: Option<PathBuf>,
    /// How it is ended when nobody can ask it to stop.
    pub ending: Ending,
}

/// A running child process, or one that ended.
pub struct Process {
    pid: i32,
    ending: Ending,
    exit: watch::Receiver<Option<ExitStatus>>,
    sink: Sink,
    guard: Arc<Guard>,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(program: &Program, output: &Output, guard: &Arc<Guard>) -> Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .env(MARK, guard.mark())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        if let Some(account) = program.account {
            command.uid(account.uid).gid(account.gid);
        }
        if program.ending == Ending::Quit {
            for name in POSTGRES_VARIABLES {
                command.env_remove(name);
            }
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .context("a started process has a number")?;
        guard.watch(pid, program.ending);
        let sink = Sink::new(&program.name, output);
        child
            .stdout
            .take()
            .into_iter()
            .for_each(|stream| sink.follow(stream));
        child
            .stderr
            .take()
            .into_iter()
            .for_each(|stream| sink.follow(stream));
        let (ended, exit) = watch::channel(None);
        let watching = Arc::clone(guard);
        tokio::spawn(async move {
            let status = child.wait().await;
            watching.forget(pid);
            // A status that cannot be had counts as an end all the same: the receiver sees the channel closed.
            if let Ok(status) = status {
                ended.send_replace(Some(status));
            }
        });
        Ok(Self {
            pid,
            ending: program.ending,
            exit,
            sink,
            guard: Arc::clone(guard),
        })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.exit.borrow().is_none() && self.exit.has_changed().is_ok()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// Sends a signal to it and its group; nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() {
            // Its end may be noticed a moment later than it happened.
            let _ = killpg(Pid::from_raw(self.pid), signal);
        }
    }

    /// Sends a signal to it alone.
    pub fn signal_alone(&self, signal: Signal) {
        if self.is_running() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks it to end, and ends it when it has not done so in time.
    pub async fn stop(&self, signal: Signal, grace: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGCONT);
        self.signal_alone(signal);
        if let Ok(status) = tokio::time::timeout(grace, self.ended()).await {
            return status;
        }
        self.signal(Signal::SIGKILL);
        self.ended().await
    }

    /// The last lines it printed.
    #[must_use]
    pub fn tail(&self) -> String {
        self.sink.tail()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.ending {
            Ending::Kill => self.signal(Signal::SIGKILL),
            Ending::Quit => {
                self.signal(Signal::SIGCONT);
                self.signal_alone(Signal::SIGQUIT);
                // The guard makes sure of it: the line on its list stays until the end is seen.
                self.guard.watch(self.pid, Ending::Quit);
            }
        }
    }
}
