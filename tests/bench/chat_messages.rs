//! How long `send-message` takes to a socket; and messages a second, from a visitor to the database, to the bot and back to
//! the visitor. Next to a Node server on the same database with the same bot; rounds alternate, and who begins does too.

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
const TALKS: usize = 3;
const TALK: Duration = Duration::from_secs(8);
/// Rounds of `send-message`, and its requests in each, one after the other.
const PUSH_ROUNDS: usize = 12;
const PUSHES: usize = 400;
/// Requests before the first round: connections are open then, and statements prepared.
const WARM: usize = 100;

/// One of the two servers.
struct Side {
    sockets: String,
    url: String,
    secret: String,
    client: Client,
    rates: Vec<f64>,
    trips: [Vec<f64>; 2],
    pushes: [Vec<f64>; 2],
}

/// The median and the slowest hundredth of a round, in milliseconds.
fn add(rounds: &mut [Vec<f64>; 2], mut round: Series) {
    for (values, share) in rounds.iter_mut().zip([0.5, 0.99]) {
        values.push(round.quantile_ms(share));
    }
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
    for side in [&mut ours, &mut theirs] {
        side.push(WARM).await?;
    }
    for round in 0..PUSH_ROUNDS {
        for side in in_turn(round, &mut ours, &mut theirs) {
            let took = side.push(PUSHES).await?;
            add(&mut side.pushes, took);
        }
    }
    for round in 0..TALKS {
        for side in in_turn(round, &mut ours, &mut theirs) {
            side.talk().await?;
        }
    }
    drop(node);
    tell(&ours, &theirs);
    stack.stop().await
}

/// Both sides; each of them begins every second round.
fn in_turn<'a>(round: usize, ours: &'a mut Side, theirs: &'a mut Side) -> [&'a mut Side; 2] {
    if round.is_multiple_of(2) {
        [theirs, ours]
    } else {
        [ours, theirs]
    }
}

fn tell(ours: &Side, theirs: &Side) {
    heading(&format!("send-message to socket, {PUSHES} one after the other"));
    let p50 = both(ours, theirs, "p50, ms", |side| &side.pushes[0]);
    let p99 = both(ours, theirs, "p99, ms", |side| &side.pushes[1]);
    goal(
        "send-message sooner at the socket, p50 and p99",
        p50.0 < p50.1 && p99.0 < p99.1,
    );
    heading(&format!(
        "{CONNECTIONS} visitors: message, stored, bot, stored, answer"
    ));
    let rate = both(ours, theirs, "messages a second", |side| &side.rates);
    both(ours, theirs, "round trip p50, ms", |side| &side.trips[0]);
    both(ours, theirs, "round trip p99, ms", |side| &side.trips[1]);
    goal("more messages a second", rate.0 > rate.1);
}

/// Tells a figure of both sides, and gives their medians.
fn both(ours: &Side, theirs: &Side, name: &str, of: fn(&Side) -> &[f64]) -> (f64, f64) {
    row(&format!("{name}: {CHAT}"), &spread(of(ours)));
    row(&format!("{name}: Node, ws and express"), &spread(of(theirs)));
    (median(of(ours)), median(of(theirs)))
}

fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn spread(rounds: &[f64]) -> String {
    let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rounds.iter().copied().fold(0.0, f64::max);
    format!(
        "{:8.2}   ({least:.2} to {most:.2} in {} rounds)",
        median(rounds),
        rounds.len()
    )
}

impl Side {
    fn new(sockets: &str, url: &str, secret: &str) -> Self {
        Self {
            sockets: sockets.to_owned(),
            url: url.to_owned(),
            secret: secret.to_owned(),
            client: client(),
            rates: Vec::new(),
            trips: Default::default(),
            pushes: Default::default(),
        }
    }

    /// All write, wait for the answer, and write again.
    async fn talk(&mut self) -> Result<()> {
        let mut talking = JoinSet::new();
        let mut sockets = Vec::new();
        for _ in 0..CONNECTIONS {
            sockets.push(greeted(&self.sockets).await?.0);
        }
        let until = Instant::now() + TALK;
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
        let mut round = Series::default();
        while let Some(trips) = talking.join_next().await {
            trips??.into_iter().for_each(|trip| round.push(trip));
        }
        self.rates.push(round.len() as f64 / TALK.as_secs_f64());
        add(&mut self.trips, round);
        Ok(())
    }

    /// One message after the other, from the request to the frame.
    async fn push(&self, count: usize) -> Result<Series> {
        let (mut socket, session) = greeted(&self.sockets).await?;
        let url = format!("{}/api/send-message", self.url);
        let mut round = Series::default();
        for _ in 0..count {
            let body = json!({"sessionId": session, "text": "Here you are."});
            let request = self
                .client
                .post(&url)
                .header("x-n8n-webhook-secret", &self.secret)
                .json(&body);
            let begun = Instant::now();
            let (answer, came) = tokio::join!(request.send(), wait_for(&mut socket, "message"));
            ensure!(answer?.status() == 200, "send-message was not taken");
            round.push(came?.duration_since(begun));
        }
        Ok(round)
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
