//! Bytes that nobody would send, at every parser that they reach from outside: bodies, credentials, signatures, cursors,
//! frames, and the answers of n8n. Whatever comes, no service says 5xx, hangs up without a word, or grows.
//!
//! They are made from what is really sent, by changes of bytes and of JSON. `FUZZ_SECONDS` says how long each part goes on.

mod changes;
mod talk;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::{CallOwner, client, token_with};
use e2e::workspace_root;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use self::changes::{body, forged, mangled};
use crate::houses::{HOUSES, House, street};
use crate::{ALONE, say};

const SENDERS: usize = 6;
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// Memory that a service may take meanwhile: what it stores and what the allocator keeps.
const MORE_MIB: u64 = 300;
const MAX_FINDINGS: usize = 10;

#[allow(
    clippy::disallowed_methods,
    reason = "how long the test goes on, not a setting of a service"
)]
fn part() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// Printed, so that what was found can be found again.
fn seed() -> u64 {
    rand::rng().random()
}

/// An address that takes bodies, with one that it takes gladly.
#[derive(Clone)]
struct Door {
    house: House,
    path: String,
    credentials: (HeaderName, String),
    seed: Value,
}

fn doors(stack: &Stack, chat: &str) -> Vec<Door> {
    let user = |house, path: &str, seed| Door {
        house,
        path: path.to_owned(),
        credentials: (
            reqwest::header::AUTHORIZATION,
            format!(
                "Bearer {}",
                token_with(stack.keys(), "fuzz", &json!({"role": "operator"}))
            ),
        ),
        seed,
    };
    let machine = |house, path: &str, seed| Door {
        house,
        path: path.to_owned(),
        credentials: (
            HeaderName::from_static("x-n8n-webhook-secret"),
            stack.keys().webhook_secret.clone(),
        ),
        seed,
    };
    let mut doors = vec![
        user(
            House::Session,
            "/api/ai-session/start",
            json!({"dailyCallLimit": 10}),
        ),
        machine(
            House::Session,
            "/api/ai-session/webhook",
            json!({"sessionId": "ais_1", "status": "finished", "callsMade": 3, "message": "done"}),
        ),
        machine(
            House::Session,
            "/api/ai-session/ais_1/calls",
            json!({"callId": "lead-1"}),
        ),
        machine(
            House::Chat,
            "/api/send-message",
            json!({"sessionId": chat, "text": "hello", "name": "S", "from": "bot", "whenOffline": "store", "idempotencyKey": "k"}),
        ),
        machine(House::Chat, "/api/typing", json!({"sessionId": chat, "on": true})),
        user(
            House::Chat,
            &format!("/api/sessions/{chat}/takeover"),
            json!({"name": "Op", "force": true}),
        ),
        user(
            House::Retell,
            "/api/retell/connect-agent",
            json!({"agentId": "agent_f", "apiKey": "key_f"}),
        ),
        machine(
            House::Dispatch,
            "/agent/call-summary",
            json!({"room": "r", "call_summary": {"text": "hi", "transcript": [{"role": "user", "content": "x"}]}}),
        ),
        user(
            House::Tasks,
            "/api/tasks/assign-user-task",
            json!({"agentId": "echo", "message": "hi", "taskId": null}),
        ),
        machine(
            House::Tasks,
            "/api/communications/webhook-response",
            json!({"taskId": "task_1_a", "response": "hi"}),
        ),
        user(House::Tasks, "/sign-in", json!({"token": "a.b.c"})),
    ];
    // Not the address that dials: what is dialled by accident is odd, and costs seconds each.
    for name in [
        "voice-call/call_analyzed",
        "voice-call/transcript_updated",
        "web-call/call_ended",
        "chat/chat_ended",
        "smallest-test-call",
    ] {
        let path = workspace_root().join(format!("tests/data/retell/{name}.json"));
        let seed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        doors.push(machine(House::Retell, "/api/n8n/retell-webhook", seed));
    }
    doors
}

/// What was counted, and what must not be.
#[derive(Default)]
struct Count {
    by_status: BTreeMap<u16, usize>,
    findings: Vec<String>,
}

impl Count {
    fn find(&mut self, what: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(what);
        }
    }

    fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.findings.extend(other.findings);
    }

    fn tell(&self, what: &str, seed: u64) {
        let all: usize = self.by_status.values().sum();
        say(&format!(
            "{what}: {all} requests, by status {:?} (seed {seed})",
            self.by_status
        ));
        assert!(
            self.findings.is_empty(),
            "seed {seed}\n{}",
            self.findings.join("\n\n")
        );
        assert!(all > 100, "only {all}");
    }
}

/// Sends one request and judges its answer.
async fn judge(request: reqwest::RequestBuilder, what: &str, sent: &[u8], count: &mut Count) {
    let begun = Instant::now();
    let shown = || String::from_utf8_lossy(&sent[..sent.len().min(1500)]).into_owned();
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return count.find(format!("{what}: no answer: {error:?}\n{}", shown())),
    };
    let status = answer.status().as_u16();
    *count.by_status.entry(status).or_default() += 1;
    let bytes = answer.bytes().await.unwrap_or_default();
    let told: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let is_error = status >= 400;
    if status >= 500 || (is_error && (told["success"] != false || !told["code"].is_string())) {
        count.find(format!("{what}: {status} {told}\n{}", shown()));
    }
    if begun.elapsed() > ANSWERED_WITHIN {
        count.find(format!(
            "{what}: {status} after {:?}\n{}",
            begun.elapsed(),
            shown()
        ));
    }
}

/// Several senders at a time, for as long as a part goes on.
async fn storm<F: AsyncFn(&mut StdRng, &mut Count)>(seed: u64, send: F) -> Count {
    let until = Instant::now() + part();
    let all = join_all((0..SENDERS as u64).map(|nth| {
        let mut random = StdRng::seed_from_u64(seed ^ nth);
        let send = &send;
        async move {
            let mut count = Count::default();
            while Instant::now() < until && count.findings.len() < MAX_FINDINGS {
                send(&mut random, &mut count).await;
            }
            count
        }
    }))
    .await;
    let mut sum = Count::default();
    all.into_iter().for_each(|count| sum.add(count));
    sum
}

async fn a_chat(stack: &Stack) -> (e2e::visitors::Visitor, String) {
    let mut visitor = e2e::visitors::Visitor::new("fuzz".to_owned());
    visitor.connect(&sockets(stack)).await.unwrap();
    let chat = visitor.session.clone();
    (visitor, chat)
}

fn sockets(stack: &Stack) -> String {
    crate::raw::host(stack.replica(House::Chat.name(), 0).ws_url().unwrap())
}

async fn memory(stack: &Stack) -> BTreeMap<House, u64> {
    let mut all = BTreeMap::new();
    for house in HOUSES {
        let pid = stack.pid(house.name(), 0).await.expect("it runs");
        all.insert(house, crate::network::resident_mib(pid));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_from_outside_get_a_5xx() {
    let _alone = ALONE.lock().await;
    let stack = street().set("DEV_SIGN_IN", "true").start().await.unwrap();
    CallOwner::of(&stack, 0, "fuzz").connect("agent_f").await;
    let (_visitor, chat) = a_chat(&stack).await;
    let (client, seed) = (client(), seed());
    let before = memory(&stack).await;
    let doors = doors(&stack, &chat);
    let bodies = storm(seed, async |random: &mut StdRng, count: &mut Count| {
        let door = &doors[random.random_range(0..doors.len())];
        let bytes = body(random, &door.seed);
        let (name, value) = &door.credentials;
        let request = client
            .post(format!("{}{}", stack.url(door.house.name(), 0), door.path))
            .header(name, value)
            .header(CONTENT_TYPE, "application/json")
            .body(bytes.clone());
        judge(request, &door.path, &bytes, count).await;
    });
    bodies.await.tell("bodies", seed);
    livekit_bodies(&stack, &client, seed)
        .await
        .tell("LiveKit's webhooks", seed);
    credentials(&stack, &client, seed)
        .await
        .tell("credentials and signatures", seed);
    addresses(&stack, &client, &chat, seed)
        .await
        .tell("addresses, parameters and cursors", seed);
    let after = memory(&stack).await;
    say(&format!("memory in MiB before {before:?}, after {after:?}"));
    for (house, mib) in after {
        assert!(mib < before[&house] + MORE_MIB, "{house:?}");
    }
    stack.stop().await.unwrap();
}

async fn livekit_bodies(stack: &Stack, client: &Client, seed: u64) -> Count {
    let event = json!({"event": "participant_joined", "id": "EV_1", "createdAt": "1759838400",
        "room": {"sid": "RM_1", "name": "room", "emptyTimeout": 300, "creationTime": "1759838400", "metadata": "{}"},
        "participant": {"sid": "PA_1", "identity": "sip_1", "kind": "SIP", "state": "ACTIVE",
            "attributes": {"sip.callStatus": "active", "sip.phoneNumber": "+61402012298"}},
        "egressInfo": {"egressId": "EG_1", "roomName": "room", "status": "EGRESS_COMPLETE",
            "fileResults": [{"filename": "a", "size": "1", "duration": "2"}]}});
    let url = format!("{}/livekit/webhook", stack.url(House::Dispatch.name(), 0));
    storm(seed, async |random: &mut StdRng, count: &mut Count| {
        let bytes = body(random, &event);
        // The stand-in signs text.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let request = client
            .post(&url)
            .header("authorization", stack.livekit().signed(&text))
            .header(CONTENT_TYPE, "application/webhook+json")
            .body(text.clone());
        judge(request, "/livekit/webhook", text.as_bytes(), count).await;
    })
    .await
}

async fn credentials(stack: &Stack, client: &Client, seed: u64) -> Count {
    let token = token_with(
        stack.keys(),
        "fuzz",
        &json!({"role": ["operator", 7, null], "channels": "*"}),
    );
    let paths = [
        "/api/ai-session",
        "/api/sessions",
        "/api/retell/calls",
        "/dispatches",
        "/api/tasks",
    ];
    let signed = stack.livekit().signed("{}");
    let signature = format!("v=1759838400000,d={}", "ab".repeat(32));
    let retell = (House::Retell, Method::POST, "/api/retell/webhook");
    let livekit = (House::Dispatch, Method::POST, "/livekit/webhook");
    storm(seed, async |random: &mut StdRng, count: &mut Count| {
        let nth = random.random_range(0..HOUSES.len());
        let list = (HOUSES[nth], Method::GET, paths[nth]);
        let mangle = |random: &mut StdRng, value: &str| mangled(random, value.as_bytes());
        let ((house, method, path), name, bytes) = match random.random_range(0..6) {
            0 => (list, "cookie", mangle(random, &format!("access_token={token}"))),
            1 => (
                list,
                "x-n8n-webhook-secret",
                mangle(random, &stack.keys().webhook_secret),
            ),
            2 => (retell.clone(), "x-retell-signature", mangle(random, &signature)),
            3 => (livekit.clone(), "authorization", mangle(random, &signed)),
            4 => (list, "authorization", mangle(random, &format!("Bearer {token}"))),
            _ => (
                list,
                "authorization",
                format!("Bearer {}", forged(random, &token)).into_bytes(),
            ),
        };
        // Others cannot be sent at all.
        let Ok(value) = HeaderValue::from_bytes(&bytes) else {
            return;
        };
        let url = format!("{}{path}", stack.url(house.name(), 0));
        judge(
            client.request(method, url).header(name, value),
            path,
            &bytes,
            count,
        )
        .await;
    })
    .await
}

async fn addresses(stack: &Stack, client: &Client, chat: &str, seed: u64) -> Count {
    let user = token_with(stack.keys(), "fuzz", &json!({"role": "operator"}));
    let paths = [
        (
            House::Session,
            "/api/ai-session?limit=5&cursor=MTc1OTgzODQwMDAwMC4x".to_owned(),
        ),
        (House::Session, "/api/ai-session/stats?days=30".to_owned()),
        (House::Session, "/api/ai-session/ais_1759838400000_ab".to_owned()),
        (
            House::Chat,
            "/api/sessions?state=all&q=a&limit=3&cursor=abc".to_owned(),
        ),
        (
            House::Chat,
            format!("/api/sessions/{chat}/messages?after=0197a9f2-0000-7000-8000-00000000abcd&limit=2"),
        ),
        (
            House::Retell,
            "/api/retell/calls?from=2026-01-01&to=2026-02-01&q=abc&sentiment=Positive&cursor=1.2".to_owned(),
        ),
        (
            House::Retell,
            "/api/retell/analytics?from=2026-01-01&to=2026-02-01".to_owned(),
        ),
        (House::Retell, "/api/retell/calls.csv?q=hello".to_owned()),
        (
            House::Dispatch,
            "/dispatches?account_code=a&status=ended&from=2026-01-01T00:00:00Z&cursor=1.2".to_owned(),
        ),
        (House::Dispatch, "/dispatch/AD_abc".to_owned()),
        (House::Tasks, "/api/tasks?limit=2&cursor=1.task_1_a".to_owned()),
        (
            House::Tasks,
            "/api/communications/get-responses?taskId=task_1_a&after=x".to_owned(),
        ),
    ];
    storm(seed, async |random: &mut StdRng, count: &mut Count| {
        let (house, path) = &paths[random.random_range(0..paths.len())];
        let bytes = mangled(random, path.as_bytes());
        // What cannot stand in an address goes escaped, as browsers do it.
        let keep = b"/?&=.-_%";
        let escaped: String = bytes
            .iter()
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() || keep.contains(byte) => char::from(*byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let url = format!(
            "{}/{}",
            stack.url(house.name(), 0),
            escaped.trim_start_matches('/')
        );
        if url.len() > 20_000 || url.contains("wait") {
            return;
        }
        let Ok(url) = reqwest::Url::parse(&url) else {
            return;
        };
        judge(client.get(url).bearer_auth(&user), path, &bytes, count).await;
    })
    .await
}
