//! The command line of every service: `serve | migrate | healthcheck | check-config | outbox … | erase --user <sub>`.
//!
//! It owns the words, the exit codes and the order of the start. What a command does is done elsewhere.
//! Exit codes: 0 done, 1 failed, 2 wrong settings or words.

mod commands;
mod help;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{Application, Program, RunError, ServiceSettings, service};
use crate::clock::SystemClock;
use crate::config::{CommonSettings, SettingError, SettingsBlock, Source};
use crate::lifecycle;
use crate::outbound::Outbound;
use crate::telemetry::{self, LogTo};

const WRONG_USE: u8 = 2;

#[derive(Debug, Parser)]
struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service until SIGTERM
    Serve,
    /// Applies the database's migrations and exits
    Migrate,
    /// Asks the running service on this machine whether it lives
    Healthcheck,
    /// Judges the settings and exits
    CheckConfig,
    /// Shows and steers what is owed to n8n
    Outbox {
        #[command(subcommand)]
        action: OutboxAction,
    },
    /// Erases what is kept about a user
    Erase {
        /// The user's id: the `sub` of his token
        #[arg(long)]
        user: String,
    },
    /// Prints the settings as a Markdown table
    #[command(hide = true)]
    Settings,
}

#[derive(Debug, Subcommand)]
enum OutboxAction {
    /// What is owed, being sent, or unknown, oldest first
    List {
        /// Most rows
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// One delivery
    Show {
        /// Its id
        id: Uuid,
    },
    /// Makes an owed delivery due at once
    Retry {
        /// Its id
        id: Uuid,
    },
    /// Gives an owed delivery up
    Discard {
        /// Its id
        id: Uuid,
    },
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the database refuses: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Refused(String),
    #[error("the answer cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<SettingError> for CommandError {
    fn from(error: SettingError) -> Self {
        Self::Run(RunError::Setting(error))
    }
}

/// The `main` of a service.
pub fn main<P: Program>() -> ExitCode {
    let words = match words::<P>() {
        Ok(words) => words,
        Err(error) => {
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked_for {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(WRONG_USE)
            };
        }
    };
    // Fails only if somebody was quicker, who then wants the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match obey::<P>(words.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}: {error}", service::<P>().name);
            let wrong_use = matches!(error, CommandError::Run(RunError::Setting(_)));
            if wrong_use {
                ExitCode::from(WRONG_USE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn words<P: Program>() -> Result<Words, clap::Error> {
    let service = service::<P>();
    let command = Words::command()
        .name(service.name)
        .version(service.version)
        .about(service.title)
        .after_help(help::settings(service, &ServiceSettings::<P::Own>::specs()));
    Words::from_arg_matches(&command.try_get_matches()?)
}

fn obey<P: Program>(command: Command) -> Result<(), CommandError> {
    let service = service::<P>();
    let specs = ServiceSettings::<P::Own>::specs();
    if matches!(command, Command::Settings) {
        return Ok(io::stdout().write_all(help::markdown(service, &specs).as_bytes())?);
    }
    let source = Source::from_process(service, &specs)?;
    if matches!(command, Command::Healthcheck) {
        return commands::healthcheck(&CommonSettings::read(&source)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve => serve::<P>(&source).await,
            Command::Migrate => {
                // Needs the database and nothing else: whoever migrates may not know the secrets.
                let common = CommonSettings::read(&source)?;
                let _telemetry =
                    telemetry::start(&common, service, &Outbound::new(&common, service)?, LogTo::Stderr)?;
                commands::migrate::<P>(&common).await
            }
            Command::CheckConfig => {
                let settings = ServiceSettings::<P::Own>::read(&source)?;
                commands::check_config::<P>(&settings)
            }
            Command::Outbox { action } => {
                commands::outbox::<P>(&CommonSettings::read(&source)?, action).await
            }
            Command::Erase { user } => {
                let settings = ServiceSettings::<P::Own>::read(&source)?;
                commands::erase::<P>(&settings, user).await
            }
            Command::Healthcheck | Command::Settings => Ok(()),
        }
    })
}

async fn serve<P: Program>(source: &Source) -> Result<(), CommandError> {
    let settings = ServiceSettings::<P::Own>::read(source)?;
    let outbound = Outbound::new(&settings.common, service::<P>())?;
    let telemetry = telemetry::start(&settings.common, service::<P>(), &outbound, LogTo::Stdout)?;
    let application = Application::<P>::build(&settings, outbound, Arc::new(SystemClock))?;
    let asked = CancellationToken::new();
    let end = async {
        heard().await;
        asked.cancel();
    };
    let asked_again = async {
        asked.cancelled().await;
        heard().await;
    };
    let outcome = tokio::select! {
        outcome = application.run(end) => outcome.map_err(CommandError::from),
        () = asked_again => Err(CommandError::Refused("asked to end twice: left without finishing".to_owned())),
    };
    telemetry.shutdown().await;
    outcome
}

/// SIGTERM or Ctrl-C.
async fn heard() {
    if let Err(error) = lifecycle::termination().await {
        tracing::error!(%error, "signals cannot be heard; only a kill ends this process");
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(words: &[&str]) -> Result<Words, ErrorKind> {
        Words::try_parse_from([&["session-svc"], words].concat()).map_err(|error| error.kind())
    }

    #[test]
    fn the_commands_are_these() {
        Words::command().debug_assert();
        let id = "0197a9f2-0000-7000-8000-000000000000";
        for words in [
            &["serve"][..],
            &["migrate"],
            &["healthcheck"],
            &["check-config"],
            &["outbox", "list"],
            &["outbox", "list", "--limit", "10000"],
            &["outbox", "show", id],
            &["outbox", "retry", id],
            &["outbox", "discard", id],
            &["erase", "--user", "u"],
        ] {
            assert!(accepted(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for words in [
            &["serve", "now"][..],
            &["outbox"],
            &["outbox", "list", "--limit", "0"],
            &["outbox", "show", "x"],
            &["erase"],
            &["erase", "u"],
            &["dance"],
        ] {
            assert!(accepted(words).is_err(), "{words:?}");
        }
    }
}
