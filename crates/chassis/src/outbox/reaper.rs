//! Finds rows that nobody will finish: those of dead replicas, those this process lost from its hand, and those whose time is
//! up. Also throws away what is long over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::types::Json;
use uuid::Uuid;

use super::settle::{Back, Holder, Word};
use super::worker::Inner;
use super::{Outcome, Reason};

/// Longest look: it may have thousands of rows to resolve.
const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// Beats between two looks for rows that this process lost from its hand: 30 s.
const STRAYS_EVERY_BEATS: u32 = 15;
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Rows of one statement of the pruning.
const PRUNED_ROWS: u64 = 1000;

/// Looks every beat, until the service stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(inner.kit.replica.pace().beat);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut suspects = HashSet::new();
    let (mut strays_at, mut prune_at) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = inner.kit.tasks.stopping().cancelled() => return,
            _ = tick.tick() => {}
        }
        if !inner.kit.replica.is_current() {
            continue;
        }
        let now = Instant::now();
        let look = async {
            inner.give_up_overdue().await?;
            if inner.kit.replica.may_judge() {
                inner.reap_dead().await?;
            }
            if now >= strays_at {
                suspects = inner.hand_back_strays(&suspects).await?;
                strays_at = now + inner.kit.replica.pace().beat * STRAYS_EVERY_BEATS;
            }
            if now >= prune_at {
                sqlx::query(inner.sql.reaper.forget_replicas)
                    .execute(&inner.kit.pool)
                    .await?;
                while inner.prune().await? == PRUNED_ROWS {}
                prune_at = now + PRUNE_EVERY;
            }
            Ok::<(), sqlx::Error>(())
        };
        match tokio::time::timeout(LOOK_LIMIT, look).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the reaper could not finish its look"),
            Err(_elapsed) => tracing::debug!("the reaper's look took too long"),
        }
    }
}

/// A row that lost its holder so often in a row is what kills its holders, and is given up.
const POISON_LOSSES: i32 = 5;

/// A row in flight without a living holder.
struct Orphan {
    id: Uuid,
    replica: Uuid,
    at_most_once: bool,
    sent: bool,
    losses: i32,
}

impl Inner {
    async fn prune(&self) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query(self.sql.reaper.prune)
            .execute(&self.kit.pool)
            .await?
            .rows_affected())
    }

    async fn give_up_overdue(&self) -> Result<(), sqlx::Error> {
        for row in sqlx::query(self.sql.reaper.overdue)
            .fetch_all(&self.kit.pool)
            .await?
        {
            let last: Option<Json<Value>> = row.try_get("last_error")?;
            let reason = last.map_or_else(
                || Reason::new("n8n_unreachable", "It could not be sent in time"),
                |Json(last)| {
                    let text = |key| {
                        last.get(key)
                            .and_then(Value::as_str)
                            .unwrap_or_default()
                            .to_owned()
                    };
                    Reason {
                        code: text("code"),
                        message: text("message"),
                    }
                },
            );
            let id = row.try_get("id")?;
            log_failure(
                id,
                self.settle(id, Holder::Nobody, &Outcome::GivenUp(reason), None)
                    .await,
            );
        }
        Ok(())
    }

    async fn reap_dead(&self) -> Result<(), sqlx::Error> {
        for row in sqlx::query(self.sql.reaper.orphans)
            .fetch_all(&self.kit.pool)
            .await?
        {
            let orphan = orphan(&row)?;
            log_failure(orphan.id, self.resolve(orphan).await);
        }
        Ok(())
    }

    /// Twice in a row without a holder in memory: a claim whose answer was lost on the way to this process.
    async fn hand_back_strays(&self, suspects: &HashSet<Uuid>) -> Result<HashSet<Uuid>, sqlx::Error> {
        let query = sqlx::query(self.sql.reaper.strays)
            .bind(self.kit.replica.id())
            .bind(self.held.ids());
        let mut next = HashSet::new();
        for row in query.fetch_all(&self.kit.pool).await? {
            let orphan = orphan(&row)?;
            if suspects.contains(&orphan.id) {
                log_failure(orphan.id, self.resolve(orphan).await);
            } else {
                next.insert(orphan.id);
            }
        }
        Ok(next)
    }

    async fn resolve(&self, orphan: Orphan) -> Result<(), sqlx::Error> {
        let Orphan {
            id, replica, losses, ..
        } = orphan;
        tracing::warn!(delivery = %id, %replica, sent = orphan.sent, losses, "a delivery lost its holder");
        if orphan.at_most_once && orphan.sent {
            let reason = Reason::new("holder_lost", "The process that waited for n8n's answer is gone");
            self.settle(id, Holder::Replica(replica), &Outcome::Unknown(reason), None)
                .await
        } else if losses + 1 >= POISON_LOSSES {
            let reason = Reason::new("poison", "Every process that tried to send it died");
            self.settle(id, Holder::Unmarked(replica), &Outcome::GivenUp(reason), None)
                .await
        } else {
            let error = json!({
                "code": "holder_lost",
                "message": "The process that was about to send it is gone",
                "losses": losses + 1,
            });
            let (word, pause) = (Word::OfFinder, Duration::ZERO);
            self.release(&Back {
                id,
                holder: replica,
                word,
                pause,
                error: Some(Json(error)),
            })
            .await
        }
    }
}

/// One row that cannot be handled does not hold up the others.
fn log_failure(id: Uuid, outcome: Result<(), sqlx::Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, delivery = %id, "could not be handled; tried again at the next look");
    }
}

fn orphan(row: &sqlx::postgres::PgRow) -> Result<Orphan, sqlx::Error> {
    let guarantee: String = row.try_get("guarantee")?;
    Ok(Orphan {
        id: row.try_get("id")?,
        replica: row.try_get("replica")?,
        at_most_once: guarantee == "at_most_once",
        sent: row.try_get("sent")?,
        losses: row.try_get("losses")?,
    })
}
