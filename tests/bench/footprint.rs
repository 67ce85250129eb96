//! What a service is before anybody asks it for anything: how long it takes to be ready, its memory, its program's size. Next to
//! the peers.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devstack::places;
use tokio::process::{Child, Command};

use crate::chat_peers;
use crate::extent::counting;
use crate::figures::{figure, goal, heading};
use crate::load::{Connection, get};
use crate::peers::{self, Peer};
use crate::process::resident_mib;
use crate::report::Bar;
use crate::stage::{self, Stage};
use crate::writing::progress;
use crate::{bridge_contest, events_contest, session_contest, task_contest};

/// Each service, and what its peer is written in.
const SERVICES: [(&str, &str); 5] = [
    ("session-svc", "Node"),
    ("chat-ws-svc", "Node"),
    ("retell-ingest-svc", "Node"),
    ("dispatch-bridge-svc", "FastAPI"),
    ("task-chat-svc", "Node"),
];
const STARTS: usize = counting(5);
/// Longest that a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// After it is ready, before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
const GOAL_READY_MS: f64 = 300.0;
const GOAL_IDLE_MIB: f64 = 25.0;
const MIB: f64 = 1024.0 * 1024.0;

/// A process as it starts, round by round.
#[derive(Default)]
struct Started {
    ready_ms: Vec<f64>,
    idle_mib: Vec<f64>,
}

pub(crate) async fn run() -> Result<()> {
    heading("A service at rest: start, memory, size");
    let (mut slowest, mut largest) = (0.0_f64, 0.0_f64);
    for (service, language) in SERVICES {
        progress(service);
        let (ours, theirs) = measure(service).await.context(service)?;
        let bars = |values: fn(&Started) -> &Vec<f64>| {
            vec![
                Bar::new(service, values(&ours)),
                Bar::new(language, values(&theirs)),
            ]
        };
        let (ready, idle) = (bars(|one| &one.ready_ms), bars(|one| &one.idle_mib));
        slowest = slowest.max(ready[0].median());
        largest = largest.max(idle[0].median());
        figure(&format!("{service}: start to ready"), "ms", ready);
        figure(&format!("{service}: resident at rest"), "MiB", idle);
        let sizes =
            [bytes(&places::program(service)?), bytes(&packages(service))].map(|bytes| bytes as f64 / MIB);
        let bars = vec![
            Bar::new(service, &sizes[..1]),
            Bar::new(&format!("{language}, packages alone"), &sizes[1..]),
        ];
        figure(&format!("{service}: size on disk"), "MiB", bars);
    }
    goal(
        &format!("every service ready within {GOAL_READY_MS} ms of its start ({slowest:.0})"),
        slowest <= GOAL_READY_MS,
    );
    goal(
        &format!("every service at rest within {GOAL_IDLE_MIB} MiB ({largest:.1})"),
        largest <= GOAL_IDLE_MIB,
    );
    Ok(())
}

/// Starts it again and again on a schema that is migrated, as a roll-out does; in turn with its peer.
async fn measure(service: &'static str) -> Result<(Started, Started)> {
    let stage = Stage::start(service, stage::of(&[service])).await?;
    stage.stack.replica(service, 0).stop().await;
    let (mut ours, mut theirs) = (Started::default(), Started::default());
    for round in 1..=STARTS {
        let begun = Instant::now();
        let child = spawn(&stage)?;
        until_ready(stage.host(), begun).await?;
        ours.ready_ms.push(milliseconds(begun.elapsed()));
        let (took, peer) = start_peer(&stage).await?;
        theirs.ready_ms.push(milliseconds(took));
        if round == STARTS {
            tokio::time::sleep(SETTLE).await;
            let pid = i32::try_from(child.id().context("it runs")?)?;
            ours.idle_mib.push(resident_mib(pid)?);
            theirs.idle_mib.push(resident_mib(peer.pid()?)?);
        }
        stop(child).await?;
    }
    stage.stack.stop().await?;
    Ok((ours, theirs))
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn spawn(stage: &Stage) -> Result<Child> {
    let variables = stage.stack.replica(stage.service, 0).variables();
    let child = Command::new(places::program(stage.service)?)
        .arg("serve")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    child.context("it can be started")
}

/// Asks as a prober would, only more often.
async fn until_ready(host: &str, begun: Instant) -> Result<()> {
    loop {
        let asked = async {
            Connection::open(host)
                .await?
                .ask(&get(host, "/readyz", ""))
                .await
                .map(drop)
        };
        if asked.await.is_ok() {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "not ready in time");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// As Kubernetes does it, so that nothing is left on the schema.
async fn stop(mut child: Child) -> Result<()> {
    let pid = child.id().context("it runs")?.to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().await?;
    ensure!(asked.success(), "it cannot be told to end");
    tokio::time::timeout(PATIENCE, child.wait()).await??;
    Ok(())
}

/// Either kind of peer, as long as it runs.
enum Running {
    Peer(Peer),
    Chat(chat_peers::Peer),
}

impl Running {
    fn pid(&self) -> Result<i32> {
        match self {
            Self::Peer(peer) => peer.pid(),
            Self::Chat(peer) => peer.pid(),
        }
    }
}

/// The service's peer, and how long it took until it listened.
async fn start_peer(stage: &Stage) -> Result<(Duration, Running)> {
    let peer = match stage.service {
        "session-svc" => session_contest::start_peer(stage).await?,
        "retell-ingest-svc" => events_contest::start_peer(stage).await?,
        "dispatch-bridge-svc" => bridge_contest::start_peer(stage).await?,
        "task-chat-svc" => task_contest::start_peer(stage).await?,
        _ => {
            let begun = Instant::now();
            let bot = stage.stack.n8n().webhook_url("chat");
            let peer = chat_peers::Peer::node(stage.stack.database_url(), &bot).await?;
            return Ok((begun.elapsed(), Running::Chat(peer)));
        }
    };
    Ok((peer.took, Running::Peer(peer)))
}

/// What the peer installs beside its language.
fn packages(service: &str) -> std::path::PathBuf {
    match service {
        "dispatch-bridge-svc" => peers::place("dispatch").join("lib"),
        "session-svc" => peers::folder("session").join("node_modules"),
        "retell-ingest-svc" => peers::folder("retell").join("node_modules"),
        "task-chat-svc" => peers::folder("task-chat").join("node_modules"),
        _ => peers::folder("chat").join("node_modules"),
    }
}

/// Bytes of a file, or of all files below a folder.
fn bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let below: u64 = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| bytes(&entry.path()))
        .sum();
    let own = path.metadata().ok().filter(std::fs::Metadata::is_file);
    below + own.map_or(0, |metadata| metadata.len())
}
