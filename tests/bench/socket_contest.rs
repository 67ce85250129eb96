//! What chat costs next to Node: messages of visitors with their bot's answers, and `send-message`, which also goes to a socket
//! on another replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::chat_peers::{Peer, Socket, connect, next_text};
use crate::contest::{Contest, Side};
use crate::extent::{counting, lasting};
use crate::figures::{Series, figure, goal, heading, row};
use crate::load::{Connection, Make, post};
use crate::process::cpu_s;
use crate::report::Bar;
use crate::stage::{self, Stage};

const CHAT: &str = "chat-ws-svc";
const NODE: &str = "Node, ws and express";
const CONNECTIONS: usize = 32;
/// Chats with a socket each: so many that none of them uses up its rate.
const CHATS: usize = 256;
const ROUNDS: usize = 3;
const TALK: Duration = lasting(3_000);
/// Messages to a socket of either replica, one after the other, in turn.
const PUSHES: usize = counting(400);
const GOAL_TIMES_CPU: f64 = 4.0;

pub(crate) async fn run() -> Result<()> {
    let builder = settings()
        .into_iter()
        .fold(stage::of(&[CHAT]), |builder, (name, value)| {
            builder.set(name, value)
        });
    let stage = Stage::start(CHAT, builder.replicas(CHAT, 2)).await?;
    stage.n8n_answers(Some(json!({"text": "Here is your answer."})));
    let node = Peer::node(stage.stack.database_url(), &stage.stack.n8n().webhook_url("chat")).await?;
    talk(&stage, &node).await?;
    send_message(&stage, &node).await?;
    drop(node);
    across(&stage).await?;
    stage.stack.stop().await
}

/// No visitor is held back.
pub(crate) fn settings() -> [(&'static str, &'static str); 3] {
    [
        ("CONNECTIONS_PER_ADDRESS", "100000"),
        ("VISITOR_RATE", "6000"),
        ("SEND_MESSAGE_RATE", "6000"),
    ]
}

/// `host:port` of a replica's sockets.
pub(crate) fn sockets(stage: &Stage, replica: usize) -> Result<String> {
    let url = stage
        .stack
        .replica(CHAT, replica)
        .ws_url()
        .context("it has WebSockets")?;
    Ok(url
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// So many chats, each with its socket.
async fn chats(sockets: &str, count: usize) -> Result<Vec<(String, Socket)>> {
    let mut chats = Vec::new();
    for _ in 0..count {
        let mut socket = connect(sockets).await?;
        let greeting: Value = serde_json::from_str(&next_text(&mut socket).await?)?;
        let id = greeting["sessionId"].as_str().context("a greeting has it")?;
        chats.push((id.to_owned(), socket));
    }
    Ok(chats)
}

/// Chats whose sockets are read by tasks of their own; gives their ids.
pub(crate) async fn read_chats(sockets: &str, readers: &mut JoinSet<()>) -> Result<Arc<Vec<String>>> {
    let mut ids = Vec::new();
    for (id, mut socket) in chats(sockets, CHATS).await? {
        ids.push(id);
        readers.spawn(async move { while socket.next().await.is_some_and(|message| message.is_ok()) {} });
    }
    Ok(Arc::new(ids))
}

/// Messages of a machine, spread over the chats.
pub(crate) fn message(host: &str, machine: &str, chats: &Arc<Vec<String>>) -> Make {
    let (host, machine, chats) = (host.to_owned(), machine.to_owned(), Arc::clone(chats));
    let next = AtomicUsize::new(0);
    Arc::new(move |_, _| {
        let chat = &chats[next.fetch_add(1, Ordering::Relaxed) % chats.len()];
        let body = format!(r#"{{"sessionId":"{chat}","text":"Here you are."}}"#);
        post(&host, "/api/send-message", &machine, &body)
    })
}

/// Every visitor writes, waits for the bot's answer, and writes again: seconds of CPU for a million.
async fn talk(stage: &Stage, node: &Peer) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let sides = [
        (node.sockets.clone(), node.pid()?),
        (sockets(stage, 0)?, stage.pid),
    ];
    for _ in 0..ROUNDS {
        for (cost, (sockets, pid)) in [&mut theirs, &mut ours].into_iter().zip(&sides) {
            let before = cpu_s(*pid)?;
            let messages = round(sockets).await?;
            cost.push((cpu_s(*pid)? - before) * 1e6 / messages as f64);
        }
    }
    heading(&format!("Messages of {CHATS} visitors, with the bot's answers"));
    let (ours, theirs) = (Bar::new(CHAT, &ours), Bar::new(NODE, &theirs));
    let times = theirs.median() / ours.median().max(f64::EPSILON);
    figure("CPU for a million, without PostgreSQL", "s", vec![ours, theirs]);
    goal(
        &format!("{CHAT}: at least {GOAL_TIMES_CPU} × the peer's messages per CPU second ({times:.1})"),
        times >= GOAL_TIMES_CPU,
    );
    Ok(())
}

/// Messages that were answered.
async fn round(sockets: &str) -> Result<usize> {
    let chats = chats(sockets, CHATS).await?;
    let until = Instant::now() + TALK;
    let mut talking = JoinSet::new();
    for (_, mut socket) in chats {
        talking.spawn(async move {
            let mut answered = 0;
            while Instant::now() < until {
                let client_id = format!("c{answered}");
                let frame =
                    json!({"type": "message", "text": "What are your opening hours?", "clientId": client_id});
                socket.send(Message::text(frame.to_string())).await?;
                loop {
                    let frame = next_text(&mut socket).await?;
                    ensure!(!frame.contains(r#""type":"error""#), "{frame}");
                    if frame.contains(r#""type":"message""#) {
                        break;
                    }
                }
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(one) = talking.join_next().await {
        answered += one??;
    }
    Ok(answered)
}

async fn send_message(stage: &Stage, node: &Peer) -> Result<()> {
    heading("send-message to chats with a socket");
    let mut readers = JoinSet::new();
    let ours = read_chats(&sockets(stage, 0)?, &mut readers).await?;
    let theirs = read_chats(&node.sockets, &mut readers).await?;
    let contest = Contest {
        work: "send-message",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let host = node.url.trim_start_matches("http://");
    let sides = [
        Side::http(
            CHAT,
            stage.host(),
            stage.pid,
            message(stage.host(), &stage.machine(), &ours),
        ),
        Side::http(NODE, host, node.pid()?, message(host, "", &theirs)),
    ];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(CHAT);
    contest.half_load(&sides[0], &sides[1], &outcome).await
}

/// From the request at one replica to the frame at a socket of the same one, and of the other one.
async fn across(stage: &Stage) -> Result<()> {
    let mut lines = Vec::new();
    for replica in [0, 1] {
        let (chat, socket) = chats(&sockets(stage, replica)?, 1).await?.swap_remove(0);
        lines.push((
            message(stage.host(), &stage.machine(), &Arc::new(vec![chat])),
            socket,
            Series::default(),
        ));
    }
    let mut connection = Connection::open(stage.host()).await?;
    for _ in 0..PUSHES {
        for (make, socket, waits) in &mut lines {
            let begun = Instant::now();
            let request = make(0, 0);
            let arrived = async {
                while !next_text(socket).await?.contains("Here you are.") {}
                anyhow::Ok(begun.elapsed())
            };
            let (asked, arrived) = tokio::join!(connection.ask(&request), arrived);
            asked?;
            waits.push(arrived?);
        }
    }
    heading("send-message, from the request to the frame");
    for (name, (_, _, waits)) in ["socket on the same replica", "socket on the other replica"]
        .iter()
        .zip(&mut lines)
    {
        let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
        row(
            name,
            &format!("p50 {p50:5.2} ms   p99 {p99:5.2} ms   n {}", waits.len()),
        );
    }
    Ok(())
}
