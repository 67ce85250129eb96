//! Retell's events, each stored before it is answered, at 1, 32 and 256 connections: next to Node, and to bare INSERTs of the
//! same bytes into the same table by `pgbench`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use e2e::people::{CallOwner, now};
use secrecy::SecretString;
use switchhook_core::webhook::retell;

use crate::contest::{Contest, Side};
use crate::figures::{goal, heading};
use crate::load::{Make, post};
use crate::peers::Peer;
use crate::retell_load::{self, AGENTS, CALL_OF_PGBENCH, KEY, pgbench};
use crate::stage::{self, Stage};

const RETELL: &str = "retell-ingest-svc";
const NODE: &str = "Node, express and pg";
const PGBENCH: &str = "pgbench, INSERT of one row";
const FEW_AND_MANY: [usize; 3] = [1, 32, 256];
/// The number of connections that goals are for.
const USUAL: usize = 32;
/// PostgreSQL lets in a hundred, and the service has some of them.
const MOST_OF_PGBENCH: usize = 64;
const GOAL_TIMES_PGBENCH: f64 = 1.5;
const GOAL_TIMES_NODE: f64 = 6.0;

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(RETELL, stage::of(&[RETELL]).set("RETELL_API_KEYS", KEY)).await?;
    let node = start_peer(&stage).await?;
    stage.run(CALL_OF_PGBENCH).await?;
    connect_agents(&stage).await;
    for connections in FEW_AND_MANY {
        at(&stage, &node, connections).await?;
    }
    drop(node);
    stage.stack.stop().await
}

/// The Node server, on the stack's database.
pub(crate) async fn start_peer(stage: &Stage) -> Result<Peer> {
    let database = stage.stack.database_url();
    Peer::node("retell", &[("DATABASE_URL", database), ("RETELL_API_KEY", KEY)]).await
}

/// The settings that the events need.
pub(crate) fn settings() -> [(&'static str, &'static str); 1] {
    [("RETELL_API_KEYS", KEY)]
}

/// A client for each agent.
pub(crate) async fn connect_agents(stage: &Stage) {
    for agent in 0..AGENTS {
        let client = CallOwner::of(&stage.stack, 0, &format!("client-{agent}"));
        client.connect(&format!("agent_{agent}")).await;
    }
}

/// Ends of calls, each of another call, as Retell sends and signs them.
pub(crate) fn event(host: &str) -> Make {
    let (host, next, key) = (host.to_owned(), AtomicUsize::new(0), SecretString::from(KEY));
    Arc::new(move |_, _| {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let body = retell_load::event(0, nth % AGENTS, nth);
        let signature = retell::sign(&key, &body, now());
        let header = format!("{}: {signature}\r\n", retell::HEADER);
        post(&host, "/api/retell/webhook", &header, body)
    })
}

async fn at(stage: &Stage, node: &Peer, connections: usize) -> Result<()> {
    heading(&format!(
        "Retell's events at {connections} connections, every 2xx a commit"
    ));
    let contest = Contest {
        work: "events",
        connections,
        postmaster: stage.postmaster,
    };
    let sides = [
        Side::http(RETELL, stage.host(), stage.pid, event(stage.host())),
        Side::http(NODE, &node.host, node.pid()?, event(&node.host)),
        Side::pgbench(
            PGBENCH,
            pgbench(stage.stack.database_url())?.at_most(MOST_OF_PGBENCH),
        ),
    ];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    if connections == USUAL {
        let (bare, node) = (outcome.times(PGBENCH), outcome.times(NODE));
        goal(
            &format!("at least {GOAL_TIMES_PGBENCH} × pgbench ({bare:.2})"),
            bare >= GOAL_TIMES_PGBENCH,
        );
        goal(
            &format!("at least {GOAL_TIMES_NODE} × Node ({node:.2})"),
            node >= GOAL_TIMES_NODE,
        );
        outcome.tell_cost(RETELL);
        contest.half_load(&sides[0], &sides[1], &outcome).await?;
    }
    Ok(())
}
