//! What the bridge adds over the same calls made to LiveKit directly, and how many it makes a second next to a bridge in
//! FastAPI: both against the same stand-in, in the same run.

mod peer;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::Stack;
use e2e::people::client;
use futures_util::StreamExt;
use futures_util::stream;
use livekit_api::services::LiveKitApi;
use livekit_api::services::room::CreateRoomOptions;
use livekit_protocol::CreateAgentDispatchRequest;
use reqwest::Client;
use serde_json::{Value, json};
use switchhook_standins::livekit::{Delivery, Ending, Plan};
use tokio::task::JoinSet;

use crate::figures::{Series, goal, heading, row};
use peer::Peer;
use wire::Connection;

const DISPATCH: &str = "dispatch-bridge-svc";
/// Each kind of request so often.
const PER_SECOND: u32 = 50;
const ROUNDS: usize = 1_000;
const GOAL_ADDED_P50_MS: f64 = 3.0;
const GOAL_ADDED_P99_MS: f64 = 12.0;
const CONNECTIONS: usize = 32;
const MEASURED: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);
const GOAL_TIMES_THE_PEER: f64 = 5.0;

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&[DISPATCH])
        .measured_postgres()
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    // The dispatch is measured, and not how calls go on, which the peer does not follow.
    stack.livekit().plan(Plan {
        job_after: Duration::ZERO,
        ending: Ending::NeverDials,
        ..Plan::default()
    });
    stack.livekit().set_delivery(Delivery {
        sends: false,
        ..Delivery::default()
    });
    stack.livekit().set_logging(false);
    added(&stack).await?;
    throughput(&stack).await?;
    stack.stop().await
}

/// The bridge's endpoint, and what opens it.
#[derive(Clone)]
struct Bridge {
    client: Client,
    url: String,
    secret: String,
}

impl Bridge {
    async fn dial(&self, nth: usize) -> Result<Duration> {
        let begun = Instant::now();
        let request = self.client.post(&self.url).json(&body(nth));
        let request = request.header("x-n8n-webhook-secret", &self.secret);
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        let took = begun.elapsed();
        ensure!(answer["job_id"].is_string(), "no worker took the job: {answer}");
        Ok(took)
    }
}

fn body(nth: usize) -> Value {
    json!({"destination": format!("6140{nth:07}"), "account_code": "bench", "metadata": {"ticket_id": nth}})
}

async fn direct(livekit: &LiveKitApi, nth: usize) -> Result<Duration> {
    let room = format!("direct-{nth}");
    let options = CreateRoomOptions {
        empty_timeout: 600,
        departure_timeout: 600,
        ..CreateRoomOptions::default()
    };
    let begun = Instant::now();
    livekit.room().create_room(&room, options).await?;
    let request = CreateAgentDispatchRequest {
        agent_name: "nehos-outbound-agent".to_owned(),
        room,
        metadata: body(nth).to_string(),
        ..CreateAgentDispatchRequest::default()
    };
    livekit.agent_dispatch().create_dispatch(request).await?;
    Ok(begun.elapsed())
}

/// Both kinds side by side, each at its own steady rate.
async fn added(stack: &Stack) -> Result<()> {
    let bridge = bridge(stack);
    let (key, secret) = &stack.keys().livekit_key;
    let livekit = std::sync::Arc::new(LiveKitApi::with_api_key(&stack.livekit().api_url(), key, secret));
    let (mut through, mut bare) = (JoinSet::new(), JoinSet::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND / 2);
    for nth in 0..ROUNDS {
        ticks.tick().await;
        let bridge = bridge.clone();
        through.spawn(async move { bridge.dial(nth).await });
        ticks.tick().await;
        let livekit = std::sync::Arc::clone(&livekit);
        bare.spawn(async move { direct(&livekit, nth).await });
    }
    heading("A dispatch: through the bridge with its three commits, and made directly at the same LiveKit");
    let mut quantiles = Vec::new();
    for (name, tasks) in [("POST /dispatch", through), ("CreateRoom, CreateDispatch", bare)] {
        let mut series = Series::default();
        for took in tasks.join_all().await {
            series.push(took?);
        }
        let (p50, p99) = (series.quantile_ms(0.5), series.quantile_ms(0.99));
        row(
            &format!("{name}, {PER_SECOND}/s"),
            &format!("p50 {p50:6.2} ms   p99 {p99:6.2} ms   n {}", series.len()),
        );
        quantiles.push((p50, p99));
    }
    let [(with_p50, with_p99), (without_p50, without_p99)] = quantiles[..] else {
        anyhow::bail!("two series");
    };
    let (p50, p99) = (with_p50 - without_p50, with_p99 - without_p99);
    row("the bridge adds", &format!("p50 {p50:6.2} ms   p99 {p99:6.2} ms"));
    goal(
        &format!("adds p50 under {GOAL_ADDED_P50_MS} ms and p99 under {GOAL_ADDED_P99_MS} ms"),
        p50 < GOAL_ADDED_P50_MS && p99 < GOAL_ADDED_P99_MS,
    );
    Ok(())
}

fn bridge(stack: &Stack) -> Bridge {
    Bridge {
        client: client(),
        url: format!("{}/dispatch", stack.url(DISPATCH, 0)),
        secret: stack.keys().webhook_secret.clone(),
    }
}

async fn throughput(stack: &Stack) -> Result<()> {
    let ours = bridge(stack);
    let peer = Peer::start(stack).await?;
    let theirs = Bridge {
        url: format!("{}/dispatch", peer.url),
        ..ours.clone()
    };
    heading(&format!(
        "Dispatches a second at {CONNECTIONS} connections, next to FastAPI with livekit-api and asyncpg"
    ));
    let next = AtomicUsize::new(ROUNDS);
    let theirs = rate(&theirs, &next).await.context("the peer")?;
    drop(peer);
    let ours = rate(&ours, &next).await.context("the bridge")?;
    row(DISPATCH, &format!("{ours:8.0} /s"));
    row("FastAPI, livekit-api, asyncpg", &format!("{theirs:8.0} /s"));
    let times = ours / theirs.max(f64::EPSILON);
    row("times the peer", &format!("{times:8.1}"));
    goal(
        &format!("at least {GOAL_TIMES_THE_PEER} times"),
        times >= GOAL_TIMES_THE_PEER,
    );
    Ok(())
}

/// Dispatches a second, after a warm-up.
async fn rate(bridge: &Bridge, next: &AtomicUsize) -> Result<f64> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(&bridge.url, &bridge.secret).await?);
    }
    work(&mut connections, next, WARM_UP).await?;
    let begun = Instant::now();
    let done = work(&mut connections, next, MEASURED).await?;
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

/// Dials on every connection for this long; gives how many were dialled.
async fn work(connections: &mut [Connection], next: &AtomicUsize, within: Duration) -> Result<usize> {
    let end = Instant::now() + within;
    let all: Vec<Result<usize>> = stream::iter(connections.iter_mut())
        .map(|connection| dial_until(end, connection, next))
        .buffer_unordered(CONNECTIONS)
        .collect()
        .await;
    all.into_iter().sum()
}

async fn dial_until(end: Instant, connection: &mut Connection, next: &AtomicUsize) -> Result<usize> {
    const JOB: &[u8] = b"\"job_id\":\"AJ_";
    let mut done = 0;
    while Instant::now() < end {
        let order = body(next.fetch_add(1, Ordering::Relaxed)).to_string();
        let answer = connection.post(&order).await?;
        ensure!(
            answer.windows(JOB.len()).any(|part| part == JOB),
            "no worker took the job: {}",
            String::from_utf8_lossy(&answer)
        );
        done += 1;
    }
    Ok(done)
}
