//! What the kernel and the service itself say of a process.

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};

/// Ticks of the kernel's clock in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

/// Resident memory in MiB.
pub(crate) fn resident_mib(pid: i32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib: f64 = status_field(&status, "VmRSS:")?.parse()?;
    Ok(kib / 1024.0)
}

fn status_field<'a>(status: &'a str, name: &str) -> Result<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("no {name}"))?;
    line.split_whitespace().next().context("no figure")
}

/// Seconds of CPU that a process, those that it started, and those of them that ended have used.
pub(crate) fn cpu_s(pid: i32) -> Result<f64> {
    let mut ticks = ticks(pid).context("the process is gone")?;
    for child in std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?.split_whitespace() {
        // Whoever ends meanwhile is counted with those that ended, at the next look.
        ticks += self::ticks(child.parse()?).unwrap_or(0.0);
    }
    Ok(ticks / TICKS)
}

fn ticks(pid: i32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, brackets too; user and system time are the 14th and the 15th, those of children follow.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<f64>().ok()).sum()
}

/// The number of the server behind a database on this machine.
pub(crate) async fn postmaster(database: &str) -> Result<i32> {
    let mut conn = PgConnection::connect(database).await?;
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut conn)
        .await?;
    let status = std::fs::read_to_string(format!("/proc/{backend}/status"))?;
    let parent = status_field(&status, "PPid:")?.parse()?;
    conn.close().await?;
    Ok(parent)
}

/// One sample of a service's `/metrics`.
pub(crate) async fn metric(client: &reqwest::Client, base: &str, sample: &str) -> Result<f64> {
    let text = client.get(format!("{base}/metrics")).send().await?.text().await?;
    let line = text
        .lines()
        .find(|line| line.starts_with(sample))
        .with_context(|| format!("no sample {sample}"))?;
    Ok(line.rsplit(' ').next().context("no value")?.parse()?)
}
