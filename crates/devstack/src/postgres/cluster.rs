//! The files of a private cluster: made whole or not at all, and freed of what a crash leaves behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::home::Home;
use super::programs::{self, Programs};
use super::{Durability, USER};
use crate::env_file::write_private;
use crate::guard::{Ending, Guard};
use crate::logs::Output;
use crate::process::{Process, Program};
use crate::{say, secrets};

const INITDB_TIME: Duration = Duration::from_secs(120);

/// Where the superuser's password is kept.
pub(super) fn password_file(home: &Home) -> PathBuf {
    home.directory.join("password")
}

/// Makes sure that there is a whole cluster, and gives the programs that can run it.
pub(super) async fn ready(
    home: &Home,
    newest: Programs,
    durability: Durability,
    guard: &Arc<Guard>,
) -> Result<Programs> {
    let draft = home.directory.join("data.new");
    if draft.exists() {
        say::progress("an unfinished PostgreSQL cluster is left from last time; starting over");
        std::fs::remove_dir_all(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
    }
    if let Some(version) = version(home) {
        if let Some(programs) = programs::find_version(version) {
            return Ok(programs);
        }
        let aside = home.directory.join(format!("data.{version}"));
        say::loudly(&format!(
            "the cluster was made by PostgreSQL {version}, which is gone; it is kept as {}, a new one is made",
            aside.display()
        ));
        std::fs::rename(home.data(), &aside)?;
    } else if home.data().exists() {
        say::loudly(&format!("{} is damaged and made anew", home.data().display()));
        std::fs::remove_dir_all(home.data())?;
    }
    if durability == Durability::Kept {
        say::progress(&format!(
            "making a private PostgreSQL {} cluster (once)",
            newest.version
        ));
    }
    make(home, &newest, &draft, durability, guard).await?;
    Ok(newest)
}

/// The major version of a whole cluster; none when something essential is missing.
fn version(home: &Home) -> Option<u32> {
    let data = home.data();
    let whole = ["global/pg_control", "postgresql.conf", "pg_hba.conf"]
        .iter()
        .all(|file| data.join(file).is_file());
    let version = std::fs::read_to_string(data.join("PG_VERSION")).ok()?;
    version
        .trim()
        .parse()
        .ok()
        .filter(|_| whole && password_file(home).is_file())
}

async fn make(
    home: &Home,
    programs: &Programs,
    draft: &Path,
    durability: Durability,
    guard: &Arc<Guard>,
) -> Result<()> {
    let password = secrets::secret();
    write_private(&password_file(home), &password)?;
    // `initdb` reads the password as the account that will run the cluster.
    let handed = home.directory.join("password.initdb");
    write_private(&handed, &password)?;
    home.hand_over(&handed)?;
    let mut arguments: Vec<String> = [
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    arguments.push(format!("--username={USER}"));
    arguments.push(format!("--pwfile={}", handed.display()));
    arguments.push(format!("--pgdata={}", draft.display()));
    if durability == Durability::ThrowAway {
        arguments.push("--no-sync".to_owned());
    }
    let program = Program {
        name: "initdb".to_owned(),
        path: programs.path("initdb"),
        arguments,
        variables: Vec::new(),
        account: home.account,
        directory: Some(PathBuf::from("/")),
        ending: Ending::Kill,
    };
    let process = Process::start(&program, &Output::quiet(), guard)?;
    let status = tokio::time::timeout(INITDB_TIME, process.ended()).await;
    std::fs::remove_file(&handed)?;
    match status {
        Ok(Some(status)) if status.success() => {}
        Ok(_) => bail!("initdb failed. Its last words:\n{}", process.tail()),
        Err(_) => bail!("initdb took longer than {} s", INITDB_TIME.as_secs()),
    }
    // From here on the cluster is whole: a rename is done or not done.
    std::fs::rename(draft, home.data()).context("cannot put the new cluster in its place")
}

/// Removes the lock file that a killed server left, and ends a server that was left running. The caller holds the
/// stack's own lock or has made the cluster just now, so that no other stack can be using it.
pub(super) fn clear_stale_lock(home: &Home) -> Result<()> {
    let lock = home.data().join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&lock) else {
        return Ok(());
    };
    let pid: Option<i32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    if let Some(pid) = pid.filter(|pid| serves(*pid, home)) {
        say::progress("a PostgreSQL of an earlier stack still runs; stopping it");
        end(pid);
    }
    if lock.exists() {
        std::fs::remove_file(&lock).with_context(|| format!("cannot remove {}", lock.display()))?;
    }
    Ok(())
}

/// Whether this process is a server of this cluster: PostgreSQL works inside its data directory.
fn serves(pid: i32, home: &Home) -> bool {
    let works_in = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
    match (works_in, home.data().canonicalize().ok()) {
        (Some(works_in), Some(data)) => works_in == data,
        _ => false,
    }
}

fn end(pid: i32) {
    let pid = Pid::from_raw(pid);
    for signal in [Signal::SIGCONT, Signal::SIGQUIT] {
        let _ = kill(pid, signal);
    }
    for _ in 0..100 {
        if kill(pid, None).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = kill(pid, Signal::SIGKILL);
}
