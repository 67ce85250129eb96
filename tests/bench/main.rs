//! `make bench`: load programs that print the figures of the documents. Bounded in count and time; everything runs on
//! the loopback address. A figure stands next to a peer that was measured in the same run: the machine is noisy.

mod chat_memory;
mod chat_messages;
mod chat_peers;
mod figures;
mod process;
mod retell_ingest;
mod retell_reads;
mod start_latency;
mod task_waiters;
mod waiting_sessions;

use anyhow::Result;

/// Services that have a bench.
const SERVICES: [&str; 4] = ["session-svc", "retell-ingest-svc", "task-chat-svc", "chat-ws-svc"];

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1);
    let wanted = wanted.as_deref();
    if wanted == Some(chat_peers::BARE_ECHO) {
        return chat_peers::bare_echo().await;
    }
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
    if runs(SERVICES[3]) {
        chat_memory::run().await?;
        chat_messages::run().await?;
    }
    Ok(())
}
