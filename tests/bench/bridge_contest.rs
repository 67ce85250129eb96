//! Dispatches next to a bridge in FastAPI with LiveKit's own client, both against the same stand-in: what they cost, and how
//! long they take at half load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use switchhook_standins::livekit::{Delivery, Ending, Plan};

use crate::contest::{Contest, Side};
use crate::figures::heading;
use crate::load::{Make, post};
use crate::peers::Peer;
use crate::stage::{self, Stage};

const DISPATCH: &str = "dispatch-bridge-svc";
const FASTAPI: &str = "FastAPI, livekit-api, asyncpg";
const CONNECTIONS: usize = 32;

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(DISPATCH, stage::of(&[DISPATCH])).await?;
    only_dispatches(&stage);
    let peer = start_peer(&stage).await?;
    heading("Dispatches: reserved, made at LiveKit, taken by a worker, recorded");
    let contest = Contest {
        work: "dispatches",
        connections: CONNECTIONS,
        postmaster: stage.postmaster,
    };
    let sides = [
        Side::http(DISPATCH, stage.host(), stage.pid, dispatch(&stage, stage.host())),
        Side::http(FASTAPI, &peer.host, peer.pid()?, dispatch(&stage, &peer.host)),
    ];
    let outcome = contest.run(&sides).await?;
    outcome.tell();
    outcome.tell_cost(DISPATCH);
    contest.half_load(&sides[0], &sides[1], &outcome).await?;
    drop(peer);
    stage.stack.stop().await
}

/// The FastAPI server, on the stack's database and LiveKit.
pub(crate) async fn start_peer(stage: &Stage) -> Result<Peer> {
    let (key, secret) = &stage.stack.keys().livekit_key;
    let livekit = stage.stack.livekit().api_url();
    let variables: [(&str, &str); 4] = [
        ("DATABASE_URL", stage.stack.database_url()),
        ("LIVEKIT_URL", &livekit),
        ("LIVEKIT_API_KEY", key),
        ("LIVEKIT_API_SECRET", secret),
    ];
    Peer::python("dispatch", &variables).await
}

/// Jobs are taken at once, and nothing happens in their rooms: the peer does not follow calls.
pub(crate) fn only_dispatches(stage: &Stage) {
    stage.stack.livekit().plan(Plan {
        job_after: Duration::ZERO,
        ending: Ending::NeverDials,
        ..Plan::default()
    });
    stage.stack.livekit().set_delivery(Delivery {
        sends: false,
        ..Delivery::default()
    });
}

/// Dispatches, each to another number.
pub(crate) fn dispatch(stage: &Stage, host: &str) -> Make {
    let (host, machine, next) = (host.to_owned(), stage.machine(), AtomicUsize::new(0));
    Arc::new(move |_, _| {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"destination":"6140{nth:07}","account_code":"bench","metadata":{{"ticket_id":{nth}}}}}"#
        );
        post(&host, "/dispatch", &machine, &body)
    })
}
