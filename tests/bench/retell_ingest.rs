//! Events that Retell's webhooks bring a second, each answered after its commit, next to what `pgbench` reaches with bare
//! single-row inserts of the same bytes into the same table on the same server. Rounds alternate, so that a slow moment
//! of the machine falls on both; what is left to do after a round is done before the next begins.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use devstack::Stack;
use e2e::people::CallOwner;
use sqlx::{Connection, PgConnection};

use crate::figures::{Series, goal, heading, row};
use crate::retell_load::{AGENTS, CALL_OF_PGBENCH, KEY, ROUND, Round, call_prefix, pgbench, round};

const RETELL: &str = "retell-ingest-svc";
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
/// Longest that the digests of a round may take.
const DIGESTED_WITHIN: Duration = Duration::from_secs(180);

pub(crate) async fn run() -> Result<()> {
    let stack = start().await?;
    let url = stack.url(RETELL, 0);
    let database = stack.database_url();
    let mut conn = PgConnection::connect(database).await?;
    let (mut ours, mut theirs, mut waits) = (Vec::new(), Vec::new(), Series::default());
    let (mut after, inserts) = (Vec::new(), pgbench(database)?);
    for number in 0..ROUNDS {
        theirs.push(inserts.rate(CONNECTIONS, ROUND).await?);
        let round = round(url, number, CONNECTIONS).await?;
        after.push(After::of(&round, number, &mut conn).await?);
        ours.push(round.rate());
        waits.extend(round.waits);
    }
    report(&ours, &theirs, &mut waits);
    for after in after {
        after.tell();
    }
    lone_events(url).await?;
    conn.close().await?;
    stack.stop().await
}

/// The service with a client for each agent, and the row that `pgbench` needs.
pub(crate) async fn start() -> Result<Stack> {
    let stack = Stack::builder()
        .services(&[RETELL])
        .measured_postgres()
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .set("RETELL_API_KEYS", KEY)
        .start()
        .await?;
    for agent in 0..AGENTS {
        let client = CallOwner::of(&stack, 0, &format!("client-{agent}"));
        client.connect(&format!("agent_{agent}")).await;
    }
    let mut conn = PgConnection::connect(stack.database_url()).await?;
    sqlx::raw_sql(CALL_OF_PGBENCH).execute(&mut conn).await?;
    conn.close().await?;
    Ok(stack)
}

fn report(ours: &[f64], theirs: &[f64], waits: &mut Series) {
    heading(&format!(
        "Events a second at {CONNECTIONS} connections, every 2xx a durable commit"
    ));
    let rates = |rates: &[f64]| rates.iter().map(|rate| format!("{rate:7.0}")).collect::<String>();
    let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
    row(
        "POST /api/retell/webhook",
        &format!("{}  p50 {p50:.1} ms  p99 {p99:.1} ms", rates(ours)),
    );
    row("pgbench -M prepared, single-row INSERT", &rates(theirs));
    let ratio = median(ours) / median(theirs);
    row("ratio of the medians", &format!("{ratio:.2}"));
    goal("at least 1.0", ratio >= 1.0);
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What a round left behind at its last answer.
struct After {
    undigested: i64,
    digested_in: Duration,
}

impl After {
    /// Every event that was answered is kept, and its call is complete, at once. Then the digests catch up.
    async fn of(round: &Round, number: usize, conn: &mut PgConnection) -> Result<Self> {
        let begun = Instant::now();
        let undigested = count(conn, "SELECT count(*) FROM retell.undigested").await?;
        let mut left = undigested;
        while left > 0 {
            ensure!(begun.elapsed() < DIGESTED_WITHIN, "{left} calls are not digested");
            tokio::time::sleep(Duration::from_millis(100)).await;
            left = count(conn, "SELECT count(*) FROM retell.undigested").await?;
        }
        let digested_in = begun.elapsed();
        let complete = "SELECT count(*) FROM retell.calls c JOIN retell.events e ON e.call = c.id \
            WHERE c.call_id LIKE $1 || '%' AND c.user_id IS NOT NULL AND c.status = 'ended' AND c.transcript IS NOT NULL";
        let complete: i64 = sqlx::query_scalar(complete)
            .bind(call_prefix(number))
            .fetch_one(conn)
            .await?;
        ensure!(
            usize::try_from(complete)? == round.events,
            "{} events were answered, {complete} calls are complete",
            round.events
        );
        Ok(Self {
            undigested,
            digested_in,
        })
    }

    fn tell(&self) {
        let seconds = self.digested_in.as_secs_f64();
        row(
            "complete at the last answer: every call",
            &format!(
                "its words and sums of {} later, in {seconds:.1} s",
                self.undigested
            ),
        );
    }
}

async fn count(conn: &mut PgConnection, sql: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
}

/// A lone event is not delayed by the sharing of commits.
async fn lone_events(url: &str) -> Result<()> {
    let Round { mut waits, .. } = round(url, ROUNDS, 1).await?;
    heading("One event at a time");
    let (p50, p99) = (waits.quantile_ms(0.5), waits.quantile_ms(0.99));
    row(
        "POST /api/retell/webhook",
        &format!("p50 {p50:6.2} ms   p99 {p99:6.2} ms   n {}", waits.len()),
    );
    Ok(())
}
