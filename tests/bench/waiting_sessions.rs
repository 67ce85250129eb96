//! Thousands of sessions that wait for n8n at the same time, in one process; next to Node, which keeps a promise for each.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::people::client;
use e2e::waiting::eventually;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;
use tokio::task::JoinSet;

use crate::extent::counting;
use crate::figures::{figure, goal, heading, row};
use crate::load::{Connection, Make};
use crate::process::{metric, resident_mib};
use crate::report::Bar;
use crate::session_contest::{start, start_peer};
use crate::stage::{self, Stage};

const SESSION: &str = "session-svc";
const NODE: &str = "Node, express and pg";
const SESSIONS: usize = counting(5_000);
/// Starts under way at a time.
const PARALLEL: usize = 32;
/// Longest until all wait, or all answers are recorded.
const PATIENCE: Duration = Duration::from_secs(120);
const GOAL_MIB: f64 = 300.0;

pub(crate) async fn run() -> Result<()> {
    let stage = Stage::start(SESSION, stage::of(&[SESSION])).await?;
    let node = start_peer(&stage).await?;
    heading(&format!("{SESSIONS} sessions waiting for n8n in one process"));
    let theirs = waiting(&stage, node.pid()?, &start(&stage, &node.host), &node.host).await?;
    stage.stack.n8n().clear();
    drop(node);
    let ours = waiting(&stage, stage.pid, &start(&stage, stage.host()), stage.host()).await?;
    let (client, base) = (client(), stage.url());
    let used = "db_pool_connections{state=\"used\"}";
    eventually("the pool is idle", PATIENCE, || async {
        (metric(&client, base, used).await.ok()? < 1.0).then_some(())
    })
    .await;
    let each = |sides: [(&str, f64); 2]| sides.map(|(who, value)| Bar::new(who, &[value])).to_vec();
    let kib = |one: &Waiting| (one.after_mib - one.before_mib) * 1024.0 / SESSIONS as f64;
    figure(
        "starts while others wait",
        "/s",
        each([(SESSION, ours.per_second), (NODE, theirs.per_second)]),
    );
    figure(
        "a waiting session",
        "KiB",
        each([(SESSION, kib(&ours)), (NODE, kib(&theirs))]),
    );
    figure(
        "resident with all waiting",
        "MiB",
        each([(SESSION, ours.after_mib), (NODE, theirs.after_mib)]),
    );
    row(
        "database connections in use",
        &format!("{:.0}", metric(&client, base, used).await?),
    );
    goal(
        &format!("under {GOAL_MIB} MiB with the pool idle"),
        ours.after_mib < GOAL_MIB,
    );
    stage.stack.n8n().clear();
    eventually("all answers are recorded", PATIENCE, || async {
        (metric(&client, base, "outbox_in_flight").await.ok()? < 1.0).then_some(())
    })
    .await;
    stage.stack.stop().await
}

/// How fast they were started, and memory without and with all of them.
struct Waiting {
    per_second: f64,
    before_mib: f64,
    after_mib: f64,
}

async fn waiting(stage: &Stage, pid: i32, start: &Make, host: &str) -> Result<Waiting> {
    stage.stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let before_mib = resident_mib(pid)?;
    let begun = Instant::now();
    let mut starting = JoinSet::new();
    for _ in 0..PARALLEL {
        let (start, host) = (start.clone(), host.to_owned());
        starting.spawn(async move {
            let mut line = Connection::open(&host).await?;
            for _ in 0..SESSIONS.div_ceil(PARALLEL) {
                line.ask(&start(0, 0)).await?;
            }
            anyhow::Ok(())
        });
    }
    for outcome in starting.join_all().await {
        outcome?;
    }
    let per_second = SESSIONS as f64 / begun.elapsed().as_secs_f64();
    eventually("all wait", PATIENCE, || async {
        (stage.stack.n8n().held() >= SESSIONS).then_some(())
    })
    .await;
    Ok(Waiting {
        per_second,
        before_mib,
        after_mib: resident_mib(pid)?,
    })
}
