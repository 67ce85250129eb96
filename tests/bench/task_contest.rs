//! Task chat next to Node: an agent's answers stored a second, questions for answers a second, and how long an answer takes to
//! the screens of a thousand who wait for it, where Node's pages ask each second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::people::token;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::contest::{Contest, Side};
use crate::extent::counting;
use crate::figures::{Series, heading, row};
use crate::load::{Connection, Make, get, post};
use crate::peers::Peer;
use crate::stage::{self, Stage};

const TASK_CHAT: &str = "task-chat-svc";
const NODE: &str = "Node, express and pg";
const CONNECTIONS: usize = 32;
/// Tasks of the user, over which the work is spread.
const TASKS: usize = 256;
/// Pages that ask each second.
const PAGES: usize = counting(1_000);
const ASKED_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(TASK_CHAT, stage::of(&[TASK_CHAT])).await?;
    stage.n8n_answers(None);
    let node = start_peer(&stage).await?;
    let ours = Arc::new(tasks(&stage, stage.host()).await?);
    let theirs = Arc::new(tasks(&stage, &node.host).await?);
    heading("Answers of agents, stored");
    let contest = Contest {
        work: "answers",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let sides = [
        Side::http(
            TASK_CHAT,
            stage.host(),
            stage.pid,
            answer(&stage, stage.host(), &ours),
        ),
        Side::http(NODE, &node.host, node.pid()?, answer(&stage, &node.host, &theirs)),
    ];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(TASK_CHAT);
    contest.half_load(&sides[0], &sides[1], &outcome).await?;
    polls(&stage, &node).await?;
    screens(&stage, &node).await?;
    drop(node);
    stage.stack.stop().await
}

/// The Node server, on the stack's database and agent.
pub(crate) async fn start_peer(stage: &Stage) -> Result<Peer> {
    let keys = stage.stack.keys();
    let agent = stage.stack.n8n().webhook_url("task-agent");
    let variables: [(&str, &str); 4] = [
        ("DATABASE_URL", stage.stack.database_url()),
        ("AGENT_WEBHOOK_URL", &agent),
        ("JWT_SECRET", keys.jwt_secret.as_deref().unwrap_or_default()),
        ("WEBHOOK_SECRET", &keys.webhook_secret),
    ];
    Peer::node("task-chat", &variables).await
}

fn user(stage: &Stage) -> String {
    format!("authorization: Bearer {}\r\n", token(&stage.stack, "waits"))
}

/// New tasks of the user.
pub(crate) async fn tasks(stage: &Stage, host: &str) -> Result<Vec<String>> {
    let mut line = Connection::open(host).await?;
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        let answer = line.ask(&assignment(stage, host)).await?;
        let answer: Value = serde_json::from_str(answer)?;
        ids.push(answer["taskId"].as_str().context("a task has an id")?.to_owned());
    }
    Ok(ids)
}

fn assignment(stage: &Stage, host: &str) -> Vec<u8> {
    let body = r#"{"agentId":"support","message":"Where is my order?"}"#;
    post(host, "/api/tasks/assign-user-task", &user(stage), body)
}

/// An agent's answers, spread over the tasks.
pub(crate) fn answer(stage: &Stage, host: &str, tasks: &Arc<Vec<String>>) -> Make {
    let (host, machine, tasks) = (host.to_owned(), stage.machine(), Arc::clone(tasks));
    let next = AtomicUsize::new(0);
    Arc::new(move |_, _| {
        let task = &tasks[next.fetch_add(1, Ordering::Relaxed) % tasks.len()];
        let body =
            format!(r#"{{"taskId":"{task}","response":"It is on its way and will be there on Thursday."}}"#);
        post(&host, "/api/communications/webhook-response", &machine, &body)
    })
}

fn question(stage: &Stage, host: &str, task: &str) -> Vec<u8> {
    let path = format!("/api/communications/get-responses?taskId={task}");
    get(host, &path, &user(stage))
}

/// Questions of pages whose tasks have no answer yet: what most of them are.
async fn polls(stage: &Stage, node: &Peer) -> Result<()> {
    heading("Questions for answers, of pages that poll");
    let mut sides = Vec::new();
    for (who, host, pid) in [
        (TASK_CHAT, stage.host(), stage.pid),
        (NODE, &node.host, node.pid()?),
    ] {
        let requests: Vec<_> = tasks(stage, host)
            .await?
            .iter()
            .map(|task| question(stage, host, task))
            .collect();
        let make: Make =
            Arc::new(move |connection, nth| requests[(connection * 7 + nth) % requests.len()].clone());
        sides.push(Side::http(who, host, pid, make));
    }
    let contest = Contest {
        work: "polls",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(TASK_CHAT);
    Ok(())
}

/// What the pages of the Node server see, when they ask each second as such pages do. Ours is in the section of those who wait.
async fn screens(stage: &Stage, node: &Peer) -> Result<()> {
    heading(&format!(
        "An answer to the screens of {PAGES} pages that ask Node each second"
    ));
    let task = tasks(stage, &node.host).await?.swap_remove(0);
    let request = Arc::new(question(stage, &node.host, &task));
    let (tell, mut told) = mpsc::channel(PAGES);
    let begun = Instant::now();
    for page in 0..PAGES {
        let (host, request, tell) = (node.host.clone(), Arc::clone(&request), tell.clone());
        let first = begun + ASKED_EVERY * u32::try_from(page)? / u32::try_from(PAGES)?;
        tokio::spawn(async move { tell.send(seen(&host, &request, first).await).await });
    }
    drop(tell);
    // All have asked at least once by then.
    tokio::time::sleep(ASKED_EVERY * 2).await;
    let committed = {
        let request = answer(stage, &node.host, &Arc::new(vec![task]))(0, 0);
        Connection::open(&node.host).await?.ask(&request).await?;
        Instant::now()
    };
    let mut waits = Series::default();
    while let Some(at) = told.recv().await {
        waits.push(at?.saturating_duration_since(committed));
    }
    let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
    row(
        "from the commit to each",
        &format!("p50 {p50:6.1} ms   p99 {p99:6.1} ms   n {}", waits.len()),
    );
    Ok(())
}

/// When a page that asks each second has the answer.
async fn seen(host: &str, request: &[u8], first: Instant) -> Result<Instant> {
    tokio::time::sleep_until(first.into()).await;
    let mut line = Connection::open(host).await?;
    let mut every = tokio::time::interval(ASKED_EVERY);
    loop {
        every.tick().await;
        if line.ask(request).await?.contains("Thursday") {
            return Ok(Instant::now());
        }
    }
}
