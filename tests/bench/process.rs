//! What the kernel and the service itself say of a process.

use anyhow::{Context, Result};

/// Resident memory in MiB.
pub(crate) fn resident_mib(pid: i32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
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
