//! Takes due rows that nobody holds, as many as the breakers and the topics' room allow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::Topic;
use super::worker::{Claimed, Inner};

/// Time between two sweeps for due rows.
const SWEEP: Duration = Duration::from_millis(500);
/// Rows of one topic that one sweep claims at most.
const SWEEP_ROWS: usize = 200;
/// So many rows of a target that wait for another try may be sent at once by a process that begins.
const HANDFUL: i64 = 8;

/// Whether a target is named to be swept, or to be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Targets<'a> {
    /// Only these: in trouble, and let through by their breaker.
    Only(&'a [String]),
    /// All but these.
    AllBut(&'a [String]),
}

/// Sweeps until the service stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut remembers = false;
    loop {
        tokio::select! {
            () = inner.kit.tasks.stopping().cancelled() => return,
            _ = tick.tick() => {}
        }
        if !inner.kit.replica.is_current() {
            continue;
        }
        let sweep = async {
            if !remembers {
                inner.remember_trouble().await?;
            }
            inner.sweep_once().await
        };
        match tokio::time::timeout(crate::db::WORK_LIMIT, sweep).await {
            Ok(Ok(())) => remembers = true,
            Ok(Err(error)) => tracing::debug!(%error, "sweep of the outbox failed"),
            Err(_elapsed) => tracing::debug!("sweep of the outbox took too long"),
        }
    }
}

impl Inner {
    /// A process that begins in an outage, or just after it, does not throw everything at once at what has just come back.
    async fn remember_trouble(&self) -> Result<(), sqlx::Error> {
        let query = sqlx::query_scalar::<_, String>(self.sql.troubled).bind(HANDFUL);
        for target in query.fetch_all(&self.kit.pool).await? {
            tracing::info!(
                to = target,
                "was in trouble before this process began; it is begun with slowly"
            );
            self.breaker(&target, |breaker| breaker.doubt(Instant::now()));
        }
        Ok(())
    }

    async fn sweep_once(self: &Arc<Self>) -> Result<(), sqlx::Error> {
        let mut troubled = Vec::new();
        for (target, allowance) in self.allowances() {
            if allowance == u32::MAX {
                continue;
            }
            if allowance > 0 {
                let claimed = self
                    .claim(Targets::Only(std::slice::from_ref(&target)), allowance as usize)
                    .await;
                if !matches!(claimed, Ok(1..)) {
                    self.breaker(&target, |breaker| breaker.unused(Instant::now()));
                }
                claimed?;
            }
            troubled.push(target);
        }
        self.claim(Targets::AllBut(&troubled), SWEEP_ROWS).await?;
        Ok(())
    }

    /// Claims due rows and starts sending them. Gives their number.
    async fn claim(self: &Arc<Self>, targets: Targets<'_>, limit: usize) -> Result<usize, sqlx::Error> {
        let mut claimed = 0;
        for topic in self.topics {
            let room = self.held.room(topic).min(limit - claimed);
            if room == 0 {
                continue;
            }
            let (sql, named) = match targets {
                Targets::Only(named) => (self.sql.claim_target, named),
                Targets::AllBut(named) => (self.sql.claim, named),
            };
            let query = sqlx::query(sql)
                .bind(self.kit.replica.id())
                .bind(named)
                .bind(i64::try_from(room).unwrap_or(i64::MAX))
                .bind(topic.name);
            for row in query.fetch_all(&self.kit.pool).await? {
                let row = read(&row, topic, matches!(targets, Targets::Only(_)))?;
                let hold = self.held.hold(row.id, topic);
                self.dispatch(row, hold);
                claimed += 1;
            }
        }
        Ok(claimed)
    }
}

fn read(row: &PgRow, topic: &'static Topic, probe: bool) -> Result<Claimed, sqlx::Error> {
    let headers: Option<Json<serde_json::Value>> = row.try_get("headers")?;
    let traceparent = headers.and_then(|Json(h)| h.get("traceparent")?.as_str().map(str::to_owned));
    Ok(Claimed {
        id: row.try_get("id")?,
        topic,
        key: row.try_get("key")?,
        target: row.try_get("target")?,
        traceparent: traceparent.unwrap_or_default(),
        body: row.try_get::<Option<Vec<u8>>, _>("body")?.unwrap_or_default(),
        attempts: row.try_get("attempts")?,
        probe,
    })
}
