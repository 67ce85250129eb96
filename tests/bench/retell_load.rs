//! Retell's webhooks as load: signed events over plain connections, each sent when the one before is answered; and the same
//! bytes as rows that `pgbench` inserts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::people::now;
use secrecy::SecretString;
use serde_json::json;
use switchhook_core::webhook::retell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::Series;
use crate::pgbench::Pgbench;

/// Agents whose calls are reported, `agent_0` and so on.
pub(crate) const AGENTS: usize = 8;
/// The API key that signs.
pub(crate) const KEY: &str = "key_of_the_bench";
/// How long a round takes.
pub(crate) const ROUND: Duration = Duration::from_secs(8);
/// Requests that are made for one round: of all connections together, and of one.
const PREPARED: usize = 192_000;
const PREPARED_EACH: usize = 16_000;

/// What one round found.
pub(crate) struct Round {
    /// Events that were answered 200.
    pub(crate) events: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// How long each answer took.
    pub(crate) waits: Series,
}

impl Round {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

/// The id that every call of a round begins with.
pub(crate) fn call_prefix(round: usize) -> String {
    format!("call_{round}_")
}

/// An event that Retell sends when a call has ended.
pub(crate) fn event(round: usize, connection: usize, nth: usize) -> Vec<u8> {
    let said = "Agent: Good morning, this is the front desk. User: I would like to move my appointment to Thursday. ".repeat(10);
    let call_id = format!("{}{connection}_{nth}", call_prefix(round));
    let call = json!({"event": "call_ended", "call": {"call_id": call_id,
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

/// One round of events, each of a call of its own, over so many connections. Rounds of one database have different numbers.
pub(crate) async fn round(url: &str, number: usize, connections: usize) -> Result<Round> {
    let host = url.trim_start_matches("http://").to_owned();
    let each = (PREPARED / connections).min(PREPARED_EACH);
    // Made before the clock runs: what Retell's machines do must not slow ours.
    let prepared: Vec<_> = (0..connections)
        .map(|connection| prepare(&host, number, connection, each))
        .collect();
    let begun = Instant::now();
    let connections: Vec<_> = prepared
        .into_iter()
        .map(|requests| tokio::spawn(one_connection(host.clone(), requests, begun + ROUND)))
        .collect();
    let (mut events, mut waits) = (0, Series::default());
    for connection in connections {
        for took in connection.await?? {
            events += 1;
            waits.push(took);
        }
    }
    let took = begun.elapsed();
    Ok(Round { events, took, waits })
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
        if body.len() >= length.context("no length")?.parse::<usize>()? {
            return Ok(());
        }
    }
}

/// The call that `pgbench`'s events belong to.
pub(crate) const CALL_OF_PGBENCH: &str = "INSERT INTO retell.calls (id, agent_id, call_id, channel, stage, sources, created_at, \
     heard_at, sort_at) VALUES (-1, 'agent_of_pgbench', 'call', 'voice', 0, '[]', now(), now(), now())";

/// Single-row inserts of events, for [`CALL_OF_PGBENCH`].
pub(crate) fn pgbench(database: &str) -> Result<Pgbench> {
    let raw = String::from_utf8(event(0, 0, 0))?.replace('\'', "''");
    let insert = format!(
        "INSERT INTO retell.events (call, hash, event, received_at, raw) VALUES (-1, \
         sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'call_ended', now(), convert_to('{raw}', 'UTF8'));\n"
    );
    Pgbench::new(database, &insert)
}
