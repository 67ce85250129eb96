//! The raw limit of a statement: `pgbench` on the same server.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use devstack::postgres::programs;
use tempfile::NamedTempFile;
use tokio::process::Command;

/// A script and where it runs.
pub(crate) struct Pgbench {
    database: String,
    script: NamedTempFile,
    most: usize,
}

impl Pgbench {
    pub(crate) fn new(database: &str, sql: &str) -> Result<Self> {
        let mut script = NamedTempFile::new()?;
        script.write_all(sql.as_bytes())?;
        Ok(Self {
            database: database.to_owned(),
            script,
            most: usize::MAX,
        })
    }

    /// With no more clients than these.
    pub(crate) fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Transactions a second, on prepared statements.
    pub(crate) async fn rate(&self, clients: usize, within: Duration) -> Result<f64> {
        let clients = clients.min(self.most);
        let programs = programs::find().context("no PostgreSQL")?;
        let output = Command::new(programs.path("pgbench"))
            .args(["-n", "-M", "prepared", "-j", &clients.min(2).to_string()])
            .args([
                "-c",
                &clients.to_string(),
                "-T",
                &within.as_secs().max(1).to_string(),
                "-f",
            ])
            .arg(self.script.path())
            .arg(&self.database)
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench failed: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
        // It says nothing where it got nothing done.
        let rate = rate.and_then(|rest| rest.split(' ').next()).unwrap_or("0");
        Ok(rate.parse()?)
    }
}
