//! Thousands of sessions that wait for n8n at the same time, in one process.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use devstack::Stack;
use e2e::people::{User, client};
use e2e::waiting::eventually;
use futures_util::StreamExt;
use futures_util::stream;
use switchhook_standins::Control;
use switchhook_standins::control::Mode;

use crate::figures::{goal, heading, row};
use crate::process::{metric, resident_mib};

const SESSIONS: usize = 5_000;
/// Starts under way at a time.
const PARALLEL: usize = 32;
const GOAL_MIB: f64 = 300.0;

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&["session-svc"])
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    stack.n8n().push(Control {
        times: 0,
        mode: Some(Mode::Hold),
        ..Control::default()
    });
    let pid = stack.pid("session-svc", 0).await.context("the service runs")?;
    let before = resident_mib(pid)?;
    let client = client();
    let begun = Instant::now();
    stream::iter(0..SESSIONS)
        .for_each_concurrent(PARALLEL, |n| {
            let user = User::with_client(&stack, 0, &format!("waits-{n}"), &client);
            async move {
                user.started(10).await;
            }
        })
        .await;
    let started = begun.elapsed();
    eventually("all wait", Duration::from_secs(120), || async {
        (stack.n8n().held() == SESSIONS).then_some(())
    })
    .await;
    let base = stack.url("session-svc", 0);
    eventually("the pool is idle", Duration::from_secs(30), || async {
        (metric(&client, base, "db_pool_connections{state=\"used\"}")
            .await
            .ok()?
            < 1.0)
            .then_some(())
    })
    .await;
    let waiting = resident_mib(pid)?;
    let used = metric(&client, base, "db_pool_connections{state=\"used\"}").await?;
    heading(&format!("{SESSIONS} sessions waiting for n8n in one process"));
    row(
        "starts a second",
        &format!("{:.0}", SESSIONS as f64 / started.as_secs_f64()),
    );
    row("resident before", &format!("{before:.1} MiB"));
    row("resident with all waiting", &format!("{waiting:.1} MiB"));
    row(
        "a waiting session",
        &format!("{:.1} KiB", (waiting - before) * 1024.0 / SESSIONS as f64),
    );
    row("database connections in use", &format!("{used:.0}"));
    goal(
        &format!("under {GOAL_MIB} MiB with the pool idle"),
        waiting < GOAL_MIB && used < 1.0,
    );
    stack.n8n().clear();
    eventually("all answers are recorded", Duration::from_secs(120), || async {
        (metric(&client, base, "outbox_in_flight").await.ok()? < 1.0).then_some(())
    })
    .await;
    stack.stop().await
}
