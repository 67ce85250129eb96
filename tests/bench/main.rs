//! `make bench`: what it costs and how fast it is, as figures. Each stands next to a peer that was measured in the same run, in
//! turn, because machines are noisy. Bounded in count and time; everything runs on the loopback address.
//!
//! A bench tells what it finds through `figures`; `report` keeps it, for the terminal, `target/bench/report.md` and pictures.
//! `contest` runs the same work at several who do it; `load` makes requests, `peers` starts who is compared.

mod bridge_contest;
mod charts;
mod chat_memory;
mod chat_messages;
mod chat_peers;
mod contest;
mod dispatch;
mod events_contest;
mod extent;
mod figures;
mod footprint;
mod growth;
mod limits;
mod load;
mod machine;
mod peers;
mod pgbench;
mod process;
mod report;
mod retell_ingest;
mod retell_load;
mod retell_reads;
mod session_contest;
mod socket_contest;
mod stage;
mod start_latency;
mod task_contest;
mod task_waiters;
mod waiting_sessions;
mod writing;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

/// The benches, each with its service; `all` are of none.
const BENCHES: [(&str, &str); 16] = [
    ("all", "footprint"),
    ("session-svc", "limits"),
    ("session-svc", "start_latency"),
    ("session-svc", "session_contest"),
    ("session-svc", "waiting_sessions"),
    ("retell-ingest-svc", "events_contest"),
    ("chat-ws-svc", "chat_memory"),
    ("chat-ws-svc", "chat_messages"),
    ("chat-ws-svc", "socket_contest"),
    ("dispatch-bridge-svc", "dispatch"),
    ("dispatch-bridge-svc", "bridge_contest"),
    ("task-chat-svc", "task_waiters"),
    ("task-chat-svc", "task_contest"),
    ("all", "growth"),
    ("retell-ingest-svc", "retell_ingest"),
    ("retell-ingest-svc", "retell_reads"),
];
/// Only where they or their service are asked for: they take minutes, and others show most of it.
const LONG: [&str; 2] = ["retell_ingest", "retell_reads"];

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(chat_peers::BARE_ECHO) => chat_peers::bare_echo().await?,
        Some(limits::BARE_HTTP) => limits::bare_http().await?,
        _ => return measure(&chosen(&words)?).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// What words ask for: services and benches; without one, all but the long ones.
fn chosen(words: &[String]) -> Result<Vec<(&'static str, &'static str)>> {
    let is_chosen = |(service, bench): &(&'static str, &'static str)| match words {
        [] => !LONG.contains(bench),
        words => words.iter().any(|word| word == service || word == bench),
    };
    let chosen: Vec<_> = BENCHES.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        bail!("there is no such bench; there are, by service and name: {BENCHES:?}");
    }
    Ok(chosen)
}

/// Runs them one after the other. One that fails is told and does not keep the others from running.
async fn measure(benches: &[(&'static str, &'static str)]) -> Result<ExitCode> {
    let (begun, mut failed) = (Instant::now(), Vec::new());
    for (nth, (service, bench)) in benches.iter().enumerate() {
        let (one, first) = (Instant::now(), report::so_far().sections.len());
        writing::progress(&format!("{}/{} {bench} ({service})", nth + 1, benches.len()));
        if let Err(error) = run(bench).await {
            figures::heading(&format!("{bench} failed"));
            figures::row(&format!("{error:#}"), "");
            failed.push(*bench);
        }
        writing::sections(first);
        writing::progress(&format!(
            "{bench}: {:.0} s, load {}",
            one.elapsed().as_secs_f64(),
            machine::noise()
        ));
    }
    writing::report(begun.elapsed(), &failed)?;
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(bench: &str) -> Result<()> {
    match bench {
        "bridge_contest" => bridge_contest::run().await,
        "chat_memory" => chat_memory::run().await,
        "chat_messages" => chat_messages::run().await,
        "dispatch" => dispatch::run().await,
        "events_contest" => events_contest::run().await,
        "footprint" => footprint::run().await,
        "growth" => growth::run().await,
        "limits" => limits::run().await,
        "retell_ingest" => retell_ingest::run().await,
        "retell_reads" => retell_reads::run().await,
        "session_contest" => session_contest::run().await,
        "socket_contest" => socket_contest::run().await,
        "start_latency" => start_latency::run().await,
        "task_contest" => task_contest::run().await,
        "task_waiters" => task_waiters::run().await,
        "waiting_sessions" => waiting_sessions::run().await,
        _ => unreachable!("it is in the table"),
    }
}
