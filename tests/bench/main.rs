//! `make bench`: load programs that print the figures of the documents. Bounded in count and time; everything runs on
//! the loopback address. A figure stands next to a peer that was measured in the same run: the machine is noisy.

mod chat_memory;
mod chat_messages;
mod chat_peers;
mod dispatch;
mod figures;
mod process;
mod retell_ingest;
mod retell_reads;
mod start_latency;
mod task_waiters;
mod waiting_sessions;

use anyhow::{Result, ensure};

/// The benches, each with its service.
const BENCHES: [(&str, &str); 8] = [
    ("session-svc", "start_latency"),
    ("session-svc", "waiting_sessions"),
    ("retell-ingest-svc", "retell_ingest"),
    ("retell-ingest-svc", "retell_reads"),
    ("task-chat-svc", "task_waiters"),
    ("chat-ws-svc", "chat_memory"),
    ("chat-ws-svc", "chat_messages"),
    ("dispatch-bridge-svc", "dispatch"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let wanted = std::env::args().nth(1);
    let wanted = wanted.as_deref();
    if wanted == Some(chat_peers::BARE_ECHO) {
        return chat_peers::bare_echo().await;
    }
    let runs = |(service, bench): (&str, &str)| wanted.is_none_or(|name| name == service || name == bench);
    ensure!(
        BENCHES.into_iter().any(runs),
        "there is no such bench; there are, by service and name: {BENCHES:?}"
    );
    for bench in BENCHES.into_iter().filter(|bench| runs(*bench)) {
        match bench.1 {
            "start_latency" => start_latency::run().await?,
            "waiting_sessions" => waiting_sessions::run().await?,
            "retell_ingest" => retell_ingest::run().await?,
            "retell_reads" => retell_reads::run().await?,
            "task_waiters" => task_waiters::run().await?,
            "chat_memory" => chat_memory::run().await?,
            "chat_messages" => chat_messages::run().await?,
            "dispatch" => dispatch::run().await?,
            _ => unreachable!("it is in the table"),
        }
    }
    Ok(())
}
