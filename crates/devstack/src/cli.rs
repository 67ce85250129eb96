//! The command line of the `devstack` binary.

mod exec;
mod run;
mod standins;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::packages::{self, Need};
use crate::{guard, instance, places, say};

/// Starts Switchhook on this machine: PostgreSQL, the services, stand-ins for what lies outside.
#[derive(Parser)]
#[command(name = "devstack", version)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts everything and shows the logs; Ctrl-C stops it.
    Up {
        /// Return once everything is ready, and leave it running.
        #[arg(long)]
        detach: bool,
        /// The process that `--detach` leaves running.
        #[arg(long, hide = true, conflicts_with = "detach")]
        daemon: bool,
    },
    /// Stops what `up --detach` left running.
    Down,
    /// Runs a command against a fresh stack of its own, which is gone afterwards.
    Exec {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs a command with DATABASE_URL set to a fast PostgreSQL that is gone afterwards.
    Postgres {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs one service in the foreground, in the place of the running stack's own.
    Run {
        /// The service: session-svc, retell-ingest-svc …
        service: String,
    },
    /// Finds programs, or installs them with the system's package manager; prints where they are.
    Install {
        /// What is needed.
        #[arg(required = true)]
        needs: Vec<Need>,
    },
    /// Runs the stand-ins alone.
    Standins {
        /// Base URL of the session-svc that n8n's workflow calls.
        #[arg(long)]
        session_url: Option<String>,
        /// Base URL of the retell-ingest-svc that Retell's webhooks go to.
        #[arg(long)]
        retell_url: Option<String>,
        /// Base URL of the dispatch-bridge-svc that LiveKit's webhooks go to.
        #[arg(long)]
        dispatch_url: Option<String>,
        /// The port of n8n's control endpoints and webhooks; the next one serves webhooks and can be taken down.
        /// The two after it are Retell's, the next two LiveKit's: control endpoints, and the API alone.
        #[arg(long, default_value_t = 5680)]
        port: u16,
    },
    /// Ends a stack's processes when devstack is killed.
    #[command(hide = true)]
    Guard,
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        // Both before any thread: the one has no use for them, the other closes what it inherited.
        Verb::Guard => guard::run().map(|()| 0),
        Verb::Up { daemon: true, .. } => {
            up::let_go_of_the_caller().and_then(|()| block_on(up::foreground(true)))
        }
        Verb::Up { detach: true, .. } => block_on(up::detach()),
        Verb::Up { .. } => block_on(up::foreground(false)),
        Verb::Down => down(),
        Verb::Exec { command } => block_on(exec::stack(command)),
        Verb::Postgres { command } => block_on(exec::postgres(command)),
        Verb::Run { service } => block_on(run::service(service)),
        Verb::Install { needs } => install(&needs),
        Verb::Standins {
            session_url,
            retell_url,
            dispatch_url,
            port,
        } => {
            let services = standins::Services {
                session: session_url,
                retell: retell_url,
                dispatch: dispatch_url,
            };
            block_on(standins::alone(services, port))
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say::loudly(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<u8>>) -> Result<u8> {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(work)
}

/// Waiting requests are open files, in the stand-ins and in the services: as many as the system allows.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Some systems name a hard limit that cannot be had; then the soft one stays.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn down() -> Result<u8> {
    let stopped = instance::stop(&places::Places::of_clone()?)?;
    say::progress(if stopped { "stopped" } else { "nothing was running" });
    Ok(0)
}

fn install(needs: &[Need]) -> Result<u8> {
    for need in needs {
        say::result(&packages::ensure(*need)?.display().to_string());
    }
    Ok(0)
}

/// The signals that ask devstack to stop.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Asked {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
