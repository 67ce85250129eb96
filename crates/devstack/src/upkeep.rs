//! Keeps a stack running: a process that dies is started again, with growing pauses, and said loudly.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::env_file;
use crate::say;
use crate::stack::{Replica, Stack};

/// Between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_millis(150);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A process that ran this long has recovered.
const RECOVERED: Duration = Duration::from_secs(30);

/// How one process has been doing.
#[derive(Clone, Copy, Debug)]
struct Record {
    started: Instant,
    deaths: u32,
    restart_at: Option<Instant>,
}

impl Record {
    fn new(now: Instant) -> Self {
        Self {
            started: now,
            deaths: 0,
            restart_at: None,
        }
    }

    /// Notes a death; gives the pause before the next start.
    fn died(&mut self, now: Instant) -> Duration {
        if now.duration_since(self.started) >= RECOVERED {
            self.deaths = 0;
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.deaths.min(10))
            .min(LONGEST_PAUSE);
        self.deaths += 1;
        self.restart_at = Some(now + pause);
        pause
    }

    fn is_due(&self, now: Instant) -> bool {
        self.restart_at.is_some_and(|at| at <= now)
    }

    fn restarted(&mut self, now: Instant) {
        self.started = now;
        self.restart_at = None;
    }
}

/// Watches over the stack until it is dropped; keeps the env file true.
///
/// # Errors
/// The env file cannot be written.
pub async fn keep(stack: &Stack, env_file: &Path) -> Result<()> {
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    let mut written = Vec::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let now = Instant::now();
        for replica in stack.replicas() {
            let record = records
                .entry(replica.name().to_owned())
                .or_insert_with(|| Record::new(now));
            look_after(stack, replica, record, now).await;
        }
        watch_postgres(stack).await;
        let pairs = stack.env().await?;
        if names_and_pids(&pairs) != written {
            written = names_and_pids(&pairs);
            env_file::write_private(env_file, &env_file::render(&pairs))?;
        }
    }
}

async fn look_after(stack: &Stack, replica: &Replica, record: &mut Record, now: Instant) {
    match replica.accident().await {
        None => record.restart_at = None,
        Some(words) if record.restart_at.is_none() => {
            let pause = record.died(now);
            say::loudly(&format!("{} died: {}", replica.name(), words.trim_end()));
            say::loudly(&format!(
                "{} is started again in {:.1} s",
                replica.name(),
                pause.as_secs_f64()
            ));
        }
        Some(_) if record.is_due(now) => {
            record.restarted(now);
            if let Err(error) = replica.start(stack.guard()).await {
                say::loudly(&format!("{} cannot be started: {error:#}", replica.name()));
            }
        }
        Some(_) => {}
    }
}

async fn watch_postgres(stack: &Stack) {
    let Some(postgres) = stack.private_postgres() else {
        return;
    };
    if postgres.is_running().await {
        return;
    }
    say::loudly("PostgreSQL died; starting it again");
    if let Err(error) = postgres.start().await {
        say::loudly(&format!("PostgreSQL cannot be started: {error:#}"));
    }
}

/// What of the env file can change while a stack runs. Tokens are signed anew each time and are left as they are.
fn names_and_pids(pairs: &[(String, String)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .filter(|(name, _)| name.ends_with("_PID"))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over_after_a_good_while() {
        let start = Instant::now();
        let mut record = Record::new(start);
        let pauses: Vec<f64> = (0..7)
            .map(|_| {
                let pause = record.died(start).as_secs_f64();
                assert!(!record.is_due(start) && record.is_due(start + LONGEST_PAUSE));
                record.restarted(start);
                pause
            })
            .collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]);
        assert_eq!(record.died(start + RECOVERED), FIRST_PAUSE);
    }
}
