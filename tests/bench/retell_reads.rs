//! What a client with a million calls waits for: the first page, a search, the figures.

use std::time::Instant;

use anyhow::{Result, ensure};
use devstack::Stack;
use e2e::people::CallOwner;
use e2e::workspace_root;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::figures::{Series, goal, heading, row};

const RETELL: &str = "retell-ingest-svc";
const CALLS: i32 = 1_000_000;
const REQUESTS: usize = 100;
const GOAL_P95_MS: f64 = 100.0;

/// What is asked for, and how.
const QUESTIONS: [(&str, &str); 9] = [
    ("first page", "/api/retell/calls"),
    (
        "second page of a month",
        "/api/retell/calls?from=2026-03-01&to=2026-03-31&limit=50",
    ),
    (
        "search: a word of six calls in ten",
        "/api/retell/calls?q=appointment",
    ),
    (
        "search: a word of one call in a thousand",
        "/api/retell/calls?q=voicemail",
    ),
    ("search: a word of one call", "/api/retell/calls?q=ref777777"),
    ("search: no call has it", "/api/retell/calls?q=xylophone"),
    (
        "sentiment and a word",
        "/api/retell/calls?sentiment=Negative&q=appointment",
    ),
    ("figures of all time", "/api/retell/analytics"),
    (
        "figures between two moments",
        "/api/retell/analytics?from=2026-03-01T10:30:00Z&to=2026-04-01T11:45:00Z",
    ),
];

pub(crate) async fn run() -> Result<()> {
    let stack = Stack::builder()
        .services(&[RETELL])
        .measured_postgres()
        .set("LOG_FORMAT", "json")
        .set("RUST_LOG", "warn")
        .start()
        .await?;
    fill(stack.database_url()).await?;
    let client = CallOwner::of(&stack, 0, "million");
    heading(&format!("A client with {CALLS} calls, {REQUESTS} requests each"));
    let mut fast = true;
    for (name, path) in QUESTIONS {
        let mut waits = ask(&client, path).await?;
        let (p50, p95) = (waits.quantile_ms(0.5), waits.quantile_ms(0.95));
        row(name, &format!("p50 {p50:6.1} ms   p95 {p95:6.1} ms"));
        fast &= p95 < GOAL_P95_MS;
    }
    goal(&format!("each p95 under {GOAL_P95_MS} ms"), fast);
    stack.stop().await
}

async fn fill(database: &str) -> Result<()> {
    let mut conn = PgConnection::connect(database).await?;
    let file = std::fs::read_to_string(workspace_root().join("tests/data/retell/fill.sql"))?;
    sqlx::raw_sql(AssertSqlSafe(file)).execute(&mut conn).await?;
    for (client, calls) in [("million", CALLS), ("another", CALLS / 10)] {
        let fill = sqlx::query("SELECT pg_temp.fill($1, $2)")
            .bind(client)
            .bind(calls);
        fill.execute(&mut conn).await?;
    }
    sqlx::query("VACUUM ANALYZE").execute(&mut conn).await?;
    Ok(conn.close().await?)
}

async fn ask(client: &CallOwner, path: &str) -> Result<Series> {
    let mut waits = Series::default();
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        let answer = client.get(path).await?;
        waits.push(begun.elapsed());
        ensure!(answer.status == 200, "{path}: {:#}", answer.body);
    }
    Ok(waits)
}
