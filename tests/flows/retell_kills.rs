//! `retell-ingest-svc` is killed again and again under a storm of events: whatever it answered 2xx is there, once.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devstack::Stack;
use e2e::people::{CallOwner, now};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use switchhook_standins::Retell;
use switchhook_standins::retell::Options;

use crate::HEAVY;

const RETELL: &str = "retell-ingest-svc";
const SENDERS: usize = 8;
const CALLS: usize = 5_000;
const EVENTS: [&str; 4] = [
    "call_started",
    "transcript_updated",
    "call_ended",
    "call_analyzed",
];
const KILLS: usize = 6;
const KEY: &str = "key_of_the_storm";

fn agent(client: usize) -> String {
    format!("agent_{client}")
}

/// The events of a call, each with what it would know.
fn event(call: usize, name: &str, start_ms: i64) -> Value {
    let mut about = json!({"call_id": format!("call_{call}"), "agent_id": agent(call % SENDERS),
        "start_timestamp": start_ms, "transcript": format!("Agent: This is call {call}.")});
    if name != "call_started" && name != "transcript_updated" {
        about["duration_ms"] = json!(60_000);
    }
    if name == "call_analyzed" {
        about["call_analysis"] =
            json!({"call_summary": format!("Call {call} went well."), "call_successful": true});
    }
    json!({"event": name, "call": about})
}

/// Kills the service at random moments of the storm and starts it again.
async fn kill_at_random(stack: &Stack, acknowledged: &AtomicUsize) -> usize {
    let random = RandomState::new();
    let part = CALLS * EVENTS.len() / (KILLS + 1);
    let mut kills = 0;
    for nth in 0..KILLS {
        let at = nth * part + usize::try_from(random.hash_one(nth)).unwrap_or(0) % part;
        let reached = async {
            while acknowledged.load(Ordering::Relaxed) < at {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(120), reached)
            .await
            .is_err()
        {
            break;
        }
        stack.kill9(RETELL, 0).await;
        kills += 1;
        stack.restart(RETELL, 0).await.unwrap();
    }
    kills
}

/// What each sender does: the events of its calls, one after the other, with Retell's tries. Gives what was acknowledged.
async fn send(
    retell: &Retell,
    sender: usize,
    start_ms: i64,
    acknowledged: &AtomicUsize,
) -> Vec<(usize, &'static str)> {
    let mut kept = Vec::new();
    for call in (sender..CALLS).step_by(SENDERS) {
        for name in EVENTS {
            if retell.send(&event(call, name, start_ms)).await {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                kept.push((call, name));
            }
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_under_twenty_thousand_events_everything_acknowledged_is_there_once() {
    let _alone = HEAVY.lock().await;
    // The tests' PostgreSQL does not write to disk at once; killing the service loses nothing of that.
    let stack = Stack::builder()
        .services(&[RETELL])
        .set("RETELL_API_KEYS", KEY)
        .set("RUST_LOG", "warn");
    let stack = Arc::new(stack.start().await.unwrap());
    let clients: Vec<CallOwner> = (0..SENDERS)
        .map(|nth| CallOwner::of(&stack, 0, &format!("client-{nth}")))
        .collect();
    for (nth, client) in clients.iter().enumerate() {
        client.connect(&agent(nth)).await;
    }
    let retell = Retell::start(Options {
        keys: vec![(KEY.to_owned(), (0..SENDERS).map(agent).collect())],
        service_url: Some(stack.url(RETELL, 0).to_owned()),
        between_tries: Duration::from_secs(5),
        ..Options::default()
    });
    let (retell, acknowledged) = (retell.unwrap(), AtomicUsize::new(0));
    let start_ms = now().timestamp_millis();
    let storm = stream::iter(0..SENDERS)
        .map(|sender| send(&retell, sender, start_ms, &acknowledged))
        .buffer_unordered(SENDERS)
        .collect::<Vec<_>>();
    let (kept, kills) = tokio::join!(storm, kill_at_random(&stack, &acknowledged));
    let kept: HashSet<(usize, &str)> = kept.into_iter().flatten().collect();
    let stored = stored(stack.database_url()).await;
    tell(&format!(
        "{} events sent, {} acknowledged, {} kept, {kills} kills",
        CALLS * EVENTS.len(),
        kept.len(),
        stored.values().sum::<i64>()
    ));
    assert_eq!(kills, KILLS);
    for (call, name) in &kept {
        let rows = stored.get(&(format!("call_{call}"), (*name).to_owned()));
        assert_eq!(rows, Some(&1), "{name} of call {call}");
    }
    assert!(stored.values().all(|rows| *rows == 1), "an event is there twice");
    // With Retell's tries every event came through in the end.
    assert_eq!(kept.len(), CALLS * EVENTS.len());
    every_call_is_complete_and_has_one_client(&clients).await;
    Arc::into_inner(stack).unwrap().stop().await.unwrap();
}

/// How many rows each event has.
async fn stored(database: &str) -> BTreeMap<(String, String), i64> {
    let mut conn = PgConnection::connect(database).await.unwrap();
    let counts = "SELECT c.call_id, e.event, count(*) FROM retell.events e JOIN retell.calls c ON c.id = e.call GROUP BY 1, 2";
    let rows: Vec<(String, String, i64)> = sqlx::query_as(counts).fetch_all(&mut conn).await.unwrap();
    rows.into_iter()
        .map(|(call, event, rows)| ((call, event), rows))
        .collect()
}

async fn every_call_is_complete_and_has_one_client(clients: &[CallOwner]) {
    let mut seen = HashSet::new();
    for client in clients {
        for call in client.all_calls().await {
            let id = call["callId"].as_str().unwrap().to_owned();
            let complete =
                call["status"] == "ended" && call["durationMinutes"] == 1.0 && call["successful"] == true;
            assert!(complete && call["summary"].is_string(), "{call}");
            assert!(seen.insert(id), "{call} has two clients");
        }
    }
    tell(&format!("{} calls, each with one client", seen.len()));
    assert_eq!(seen.len(), CALLS);
}

#[allow(clippy::print_stdout, reason = "the counts are what the test shows")]
fn tell(what: &str) {
    println!("{what}");
}
