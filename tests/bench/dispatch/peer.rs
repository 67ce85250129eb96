//! The bridge in FastAPI, as a process with a Python environment of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use devstack::Stack;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest that it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running peer; killed when dropped.
pub(super) struct Peer {
    _child: Child,
    pub(super) url: String,
}

impl Peer {
    /// Starts it on the stack's database and LiveKit, and installs what it needs before.
    pub(super) async fn start(stack: &Stack) -> Result<Self> {
        let folder = e2e::workspace_root().join("tests/bench/peers/dispatch");
        let python = environment(&folder).await?;
        let (key, secret) = &stack.keys().livekit_key;
        let mut child = Command::new(python)
            .arg(folder.join("server.py"))
            .env("DATABASE_URL", stack.database_url())
            .env("LIVEKIT_URL", stack.livekit().api_url())
            .env("LIVEKIT_API_KEY", key)
            .env("LIVEKIT_API_SECRET", secret)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the peer")?;
        let output = child.stdout.take().context("its output is read")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await??
            .context("the peer ended before it listened")?;
        let port = line.rsplit(' ').next().unwrap_or_default();
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            _child: child,
        })
    }
}

/// The Python of an environment with what the peer needs.
async fn environment(folder: &Path) -> Result<PathBuf> {
    let place = e2e::workspace_root().join("target/bench-dispatch");
    let python = place.join("bin/python");
    let installed = place.join("installed");
    let requirements = folder.join("requirements.txt");
    if !installed.is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place)).await?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--only-binary", ":all:", "--require-hashes", "-r"]);
        run(install.arg(&requirements)).await?;
        std::fs::write(&installed, "")?;
    }
    Ok(python)
}

async fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status().await;
    ensure!(
        status.context("python3 is needed for the peer")?.success(),
        "the peer's packages could not be installed"
    );
    Ok(())
}
