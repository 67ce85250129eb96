//! One process of a service: started, asked, frozen, killed, started again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use crate::guard::{Ending, Guard};
use crate::logs::Output;
use crate::probe;
use crate::process::{Process, Program};
use crate::services::Service;

/// More than the services' own `SHUTDOWN_TIMEOUT`: past it, nothing is being finished any more.
const STOP_TIME: Duration = Duration::from_secs(30);

/// Whether a process is meant to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// It is, and its end is an accident.
    Run,
    /// It was ended on purpose.
    Rest,
    /// Somebody runs the service in its place.
    Lent(Option<i32>),
}

/// A process of a service.
pub struct Replica {
    pub(super) service: &'static Service,
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) ws_url: Option<String>,
    pub(super) program: PathBuf,
    pub(super) variables: Vec<(String, String)>,
    pub(super) output: Output,
    pub(super) slot: Mutex<Slot>,
}

pub(super) struct Slot {
    process: Option<Process>,
    intent: Intent,
}

impl Slot {
    pub(super) fn empty() -> Self {
        Self {
            process: None,
            intent: Intent::Rest,
        }
    }
}

impl Replica {
    /// Which service it is of.
    #[must_use]
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its WebSockets are, where it has them.
    #[must_use]
    pub fn ws_url(&self) -> Option<&str> {
        self.ws_url.as_deref()
    }

    /// The settings that it is given.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Starts the process, unless it runs.
    ///
    /// # Errors
    /// The program cannot be started.
    pub async fn start(&self, guard: &Arc<Guard>) -> Result<()> {
        let mut slot = self.slot.lock().await;
        slot.intent = Intent::Run;
        if slot.process.as_ref().is_some_and(Process::is_running) {
            return Ok(());
        }
        let program = Program {
            name: self.name.clone(),
            path: self.program.clone(),
            arguments: vec!["serve".to_owned()],
            variables: self.variables.clone(),
            account: None,
            directory: None,
            ending: Ending::Kill,
        };
        slot.process = Some(Process::start(&program, &self.output, guard)?);
        Ok(())
    }

    /// Stops the process in an orderly way; gives its exit code where it had one.
    pub async fn stop(&self) -> Option<i32> {
        self.end(Signal::SIGTERM).await
    }

    /// Kills the process.
    pub async fn kill9(&self) {
        self.end(Signal::SIGKILL).await;
    }

    async fn end(&self, signal: Signal) -> Option<i32> {
        let mut slot = self.slot.lock().await;
        slot.intent = Intent::Rest;
        let process = slot.process.take()?;
        process.stop(signal, STOP_TIME).await?.code()
    }

    /// Freezes the process.
    pub async fn pause(&self) {
        self.signal(Signal::SIGSTOP).await;
    }

    /// Lets the process go on.
    pub async fn resume(&self) {
        self.signal(Signal::SIGCONT).await;
    }

    /// Sends a signal.
    pub async fn signal(&self, signal: Signal) {
        if let Some(process) = &self.slot.lock().await.process {
            process.signal(signal);
        }
    }

    /// The number of the process that serves: its own while it runs, or that of whoever runs it in its place.
    pub async fn pid(&self) -> Option<i32> {
        let slot = self.slot.lock().await;
        match slot.intent {
            Intent::Lent(pid) => pid,
            _ => slot
                .process
                .as_ref()
                .filter(|process| process.is_running())
                .map(Process::pid),
        }
    }

    /// Whether it is meant to run.
    pub async fn intent(&self) -> Intent {
        self.slot.lock().await.intent
    }

    /// Leaves its place to somebody else's process.
    pub(crate) async fn lend(&self, pid: Option<i32>) {
        self.slot.lock().await.intent = Intent::Lent(pid);
    }

    /// The process's last words, if it ended by accident.
    pub(crate) async fn accident(&self) -> Option<String> {
        let slot = self.slot.lock().await;
        let process = slot.process.as_ref().filter(|process| !process.is_running())?;
        if slot.intent != Intent::Run {
            return None;
        }
        let how = process
            .ended()
            .await
            .map_or_else(|| "gone".to_owned(), |status| status.to_string());
        Some(format!("{how}. Its last words:\n{}", process.tail()))
    }

    pub(super) async fn wait_until_ready(&self, time: Duration, every: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + time;
        loop {
            let Err(failure) = probe::ready(&self.url).await else {
                return Ok(());
            };
            if let Some(words) = self.accident().await {
                bail!("{} ended while starting: {words}", self.name);
            }
            if tokio::time::Instant::now() > deadline {
                let slot = self.slot.lock().await;
                let tail = slot.process.as_ref().map(Process::tail).unwrap_or_default();
                bail!(
                    "{} was not ready within {} s: {failure:#}. Its last words:\n{tail}",
                    self.name,
                    time.as_secs()
                );
            }
            tokio::time::sleep(every).await;
        }
    }

    /// The last lines that the process printed.
    pub async fn tail(&self) -> String {
        self.slot
            .lock()
            .await
            .process
            .as_ref()
            .map(Process::tail)
            .unwrap_or_default()
    }
}
