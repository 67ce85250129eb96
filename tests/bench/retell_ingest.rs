//! Events that Retell's webhooks bring a second, each answered after its commit, next to what `pgbench` reaches with bare
//! single-row inserts of the same bytes into the same table on the same server. Rounds alternate, so that a slow moment
//! of the machine falls on both.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use devstack::Stack;
use devstack::postgres::programs;
use e2e::people::{CallOwner, now};
use secrecy::SecretString;
use serde_json::json;
use switchhook_core::webhook::retell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::{Series, goal, heading, row};

const RETELL: &str = "retell-ingest-svc";
const CONNECTIONS: usize = 32;
const AGENTS: usize = 8;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(8);
/// Requests of a connection that are made for one round.
const PREPARED: usize = 8_000;
const KEY: &str = "key_of_the_bench";

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&[RETELL])
        .measured_postgres()
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .set("RETELL_API_KEYS", KEY)
        .start()
        .await?;
    for agent in 0..AGENTS {
        let client = CallOwner::of(&stack, 0, &format!("client-{agent}"));
        client.connect(&format!("agent_{agent}")).await;
    }
    let database = stack.database_url();
    psql(
        database,
        "INSERT INTO retell.calls (id, agent_id, call_id, channel, stage, sources, created_at, heard_at, sort_at) \
                    VALUES (-1, 'agent_of_pgbench', 'call', 'voice', 0, '[]', now(), now(), now())",
    )?;
    let (mut ours, mut theirs, mut waits) = (Vec::new(), Vec::new(), Series::default());
    for number in 0..ROUNDS {
        theirs.push(pgbench(database)?);
        ours.push(round(stack.url(RETELL, 0), number, &mut waits).await?);
    }
    report(&ours, &theirs, &mut waits);
    lone_events(stack.url(RETELL, 0)).await?;
    stack.stop().await
}

fn report(ours: &[f64], theirs: &[f64], waits: &mut Series) {
    heading(&format!(
        "Events a second at {CONNECTIONS} connections, every 2xx a durable commit"
    ));
    let rates = |rates: &[f64]| rates.iter().map(|rate| format!("{rate:7.0}")).collect::<String>();
    row(
        "POST /api/retell/webhook",
        &format!("{}  p99 {:.1} ms", rates(ours), waits.quantile_ms(0.99)),
    );
    row("pgbench -M prepared, single-row INSERT", &rates(theirs));
    let ratio = median(ours) / median(theirs);
    row("ratio of the medians", &format!("{ratio:.2}"));
    goal("at least 1.0", ratio >= 1.0);
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// An event that Retell sends when a call has ended.
fn event(round: usize, connection: usize, nth: usize) -> Vec<u8> {
    let said = "Agent: Good morning, this is the front desk. User: I would like to move my appointment to Thursday. ".repeat(10);
    let call = json!({"event": "call_ended", "call": {"call_id": format!("call_{round}_{connection}_{nth}"),
        "agent_id": format!("agent_{}", connection % AGENTS), "call_type": "phone_call", "call_status": "ended",
        "direction": "outbound", "from_number": "+14155550100", "to_number": "+14155550199",
        "start_timestamp": now().timestamp_millis(), "duration_ms": 61_000, "disconnection_reason": "user_hangup",
        "recording_url": "https://example.com/recording.wav", "transcript": said,
        "call_cost": {"combined_cost": 12.5}}});
    call.to_string().into_bytes()
}

/// The request as it goes over the wire: an HTTP client would cost more than what is measured.
fn request(host: &str, body: &[u8]) -> Vec<u8> {
    let signature = retell::sign(&SecretString::from(KEY), body, now());
    let head = format!(
        "POST /api/retell/webhook HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{}: {signature}\r\ncontent-length: {}\r\n\r\n",
        retell::HEADER,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn round(url: &str, number: usize, waits: &mut Series) -> Result<f64> {
    let host = url.trim_start_matches("http://").to_owned();
    // Made before the clock runs: what Retell's machines do must not slow ours.
    let prepared: Vec<_> = (0..CONNECTIONS)
        .map(|connection| prepare(&host, number, connection, PREPARED))
        .collect();
    let begun = Instant::now();
    let connections: Vec<_> = prepared
        .into_iter()
        .map(|requests| tokio::spawn(one_connection(host.clone(), requests, begun + ROUND)))
        .collect();
    let mut events = 0;
    for connection in connections {
        for took in connection.await?? {
            events += 1;
            waits.push(took);
        }
    }
    Ok(f64::from(events) / begun.elapsed().as_secs_f64())
}

fn prepare(host: &str, round: usize, connection: usize, count: usize) -> Vec<Vec<u8>> {
    let each = (0..count).map(|nth| request(host, &event(round, connection, nth)));
    each.collect()
}

/// Sends until the time is up, or nothing is left to send.
async fn one_connection(host: String, requests: Vec<Vec<u8>>, until: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&host).await?;
    stream.set_nodelay(true)?;
    let mut took = Vec::new();
    for request in requests {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        stream.write_all(&request).await?;
        expect_200(&mut stream).await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

/// Reads one answer.
async fn expect_200(stream: &mut TcpStream) -> Result<()> {
    let mut answer = [0; 4096];
    let mut read = 0;
    loop {
        let count = stream.read(&mut answer[read..]).await?;
        ensure!(count > 0, "the connection was closed");
        read += count;
        let text = std::str::from_utf8(&answer[..read])?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        ensure!(head.starts_with("HTTP/1.1 200"), "{text}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.context("no length")?.parse()? {
            return Ok(());
        }
    }
}

/// A lone event is not delayed by the sharing of commits.
async fn lone_events(url: &str) -> Result<()> {
    let host = url.trim_start_matches("http://").to_owned();
    let mut waits = Series::default();
    let requests = prepare(&host, ROUNDS, 0, PREPARED);
    for took in one_connection(host, requests, Instant::now() + Duration::from_secs(3)).await? {
        waits.push(took);
    }
    heading("One event at a time");
    let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
    row(
        "POST /api/retell/webhook",
        &format!("p50 {p50:6.2} ms   p99 {p99:6.2} ms   n {}", waits.len()),
    );
    Ok(())
}

fn psql(database: &str, sql: &str) -> Result<()> {
    let programs = programs::find().context("no PostgreSQL")?;
    let done = Command::new(programs.path("psql"))
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", sql, database])
        .status()?;
    ensure!(done.success(), "psql failed");
    Ok(())
}

/// Inserts a second that `pgbench` reaches with as many clients.
fn pgbench(database: &str) -> Result<f64> {
    let script = tempfile::NamedTempFile::new()?;
    let raw = String::from_utf8(event(0, 0, 0))?.replace('\'', "''");
    let insert = format!(
        "INSERT INTO retell.events (call, hash, event, received_at, raw) VALUES (-1, \
         sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'call_ended', now(), convert_to('{raw}', 'UTF8'));"
    );
    std::fs::write(script.path(), insert)?;
    let programs = programs::find().context("no PostgreSQL")?;
    let output = Command::new(programs.path("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-c"])
        .arg(CONNECTIONS.to_string())
        .arg("-T")
        .arg(ROUND.as_secs().to_string())
        .arg("-f")
        .arg(script.path())
        .arg(database)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let Some(rate) = rate.and_then(|rest| rest.split(' ').next()?.parse().ok()) else {
        bail!(
            "pgbench failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Ok(rate)
}
