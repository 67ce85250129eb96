//! Messages a second, from a visitor to the database, to the bot and back to the visitor; and how long `send-message`
//! takes to a socket. Next to a Node server on the same database with the same bot; rounds alternate.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::Stack;
use e2e::people::client;
use futures_util::SinkExt;
use reqwest::Client;
use serde_json::{Value, json};
use switchhook_standins::Control;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::chat_peers::{Peer, Socket, connect, next_text};
use crate::figures::{Series, goal, heading, row};

const CHAT: &str = "chat-ws-svc";
/// So many that none of them writes more than the 20 frames a second that a connection may.
const CONNECTIONS: usize = 256;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(8);
/// `send-message` requests of a round, one after the other.
const PUSHES: usize = 300;

/// One of the two servers.
struct Side {
    sockets: String,
    url: String,
    secret: String,
    client: Client,
    rates: Vec<f64>,
    trips: Series,
    pushes: Series,
}

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&[CHAT])
        .measured_postgres()
        .set("CONNECTIONS_PER_ADDRESS", "100000")
        .set("VISITOR_RATE", "6000")
        .set("SEND_MESSAGE_RATE", "6000")
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    // The same bytes for everybody, at once.
    stack.n8n().push(Control {
        times: 0,
        status: Some(200),
        body: Some(json!({"text": "Here is your answer."})),
        ..Control::default()
    });
    let node = Peer::node(stack.database_url(), &stack.n8n().webhook_url("chat")).await?;
    let ws = stack.replica(CHAT, 0).ws_url().context("it has WebSockets")?;
    let sockets = ws
        .trim_start_matches("ws://")
        .split('/')
        .next()
        .unwrap_or_default();
    let mut ours = Side::new(sockets, stack.url(CHAT, 0), &stack.keys().webhook_secret);
    let mut theirs = Side::new(&node.sockets, &node.url, "");
    for _ in 0..ROUNDS {
        for side in [&mut theirs, &mut ours] {
            side.talk().await?;
            side.push().await?;
        }
    }
    drop(node);
    heading(&format!(
        "{CONNECTIONS} visitors: message, stored, bot, stored, answer"
    ));
    let (a, b) = (ours.told("chat-ws-svc"), theirs.told("Node, ws and express"));
    goal("more messages a second", a.rate > b.rate);
    goal(
        "send-message sooner at the socket, p50 and p99",
        a.p50 < b.p50 && a.p99 < b.p99,
    );
    stack.stop().await
}

/// A side's figures.
struct Told {
    rate: f64,
    p50: f64,
    p99: f64,
}

impl Side {
    fn new(sockets: &str, url: &str, secret: &str) -> Self {
        Self {
            sockets: sockets.to_owned(),
            url: url.to_owned(),
            secret: secret.to_owned(),
            client: client(),
            rates: Vec::new(),
            trips: Series::default(),
            pushes: Series::default(),
        }
    }

    fn told(&mut self, name: &str) -> Told {
        self.rates.sort_by(f64::total_cmp);
        let rate = self.rates[self.rates.len() / 2];
        let (p50, p99) = (self.trips.quantile_ms(0.5), self.trips.quantile_ms(0.99));
        row(
            name,
            &format!("{rate:6.0}/s   round trip p50 {p50:5.1} ms   p99 {p99:5.1} ms"),
        );
        let (p50, p99) = (self.pushes.quantile_ms(0.5), self.pushes.quantile_ms(0.99));
        row(
            "  send-message to socket",
            &format!("p50 {p50:5.2} ms   p99 {p99:5.2} ms   n {}", self.pushes.len()),
        );
        Told { rate, p50, p99 }
    }

    /// All write, wait for the answer, and write again.
    async fn talk(&mut self) -> Result<()> {
        let mut talking = JoinSet::new();
        let mut sockets = Vec::new();
        for _ in 0..CONNECTIONS {
            sockets.push(greeted(&self.sockets).await?.0);
        }
        let until = Instant::now() + ROUND;
        for mut socket in sockets {
            talking.spawn(async move {
                let mut trips = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    let frame = json!({"type": "message", "text": "What are your opening hours?",
                        "clientId": format!("c{}", trips.len())});
                    socket.send(Message::text(frame.to_string())).await?;
                    wait_for(&mut socket, "message").await?;
                    trips.push(begun.elapsed());
                }
                anyhow::Ok(trips)
            });
        }
        let mut count = 0;
        while let Some(trips) = talking.join_next().await {
            for trip in trips?? {
                self.trips.push(trip);
                count += 1;
            }
        }
        self.rates.push(count as f64 / ROUND.as_secs_f64());
        Ok(())
    }

    /// One message after the other, from the request to the frame.
    async fn push(&mut self) -> Result<()> {
        let (mut socket, session) = greeted(&self.sockets).await?;
        let url = format!("{}/api/send-message", self.url);
        for _ in 0..PUSHES {
            let body = json!({"sessionId": session, "text": "Here you are."});
            let request = self
                .client
                .post(&url)
                .header("x-n8n-webhook-secret", &self.secret)
                .json(&body);
            let begun = Instant::now();
            let (answer, came) = tokio::join!(request.send(), wait_for(&mut socket, "message"));
            ensure!(answer?.status() == 200, "send-message was not taken");
            self.pushes.push(came?.duration_since(begun));
        }
        Ok(())
    }
}

async fn greeted(sockets: &str) -> Result<(Socket, String)> {
    let mut socket = connect(sockets).await?;
    let greeting: Value = serde_json::from_str(&next_text(&mut socket).await?)?;
    let session = greeting["sessionId"]
        .as_str()
        .context("a greeting has it")?
        .to_owned();
    Ok((socket, session))
}

/// When the next frame of a kind came.
async fn wait_for(socket: &mut Socket, kind: &str) -> Result<Instant> {
    loop {
        let frame: Value = serde_json::from_str(&next_text(socket).await?)?;
        if frame["type"] == kind {
            return Ok(Instant::now());
        }
        ensure!(frame["type"] != "error", "{frame}");
    }
}
