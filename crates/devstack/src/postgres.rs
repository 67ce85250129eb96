//! A private PostgreSQL: made, started, stopped, and brought back after whatever happened to it.
//!
//! It listens on 127.0.0.1 alone, on a port of its own, and admits who knows its random password. Nothing here touches a
//! cluster that devstack did not make.

mod cluster;
pub mod databases;
pub mod home;
pub mod programs;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::Mutex;

use crate::guard::{Ending, Guard};
use crate::logs::Output;
use crate::packages::{self, Need};
use crate::process::{Process, Program};
use crate::{places, say};
use home::Home;
use programs::Programs;

/// The superuser of a private cluster.
pub(crate) const USER: &str = "switchhook";
/// The database that a stack's services share.
pub(crate) const DATABASE: &str = "switchhook";
const START_TIME: Duration = Duration::from_secs(60);
const STOP_TIME: Duration = Duration::from_secs(15);

/// Whether a cluster must survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Kept: `make up`'s data is there again tomorrow.
    Kept,
    /// Thrown away afterwards: fast, for tests.
    ThrowAway,
    /// Thrown away afterwards, and until then as durable as in production: for figures.
    Measured,
}

/// A private PostgreSQL server.
pub struct Postgres {
    home: Home,
    programs: Programs,
    durability: Durability,
    port: u16,
    password: String,
    output: Output,
    guard: Arc<Guard>,
    server: Mutex<Option<Process>>,
}

impl Postgres {
    /// Starts the cluster that lives in a directory, and makes it first when it is not there. Installs PostgreSQL when
    /// the machine has none.
    ///
    /// # Errors
    /// PostgreSQL is missing and cannot be installed, or it does not start.
    pub async fn start_in(
        wanted: PathBuf,
        durability: Durability,
        output: Output,
        guard: &Arc<Guard>,
    ) -> Result<Self> {
        let newest = find_or_install().await?;
        let home = Home::prepare(&wanted)?;
        let programs = cluster::ready(&home, newest, durability, guard).await?;
        let password = std::fs::read_to_string(cluster::password_file(&home))
            .with_context(|| format!("the password of {} is gone", home.directory.display()))?;
        let postgres = Self {
            home,
            programs,
            durability,
            port: places::port(None)?,
            password,
            output,
            guard: Arc::clone(guard),
            server: Mutex::new(None),
        };
        postgres.start().await?;
        databases::make(&postgres.url("postgres"), DATABASE).await?;
        Ok(postgres)
    }

    /// The URL of a database on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{database}?sslmode=disable",
            self.password, self.port
        )
    }

    /// Starts the server again after [`Postgres::stop`] or a crash; nothing when it runs.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(&self) -> Result<()> {
        let mut server = self.server.lock().await;
        if server.as_ref().is_some_and(Process::is_running) {
            return Ok(());
        }
        cluster::clear_stale_lock(&self.home)?;
        let process = Process::start(&self.program(), &self.output, &self.guard)?;
        self.wait_until_ready(&process).await?;
        *server = Some(process);
        Ok(())
    }

    fn program(&self) -> Program {
        let settings = match self.durability {
            Durability::Kept => "max_connections=100",
            Durability::Measured => "max_connections=300",
            Durability::ThrowAway => {
                "max_connections=300 fsync=off synchronous_commit=off full_page_writes=off"
            }
        };
        let data = self.home.data().display().to_string();
        let mut arguments = vec!["-D".to_owned(), data, "-p".to_owned(), self.port.to_string()];
        let fixed = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "logging_collector=off",
        ];
        for setting in fixed.into_iter().chain(settings.split(' ')) {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        Program {
            name: "postgresql".to_owned(),
            path: self.programs.path("postgres"),
            arguments,
            variables: Vec::new(),
            account: self.home.account,
            directory: Some(PathBuf::from("/")),
            ending: Ending::Quit,
        }
    }

    async fn wait_until_ready(&self, process: &Process) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_TIME;
        loop {
            let failure = match databases::reachable(&self.url("postgres")).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if !process.is_running() {
                bail!(
                    "PostgreSQL did not start. Its last words:\n{}If its data is of no value, remove {} and try again.",
                    process.tail(),
                    self.home.directory.display()
                );
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "PostgreSQL did not get ready within {} s: {failure}",
                    START_TIME.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Stops the server in an orderly way, without waiting for its clients.
    pub async fn stop(&self) {
        if let Some(process) = self.server.lock().await.take() {
            self.signal_all(&process, Signal::SIGCONT);
            process.stop(Signal::SIGINT, STOP_TIME).await;
        }
    }

    /// Kills the server, as a crash of the machine would.
    pub async fn kill9(&self) {
        if let Some(process) = self.server.lock().await.take() {
            let family = crate::guard::children(process.pid());
            process.stop(Signal::SIGKILL, STOP_TIME).await;
            for pid in family {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Freezes the server and every connection to it: neither refuses nor answers.
    pub async fn pause(&self) {
        if let Some(process) = self.server.lock().await.as_ref() {
            self.signal_all(process, Signal::SIGSTOP);
        }
    }

    /// Lets a paused server go on.
    pub async fn resume(&self) {
        if let Some(process) = self.server.lock().await.as_ref() {
            self.signal_all(process, Signal::SIGCONT);
        }
    }

    /// PostgreSQL's children lead sessions of their own, so that no group reaches them all. The server comes first: once
    /// it stands still there are no new children.
    fn signal_all(&self, process: &Process, signal: Signal) {
        process.signal_alone(signal);
        for pid in crate::guard::children(process.pid()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Whether the server runs.
    pub async fn is_running(&self) -> bool {
        self.server.lock().await.as_ref().is_some_and(Process::is_running)
    }

    /// Stops the server and removes the cluster when it is one to throw away.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub async fn finish(&self) -> Result<()> {
        self.stop().await;
        match self.durability {
            Durability::Kept => Ok(()),
            Durability::ThrowAway | Durability::Measured => self.home.remove(),
        }
    }
}

async fn find_or_install() -> Result<Programs> {
    if let Some(programs) = programs::find() {
        return Ok(programs);
    }
    tokio::task::spawn_blocking(|| packages::ensure(Need::Postgresql)).await??;
    say::progress("PostgreSQL is installed");
    programs::find().context("PostgreSQL 14 or newer was not found after its installation")
}
