//! The same work, done by several in turn: in short rounds, so that a slow moment of the machine falls on all of them.
//!
//! What counts is the median of the rounds. CPU is that of the process which answers, with its children; PostgreSQL's is told
//! apart; the load program's own counts nowhere.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::extent::lasting;
use crate::figures::{figure, goal};
use crate::load::{self, Load, Make};
use crate::pgbench::Pgbench;
use crate::process::{cpu_s, resident_mib};
use crate::report::{Bar, median};

const ROUNDS: usize = 3;
const ROUND: Duration = lasting(2_000);
const WARM_UP: Duration = lasting(700);
/// Half load is a question of latency alone: one round.
const HALF_LOAD: Duration = lasting(2_000);
const MILLION: f64 = 1_000_000.0;
/// Requests that a service answers in a second of CPU: at least so many times the peer's.
const GOAL_TIMES_CPU: f64 = 4.0;

/// Who does the work.
pub(crate) struct Side {
    pub(crate) who: String,
    pub(crate) work: Work,
}

/// How it is done.
pub(crate) enum Work {
    /// A process that answers requests.
    Http { host: String, pid: i32, make: Make },
    /// PostgreSQL alone.
    Pgbench(Pgbench),
}

impl Side {
    pub(crate) fn http(who: &str, host: &str, pid: i32, make: Make) -> Self {
        Self {
            who: who.to_owned(),
            work: Work::Http {
                host: host.trim_start_matches("http://").to_owned(),
                pid,
                make,
            },
        }
    }

    pub(crate) fn pgbench(who: &str, script: Pgbench) -> Self {
        Self {
            who: who.to_owned(),
            work: Work::Pgbench(script),
        }
    }
}

/// One kind of work.
pub(crate) struct Contest<'a> {
    /// What is done, such as `claims on one session`.
    pub(crate) work: &'a str,
    pub(crate) connections: usize,
    /// The server whose CPU is told apart.
    pub(crate) postmaster: i32,
}

/// What one side reached, round by round.
#[derive(Default)]
struct Reached {
    rates: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    cpu_s: Vec<f64>,
    postgres_s: Vec<f64>,
    resident_mib: Vec<f64>,
}

/// What came of a contest, ours first.
pub(crate) struct Outcome {
    work: String,
    connections: usize,
    reached: Vec<(String, Reached)>,
}

impl Contest<'_> {
    /// Rounds in turn, peers first, so that ours finds nothing warmer than they did.
    pub(crate) async fn run(&self, sides: &[Side]) -> Result<Outcome> {
        let mut reached: Vec<_> = sides
            .iter()
            .map(|side| (side.who.clone(), Reached::default()))
            .collect();
        for side in sides {
            if let Work::Http { host, make, .. } = &side.work {
                load::closed(host, self.connections, WARM_UP, make)
                    .await
                    .with_context(|| side.who.clone())?;
            }
        }
        for _ in 0..ROUNDS {
            for (side, (_, reached)) in sides.iter().zip(&mut reached).rev() {
                self.round(side, reached)
                    .await
                    .with_context(|| side.who.clone())?;
            }
        }
        Ok(Outcome {
            work: self.work.to_owned(),
            connections: self.connections,
            reached,
        })
    }

    async fn round(&self, side: &Side, reached: &mut Reached) -> Result<()> {
        let (host, pid, make) = match &side.work {
            Work::Http { host, pid, make } => (host, *pid, make),
            Work::Pgbench(script) => {
                reached.rates.push(script.rate(self.connections, ROUND).await?);
                return Ok(());
            }
        };
        let before = (cpu_s(pid)?, cpu_s(self.postmaster)?);
        let mut load: Load = load::closed(host, self.connections, ROUND, make).await?;
        let millions = load.waits.len() as f64 / MILLION;
        reached.cpu_s.push((cpu_s(pid)? - before.0) / millions);
        reached
            .postgres_s
            .push((cpu_s(self.postmaster)? - before.1) / millions);
        reached.rates.push(load.per_second());
        reached.p50_ms.push(load.waits.quantile_ms(0.5));
        reached.p99_ms.push(load.waits.quantile_ms(0.99));
        reached.resident_mib.push(resident_mib(pid)?);
        Ok(())
    }

    /// Latency at half of what the peer can do at most: ours at the 99th percentile, the peer's in the middle.
    pub(crate) async fn half_load(&self, ours: &Side, peer: &Side, outcome: &Outcome) -> Result<()> {
        let of = outcome.reached.iter().find(|(who, _)| *who == peer.who);
        let rate = of.map_or(0.0, |(_, reached)| median(&reached.rates)) / 2.0;
        let mut quantiles = Vec::new();
        for (side, share) in [(peer, 0.5), (ours, 0.99)] {
            let Work::Http { host, make, .. } = &side.work else {
                continue;
            };
            let mut load = load::paced(host, self.connections, rate, HALF_LOAD, make).await?;
            quantiles.push(load.waits.quantile_ms(share));
        }
        let [theirs, own] = quantiles[..] else {
            anyhow::bail!("both answer requests");
        };
        let bars = vec![
            Bar::new(&format!("{}, p99", ours.who), &[own]),
            Bar::new(&format!("{}, p50", peer.who), &[theirs]),
        ];
        figure(
            &format!("{} at {rate:.0}/s, the peer's half load", self.work),
            "ms",
            bars,
        );
        goal("p99 below the peer's p50 at its half load", own < theirs);
        Ok(())
    }
}

impl Outcome {
    fn bars(&self, values: impl Fn(&Reached) -> &Vec<f64>) -> Vec<Bar> {
        let measured = self
            .reached
            .iter()
            .filter(|(_, reached)| !values(reached).is_empty());
        measured
            .map(|(who, reached)| Bar::new(who, values(reached)))
            .collect()
    }

    /// Ours, divided by that of another side, in requests a second.
    pub(crate) fn times(&self, who: &str) -> f64 {
        let of = |side: &(String, Reached)| median(&side.1.rates);
        let (ours, other) = (
            self.reached.first(),
            self.reached.iter().find(|side| side.0 == who),
        );
        ours.map_or(0.0, of) / other.map_or(f64::INFINITY, of).max(f64::EPSILON)
    }

    /// Throughput and latency.
    pub(crate) fn tell(&self) {
        let what = format!("{}, {} at a time", self.work, self.connections);
        figure(&what, "/s", self.bars(|reached| &reached.rates));
        figure(
            &format!("{what}, p50"),
            "ms",
            self.bars(|reached| &reached.p50_ms),
        );
        figure(
            &format!("{what}, p99"),
            "ms",
            self.bars(|reached| &reached.p99_ms),
        );
    }

    /// What it costs, with the goal for it.
    pub(crate) fn tell_cost(&self, service: &str) {
        let cpu = self.bars(|reached| &reached.cpu_s);
        let times = match &cpu[..] {
            [ours, peer, ..] => peer.median() / ours.median().max(f64::EPSILON),
            _ => 0.0,
        };
        figure("CPU for a million, without PostgreSQL", "s", cpu);
        figure(
            "CPU of PostgreSQL for a million",
            "s",
            self.bars(|reached| &reached.postgres_s),
        );
        figure(
            "resident memory under load",
            "MiB",
            self.bars(|reached| &reached.resident_mib),
        );
        goal(
            &format!(
                "{service}: at least {GOAL_TIMES_CPU} × the peer's requests per CPU second ({times:.1})"
            ),
            times >= GOAL_TIMES_CPU,
        );
    }
}
