//! Whether work costs more when more is stored: the same load on three stacks that hold once, ten times and a hundred times as
//! much, in turn. What counts is CPU, PostgreSQL's included: it depends least on what else the machine does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::extent::{counting, lasting};
use crate::figures::{figure, goal, heading};
use crate::load::{self, Make};
use crate::process::cpu_s;
use crate::report::Bar;
use crate::stage::{self, Stage};
use crate::writing::progress;
use crate::{bridge_contest, events_contest, session_contest, socket_contest, task_contest};

const SERVICES: [&str; 5] = [
    "session-svc",
    "retell-ingest-svc",
    "chat-ws-svc",
    "dispatch-bridge-svc",
    "task-chat-svc",
];
/// What is stored in the smallest of the stacks, and how many times that is in each.
const ROWS: usize = counting(2_000);
const TIMES: [usize; 3] = [1, 10, 100];
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 3;
const ROUND: Duration = lasting(1_500);
const WARM_UP: Duration = lasting(500);
const GOAL_TIMES: f64 = 1.2;

/// A kind of work on one stack, and what it cost, round by round.
struct Work {
    name: &'static str,
    make: Make,
    cpu_us: Vec<f64>,
    p50_ms: Vec<f64>,
}

/// A stack with so many times the rows.
struct Holding {
    stage: Stage,
    works: Vec<Work>,
    /// Sockets that are written to.
    readers: JoinSet<()>,
}

pub(crate) async fn run() -> Result<()> {
    heading(&format!(
        "The same work with more rows stored: {ROWS}, 10 ×, 100 ×"
    ));
    for service in SERVICES {
        progress(service);
        of(service).await.context(service)?;
    }
    Ok(())
}

async fn of(service: &'static str) -> Result<()> {
    let mut holdings = Vec::new();
    for times in TIMES {
        holdings.push(hold(service, ROWS * times).await?);
    }
    for holding in &holdings {
        for work in &holding.works {
            load::closed(holding.stage.host(), CONNECTIONS, WARM_UP, &work.make).await?;
        }
    }
    for _ in 0..ROUNDS {
        for holding in &mut holdings {
            for work in &mut holding.works {
                round(&holding.stage, work).await?;
            }
        }
    }
    tell(service, &holdings);
    for Holding { stage, readers, .. } in holdings {
        // A service that ends sends those who are connected away one after the other.
        drop(readers);
        stage.stack.stop().await?;
    }
    Ok(())
}

async fn round(stage: &Stage, work: &mut Work) -> Result<()> {
    let used = || anyhow::Ok(cpu_s(stage.pid)? + cpu_s(stage.postmaster)?);
    let before = used()?;
    let mut load = load::closed(stage.host(), CONNECTIONS, ROUND, &work.make).await?;
    work.cpu_us
        .push((used()? - before) * 1e6 / load.waits.len() as f64);
    work.p50_ms.push(load.waits.quantile_ms(0.5));
    Ok(())
}

/// The fullest stack first: what it needs, divided by what the emptiest needs, is the growth.
fn tell(service: &str, holdings: &[Holding]) {
    let kinds = holdings.first().map_or(0, |holding| holding.works.len());
    for kind in 0..kinds {
        let bars = |values: fn(&Work) -> &Vec<f64>| {
            let each = holdings.iter().zip(TIMES).rev();
            each.map(|(holding, times)| Bar::new(&format!("{times} ×"), values(&holding.works[kind])))
                .collect::<Vec<_>>()
        };
        let (cpu, name) = (bars(|work| &work.cpu_us), holdings[0].works[kind].name);
        let least = |bar: Option<&Bar>| bar.map_or(0.0, Bar::median);
        let growth = least(cpu.first()) / least(cpu.last()).max(f64::EPSILON);
        figure(&format!("{service}, {name}: CPU with PostgreSQL's"), "µs", cpu);
        figure(
            &format!("{service}, {name}: p50"),
            "ms",
            bars(|work| &work.p50_ms),
        );
        goal(
            &format!("{service}, {name}: 100 × the rows cost at most {GOAL_TIMES} × ({growth:.2})"),
            growth <= GOAL_TIMES,
        );
    }
}

/// Starts a stack, fills it, and makes its work.
async fn hold(service: &'static str, rows: usize) -> Result<Holding> {
    let settings = socket_contest::settings()
        .into_iter()
        .chain(events_contest::settings());
    let builder = settings.fold(stage::of(&[service]), |builder, (name, value)| {
        builder.set(name, value)
    });
    let stage = Stage::start(service, builder).await?;
    let mut readers = JoinSet::new();
    let host = stage.host();
    let works = match service {
        "session-svc" => {
            stage.n8n_answers(None);
            fill(&stage, include_str!("growth/session.sql"), rows).await?;
            let sessions = Arc::new(stage.texts(session_contest::ACTIVE).await?);
            vec![
                work("a start", session_contest::start(&stage, host)),
                work(
                    "a claim",
                    session_contest::claim(&stage, host, &sessions, sessions.len()),
                ),
            ]
        }
        "retell-ingest-svc" => {
            events_contest::connect_agents(&stage).await;
            let calls = include_str!("../data/retell/fill.sql");
            fill(
                &stage,
                &format!("{calls}SELECT pg_temp.fill('ada', :rows);"),
                rows,
            )
            .await?;
            vec![work("an event", events_contest::event(host))]
        }
        "chat-ws-svc" => {
            fill(&stage, include_str!("growth/chat.sql"), rows).await?;
            let chats =
                socket_contest::read_chats(&socket_contest::sockets(&stage, 0)?, &mut readers).await?;
            vec![work(
                "send-message",
                socket_contest::message(host, &stage.machine(), &chats),
            )]
        }
        "dispatch-bridge-svc" => {
            bridge_contest::only_dispatches(&stage);
            fill(&stage, include_str!("growth/dispatch.sql"), rows).await?;
            vec![work("a dispatch", bridge_contest::dispatch(&stage, host))]
        }
        _ => {
            stage.n8n_answers(None);
            fill(&stage, include_str!("growth/task.sql"), rows).await?;
            let tasks = Arc::new(task_contest::tasks(&stage, host).await?);
            vec![work("an answer", task_contest::answer(&stage, host, &tasks))]
        }
    };
    Ok(Holding {
        stage,
        works,
        readers,
    })
}

fn work(name: &'static str, make: Make) -> Work {
    Work {
        name,
        make,
        cpu_us: Vec::new(),
        p50_ms: Vec::new(),
    }
}

async fn fill(stage: &Stage, sql: &str, rows: usize) -> Result<()> {
    stage.fill(&sql.replace(":rows", &rows.to_string())).await
}
