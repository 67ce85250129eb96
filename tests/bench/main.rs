//! `make bench`: load programs that print the figures of the documents. Bounded in count and time; everything runs on
//! the loopback address. A figure stands next to a peer that was measured in the same run: the machine is noisy.

mod figures;
mod process;
mod retell_ingest;
mod retell_reads;
mod start_latency;
mod task_waiters;
mod waiting_sessions;

use anyhow::Result;

/// Services that have a bench.
const SERVICES: [&str; 3] = ["session-svc", "retell-ingest-svc", "task-chat-svc"];

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1);
    let wanted = wanted.as_deref();
    if let Some(name) = wanted.filter(|name| !SERVICES.contains(name)) {
        anyhow::bail!(
            "there is no bench for {name}; there is one for {}",
            SERVICES.join(", ")
        );
    }
    let runs = |service| wanted.is_none_or(|name| name == service);
    if runs(SERVICES[0]) {
        start_latency::run().await?;
        waiting_sessions::run().await?;
    }
    if runs(SERVICES[1]) {
        retell_ingest::run().await?;
        retell_reads::run().await?;
    }
    if runs(SERVICES[2]) {
        task_waiters::run().await?;
    }
    Ok(())
}
