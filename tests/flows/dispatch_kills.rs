//! `dispatch-bridge-svc` is killed at every step of a dial, and again and again under load: no number is dialled twice, and
//! every caller is told what became of his.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devstack::Stack;
use e2e::people::client;
use e2e::waiting::eventually;
use futures_util::StreamExt;
use futures_util::stream;
use rand::Rng;
use reqwest::Client;
use serde_json::{Value, json};
use switchhook_standins::livekit::{Acted, Plan};
use switchhook_standins::{Control, LiveKit};

use crate::HEAVY;

const DISPATCH: &str = "dispatch-bridge-svc";
const CREATE_ROOM: &str = "/twirp/livekit.RoomService/CreateRoom";
const CREATE_DISPATCH: &str = "/twirp/livekit.AgentDispatchService/CreateDispatch";
const SECRET_HEADER: &str = "x-n8n-webhook-secret";
/// Longer than a step takes to be killed in.
const SLOW: Duration = Duration::from_secs(4);
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two tries of a caller.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

const KILLS: usize = 200;
const CALLERS: usize = 24;
const REPLICAS: usize = 2;
/// The kills take no longer, however slow the machine is.
const STORM_AT_MOST: Duration = Duration::from_secs(150);

/// Somebody who dials with a key, as n8n does.
#[derive(Clone)]
struct Caller {
    client: Client,
    url: String,
    secret: String,
    ticket: String,
    number: String,
    wait: &'static str,
}

/// What a caller is told in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Dialled,
    NoWorker,
    Failed,
    Unknown,
}

impl Caller {
    fn of(stack: &Stack, replica: usize, ticket: &str, nth: usize) -> Self {
        Self {
            client: client(),
            url: format!("{}/dispatch", stack.url(DISPATCH, replica)),
            secret: stack.keys().webhook_secret.clone(),
            ticket: ticket.to_owned(),
            number: format!("6140{nth:07}"),
            wait: "dispatched",
        }
    }

    /// One try; none when there was no answer to go by.
    async fn try_once(&self) -> Option<(u16, Value)> {
        let body = json!({"destination": self.number, "account_code": "kills", "wait": self.wait,
            "metadata": {"ticket_id": self.ticket}});
        let request = self
            .client
            .post(&self.url)
            .header(SECRET_HEADER, &self.secret)
            .header("Idempotency-Key", &self.ticket)
            .json(&body);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    /// Tries with the same key until the answer is a final one.
    async fn until_told(&self) -> (Told, Value) {
        let begun = Instant::now();
        loop {
            if let Some((status, answer)) = self.try_once().await
                && let Some(told) = told(status, &answer)
            {
                return (told, answer);
            }
            assert!(begun.elapsed() < DEADLINE, "{} was told nothing", self.ticket);
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// What an answer says; none where the caller has to try again.
fn told(status: u16, answer: &Value) -> Option<Told> {
    match (status, answer["status"].as_str(), answer["code"].as_str()) {
        (200, Some("no_worker"), _) => Some(Told::NoWorker),
        (200, Some("failed"), _) => Some(Told::Failed),
        (200, Some(_), _) => Some(Told::Dialled),
        (502 | 504, _, Some("outcome_unknown")) => Some(Told::Unknown),
        (504, ..) if answer["outcome"] == "unknown" => Some(Told::Unknown),
        (500.., ..) => None,
        _ => panic!("{status} {answer}"),
    }
}

/// The jobs that LiveKit acted on for a ticket.
fn acted_for(acted: &[Acted], ticket: &str) -> usize {
    let of_ticket = |one: &&Acted| {
        let metadata: Value = serde_json::from_str(&one.metadata).unwrap();
        metadata["ticket_id"] == ticket
    };
    acted.iter().filter(of_ticket).count()
}

fn agrees(told: Told, acted: usize) -> bool {
    match told {
        Told::Dialled => acted == 1,
        Told::NoWorker | Told::Failed | Told::Unknown => acted <= 1,
    }
}

/// Calls that are over soon.
fn quick_calls(livekit: &LiveKit) {
    livekit.plan(Plan {
        rings: Duration::from_millis(50),
        talks: Duration::from_millis(200),
        ..Plan::default()
    });
}

async fn stack(replicas: usize) -> Stack {
    let stack = Stack::builder()
        .services(&[DISPATCH])
        .replicas(DISPATCH, replicas)
        .set("RUST_LOG", "warn")
        .start()
        .await
        .unwrap();
    quick_calls(stack.livekit());
    stack
}

/// Waits until LiveKit has got a request for this ticket's room, or its answer has gone.
async fn reached(livekit: &LiveKit, path: &str, count: usize, answered: bool) {
    let look = || async {
        let mut entries = livekit.log();
        entries.retain(|entry| entry.path == path && (!answered || entry.answered.is_some()));
        (entries.len() >= count).then_some(())
    };
    eventually(path, DEADLINE, look).await;
}

/// A step, what LiveKit is told for it, and what is waited for before the kill.
struct Step {
    name: &'static str,
    order: Option<Control>,
    path: &'static str,
    answered: bool,
}

fn steps() -> Vec<Step> {
    let on = |path: &str, control: Control| {
        Some(Control {
            path: Some(path.to_owned()),
            ..control
        })
    };
    let before = || Control {
        act_after: SLOW,
        ..Control::default()
    };
    let after = || Control {
        delay: SLOW,
        ..Control::default()
    };
    let step = |name, order, path, answered| Step {
        name,
        order,
        path,
        answered,
    };
    vec![
        step("before-the-room", on(CREATE_ROOM, before()), CREATE_ROOM, false),
        step("after-the-room", on(CREATE_ROOM, after()), CREATE_ROOM, false),
        step(
            "before-the-dispatch",
            on(CREATE_DISPATCH, before()),
            CREATE_DISPATCH,
            false,
        ),
        step(
            "after-the-dispatch",
            on(CREATE_DISPATCH, after()),
            CREATE_DISPATCH,
            false,
        ),
        step("before-the-answer", None, CREATE_DISPATCH, true),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_a_dispatch_the_number_is_dialled_at_most_once() {
    let stack = stack(1).await;
    let livekit = stack.livekit();
    let mut ends = Vec::new();
    for (nth, step) in steps().into_iter().enumerate() {
        livekit.clear_log();
        let mut caller = Caller::of(&stack, 0, step.name, nth);
        if step.order.is_none() {
            caller.wait = "ended";
        }
        if let Some(order) = step.order {
            livekit.push(order);
        }
        let first = tokio::spawn({
            let caller = caller.clone();
            async move { caller.try_once().await }
        });
        reached(livekit, step.path, 1, step.answered).await;
        stack.kill9(DISPATCH, 0).await;
        assert!(first.await.unwrap().is_none(), "{} was answered", step.name);
        stack.restart(DISPATCH, 0).await.unwrap();
        let (told, answer) = caller.until_told().await;
        let acted = acted_for(&livekit.acted(), step.name);
        say(&format!("killed {}: {told:?}, acted on {acted}", step.name));
        assert!(
            agrees(told, acted),
            "{}: {told:?}, acted on {acted}: {answer}",
            step.name
        );
        ends.push((caller, told, answer));
    }
    // The same keys say the same again, and nothing has dialled by itself since.
    for (caller, told, answer) in ends {
        let (again, repeated) = caller.until_told().await;
        assert_eq!(again, told, "{}: {repeated}", caller.ticket);
        assert_eq!(repeated["room"], answer["room"], "{}", caller.ticket);
        let acted = acted_for(&livekit.acted(), &caller.ticket);
        assert!(agrees(told, acted), "{}: acted on {acted}", caller.ticket);
    }
    stack.stop().await.unwrap();
}

/// Kills one replica after the other at random moments; gives how often.
async fn kill_at_random(stack: &Stack, over: &AtomicBool) -> usize {
    let begun = Instant::now();
    let mut kills = 0;
    while kills < KILLS && begun.elapsed() < STORM_AT_MOST {
        let (replica, pause) = {
            let mut random = rand::rng();
            (random.random_range(0..REPLICAS), random.random_range(0..300))
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stack.kill9(DISPATCH, replica).await;
        kills += 1;
        stack.restart(DISPATCH, replica).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    kills
}

/// Dials one number after the other, each until its end is told, as long as the storm lasts.
async fn dial_on(stack: &Stack, next: &AtomicUsize, over: &AtomicBool) -> Vec<(String, Told)> {
    let mut ends = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let ticket = format!("storm-{nth}");
        let caller = Caller::of(stack, nth % REPLICAS, &ticket, nth);
        ends.push((ticket, caller.until_told().await.0));
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_random_kills_under_load_dial_nobody_twice_and_every_caller_is_told() {
    let _alone = HEAVY.lock().await;
    let stack = Arc::new(stack(REPLICAS).await);
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let load = stream::iter(0..CALLERS)
        .map(|_| dial_on(&stack, &next, &over))
        .buffer_unordered(CALLERS)
        .collect::<Vec<_>>();
    let (ends, kills) = tokio::join!(load, kill_at_random(&stack, &over));
    let ends: Vec<(String, Told)> = ends.into_iter().flatten().collect();
    let acted = stack.livekit().acted();
    let mut by_ticket: BTreeMap<String, usize> = BTreeMap::new();
    for one in &acted {
        let metadata: Value = serde_json::from_str(&one.metadata).unwrap();
        let ticket = metadata["ticket_id"].as_str().unwrap().to_owned();
        *by_ticket.entry(ticket).or_default() += 1;
    }
    let mut counts: BTreeMap<Told, usize> = BTreeMap::new();
    for (_, told) in &ends {
        *counts.entry(*told).or_default() += 1;
    }
    let twice = by_ticket.values().filter(|count| **count > 1).count();
    say(&format!(
        "{kills} kills, {} numbers: {counts:?}; LiveKit acted on {} dispatches, {twice} numbers twice",
        ends.len(),
        acted.len()
    ));
    assert!(kills > KILLS / 4, "only {kills} kills in {STORM_AT_MOST:?}");
    assert_eq!(twice, 0, "dialled twice");
    for (ticket, told) in &ends {
        let acted = by_ticket.get(ticket).copied().unwrap_or_default();
        assert!(agrees(*told, acted), "{ticket}: {told:?}, acted on {acted}");
    }
    assert!(counts.contains_key(&Told::Dialled), "nobody was dialled");
    Arc::into_inner(stack).unwrap().stop().await.unwrap();
}

#[allow(clippy::print_stdout, reason = "the counts are what the test shows")]
fn say(what: &str) {
    println!("{what}");
}
