//! Starts the programs that the figures stand next to; what they need is installed before, as their lock files say.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::workspace_root;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest that a peer may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running peer; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    /// `host:port` of its HTTP API.
    pub(crate) host: String,
    /// From its start to its first words, which say where it listens.
    pub(crate) took: Duration,
}

impl Peer {
    /// A Node server of `tests/bench/peers`.
    pub(crate) async fn node(name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let folder = folder(name);
        if !folder.join("node_modules").is_dir() {
            let mut install = Command::new("npm");
            install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            succeed(install.current_dir(&folder), "npm").await?;
        }
        let mut command = Command::new("node");
        command
            .arg(folder.join("server.js"))
            .env("NODE_ENV", "production");
        Self::start(command, variables).await
    }

    /// A Python server of `tests/bench/peers`, in an environment of its own.
    pub(crate) async fn python(name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(environment(name).await?);
        command.arg(folder(name).join("server.py"));
        Self::start(command, variables).await
    }

    /// This program, as the peer that a word names.
    pub(crate) async fn own(word: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(word);
        Self::start(command, &[]).await
    }

    async fn start(mut command: Command, variables: &[(&str, &str)]) -> Result<Self> {
        command.envs(variables.iter().copied());
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().context("its output is read")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        let took = begun.elapsed();
        let line = line.context("the peer ended before it listened")?;
        let port = line.rsplit(' ').next().unwrap_or_default();
        Ok(Self {
            host: format!("127.0.0.1:{port}"),
            child,
            took,
        })
    }

    pub(crate) fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id().context("it runs")?)?)
    }
}

/// Where a peer's program is.
pub(crate) fn folder(name: &str) -> PathBuf {
    workspace_root().join("tests/bench/peers").join(name)
}

/// Where the packages of a Python peer are.
pub(crate) fn place(name: &str) -> PathBuf {
    workspace_root().join("target").join(format!("bench-{name}"))
}

/// The Python of an environment with what the peer needs; made anew when that has changed.
async fn environment(name: &str) -> Result<PathBuf> {
    let place = place(name);
    let (python, installed) = (place.join("bin/python"), place.join("installed"));
    let requirements = folder(name).join("requirements.txt");
    if !is_newer(&installed, &requirements) {
        succeed(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&place),
            "python3",
        )
        .await?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--only-binary", ":all:", "--require-hashes", "-r"]);
        succeed(install.arg(&requirements), "pip").await?;
        std::fs::write(&installed, "")?;
    }
    Ok(python)
}

fn is_newer(one: &Path, other: &Path) -> bool {
    let at = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    at(one).is_some_and(|one| at(other).is_some_and(|other| one > other))
}

async fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().await;
    let status = status.with_context(|| format!("{what} is needed for the peers"))?;
    ensure!(status.success(), "{what} failed");
    Ok(())
}
