//! `devstack exec` and `devstack postgres`: a command in surroundings of its own.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Asked;
use crate::environment::Environment;
use crate::guard::{Ending, Guard, MARK};
use crate::logs::Output;
use crate::places;
use crate::postgres::{DATABASE, Durability, Postgres, home};
use crate::say;
use crate::stack::Stack;

/// A command that was asked to stop may clean up this long.
const GRACE: Duration = Duration::from_secs(20);

/// Runs a command against a fresh stack.
pub(super) async fn stack(command: Vec<OsString>) -> Result<u8> {
    let mut asked = Asked::new()?;
    say::progress("starting a stack for the command");
    let stack = tokio::select! {
        started = Stack::builder().start() => started?,
        () = asked.stop() => return Ok(130),
    };
    let variables = stack.env().await?;
    let status = run(&command, &variables, stack.guard(), &mut asked).await;
    if !matches!(status, Ok(0)) {
        for replica in stack.replicas() {
            say::progress(&format!(
                "the last lines of {}:\n{}",
                replica.name(),
                replica.tail().await.trim_end()
            ));
        }
    }
    stack.stop().await?;
    status
}

/// Runs a command with a throw-away PostgreSQL, or with the caller's where one is given.
pub(super) async fn postgres(command: Vec<OsString>) -> Result<u8> {
    let mut asked = Asked::new()?;
    let guard = Arc::new(Guard::start(&places::program("devstack")?)?);
    if Environment::of_process().get("DATABASE_URL").is_some() {
        let status = run(&command, &[], &guard, &mut asked).await;
        guard.done();
        return status;
    }
    say::progress("starting a PostgreSQL for the command");
    let directory = home::temporary()?;
    guard.remove(directory.path());
    let wanted = directory.path().join("pg");
    let starting = Postgres::start_in(wanted, Durability::ThrowAway, Output::quiet(), &guard);
    let postgres = tokio::select! {
        started = starting => started?,
        () = asked.stop() => return Ok(130),
    };
    let variables = [("DATABASE_URL".to_owned(), postgres.url(DATABASE))];
    let status = run(&command, &variables, &guard, &mut asked).await;
    postgres.finish().await?;
    guard.done();
    status
}

/// Runs the command in this process's group, so that it has the terminal; gives its exit code.
async fn run(
    command: &[OsString],
    variables: &[(String, String)],
    guard: &Arc<Guard>,
    asked: &mut Asked,
) -> Result<u8> {
    let (program, arguments) = command.split_first().context("there is no command")?;
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .env(MARK, guard.mark())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.to_string_lossy()))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid {
        guard.watch(pid, Ending::Kill);
    }
    let code = wait(child, asked).await;
    if let Some(pid) = pid {
        guard.forget(pid);
    }
    code
}

/// Waits for a foreground command, which is asked to stop when devstack is.
pub(super) async fn wait(mut child: tokio::process::Child, asked: &mut Asked) -> Result<u8> {
    let status = tokio::select! {
        status = child.wait() => status?,
        () = asked.stop() => {
            // A terminal has told the command as well; anybody else has told devstack alone.
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            match tokio::time::timeout(GRACE, child.wait()).await {
                Ok(status) => status?,
                Err(_) => {
                    child.kill().await?;
                    child.wait().await?
                }
            }
        }
    };
    Ok(code(status))
}

/// As a shell gives it: 128 and the signal's number for a command that was killed.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
