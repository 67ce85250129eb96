//! What an idle connection costs the process that holds it, next to a bare echo of the same library and a Node server.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::Stack;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::chat_peers::{Peer, connect, next_text};
use crate::figures::{goal, heading, row};
use crate::process::resident_mib;

const CHAT: &str = "chat-ws-svc";
/// How many are held when memory is looked at. The file limit of a process is 20 000 here, and the clients are one process.
const CONNECTIONS: [usize; 2] = [2_000, 9_000];
/// Connections that are opened at a time.
const AT_ONCE: usize = 64;
/// Connections before memory is looked at for the first time: the allocator has its arenas then.
const WARM: usize = 200;
/// After the last connection, before memory is looked at.
const SETTLE: Duration = Duration::from_secs(3);
/// At most this many times the bare echo.
const GOAL_TIMES: f64 = 1.3;

pub(crate) async fn run() -> Result<()> {
    heading("Idle connections of one process, resident memory of each");
    let bare = {
        let peer = Peer::bare_echo().await?;
        measure(
            "bare tokio-tungstenite echo, small buffers",
            peer.pid()?,
            &peer.sockets,
            false,
        )
        .await?
    };
    let stack = Stack::builder()
        .services(&[CHAT])
        .set("CONNECTIONS_PER_ADDRESS", "100000")
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    let pid = stack.pid(CHAT, 0).await.context("the service runs")?;
    let ws = stack.replica(CHAT, 0).ws_url().context("it has WebSockets")?;
    let sockets = ws
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .unwrap_or_default();
    let ours = measure(CHAT, pid, sockets, true).await?;
    let node = {
        let peer = Peer::node(stack.database_url(), &stack.n8n().webhook_url("chat")).await?;
        measure("Node, ws and express", peer.pid()?, &peer.sockets, true).await?
    };
    for (nth, count) in CONNECTIONS.into_iter().enumerate() {
        let times = ours[nth] / bare[nth];
        goal(
            &format!("{count}: at most {GOAL_TIMES} times the bare echo ({times:.2})"),
            times <= GOAL_TIMES,
        );
        goal(&format!("{count}: less than Node"), ours[nth] < node[nth]);
    }
    stack.stop().await
}

/// Bytes of a connection, at each of the counts.
async fn measure(name: &str, pid: i32, sockets: &str, greets: bool) -> Result<[f64; CONNECTIONS.len()]> {
    let mut held = JoinSet::new();
    open(&mut held, WARM, sockets, greets).await?;
    tokio::time::sleep(SETTLE).await;
    let before = resident_mib(pid)?;
    let (mut each, mut open_now) = ([0.0; CONNECTIONS.len()], 0);
    for (nth, count) in CONNECTIONS.into_iter().enumerate() {
        open(&mut held, count - open_now, sockets, greets).await?;
        open_now = count;
        tokio::time::sleep(SETTLE).await;
        let after = resident_mib(pid)?;
        each[nth] = (after - before) * 1024.0 * 1024.0 / count as f64;
        row(
            &format!("{name}, {count}"),
            &format!("{:6.0} bytes   ({before:.1} to {after:.1} MiB)", each[nth]),
        );
    }
    held.shutdown().await;
    Ok(each)
}

/// Opens so many more; each is read, so that pings are answered.
async fn open(held: &mut JoinSet<()>, count: usize, sockets: &str, greets: bool) -> Result<()> {
    let places = std::sync::Arc::new(Semaphore::new(AT_ONCE));
    let (tell, mut told) = tokio::sync::mpsc::channel(count);
    for _ in 0..count {
        let (sockets, tell, places) = (sockets.to_owned(), tell.clone(), std::sync::Arc::clone(&places));
        held.spawn(async move {
            let opened = async {
                let _place = places.acquire().await?;
                let mut socket = connect(&sockets).await?;
                if greets {
                    next_text(&mut socket).await?;
                }
                anyhow::Ok(socket)
            };
            match opened.await {
                Ok(mut socket) => {
                    let _ = tell.send(Ok(())).await;
                    drop(tell);
                    while socket.next().await.is_some_and(|message| message.is_ok()) {}
                }
                Err(error) => {
                    let _ = tell.send(Err(error)).await;
                }
            }
        });
    }
    drop(tell);
    for _ in 0..count {
        told.recv().await.context("all are told of")??;
    }
    Ok(())
}
