//! Records what came of a delivery: its outcome and the owner's consequence in one transaction, a retry with its
//! reason and time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::breaker::{MAX_PAUSE, pause_bound};
use super::sender::Fate;
use super::worker::{Claimed, Inner, reason_json};
use super::{After, AtOnce, Delivery, Ending, Outcome, Reason, ending};

/// Longest pause between two tries to write a record while PostgreSQL is away.
const RECORD_PAUSE: Duration = Duration::from_secs(2);

/// Errors that no waiting heals before a record is left to the reaper.
const DEFECTS_BEFORE_LEAVING: u32 = 5;
/// An outage of a minute is one line in thirty tries a row, not thirty.
const LOG_EVERY_TRIES: u32 = 30;

/// Pause before a row is claimed again that this process could not send.
const HAND_BACK_PAUSE: Duration = Duration::from_secs(1);

/// Who holds the row whose outcome is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder {
    /// This process, or a dead one that it speaks for.
    Replica(Uuid),
    /// A dead one that has not marked the row; if it has by now, somebody else decides.
    Unmarked(Uuid),
    /// Nobody: the row is still owed.
    Nobody,
}

/// On whose word a row is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The one who held it: what it marked, it takes back.
    OfHolder,
    /// Somebody who found it: only while it is not marked.
    OfFinder,
}

/// A row that goes back to be tried later.
#[derive(Debug, Clone)]
pub(crate) struct Back {
    pub(crate) id: Uuid,
    pub(crate) holder: Uuid,
    pub(crate) word: Word,
    pub(crate) pause: Duration,
    pub(crate) error: Option<Json<Value>>,
}

impl Inner {
    /// Acts on the fate of one try. Goes on until it is in the database or the process ends.
    pub(crate) async fn record(self: &Arc<Self>, row: &Claimed, fate: Fate) {
        let me = self.kit.replica.id();
        let back = |pause, reason: Option<Reason>| Back {
            id: row.id,
            holder: me,
            word: Word::OfHolder,
            pause,
            error: reason.map(reason_json),
        };
        match fate {
            Fate::CalledOff => {}
            Fate::HandBack => {
                let stopping = self.kit.tasks.stopping().is_cancelled();
                self.give_back(&back(
                    if stopping { Duration::ZERO } else { HAND_BACK_PAUSE },
                    None,
                ))
                .await;
            }
            Fate::Postponed { reason, pause } => self.give_back(&back(pause, Some(reason))).await,
            Fate::Repeat { reason, asked } => {
                count(row.topic.name, "repeated");
                let tries = u32::try_from(row.attempts).unwrap_or(1);
                let drawn = pause_bound(tries).mul_f64(rand::random());
                let pause = drawn.max(asked.unwrap_or_default()).min(MAX_PAUSE);
                self.give_back(&back(pause, Some(reason))).await;
            }
            Fate::NotSent {
                reason,
                asked,
                ticket,
            } => {
                count(row.topic.name, "not_sent");
                let jitter = rand::random();
                let setback = self.breaker(&row.target, |breaker| {
                    breaker.not_sent(Instant::now(), ticket, reason.clone(), asked, jitter)
                });
                tracing::warn!(delivery = %row.id, topic = row.topic.name, key = row.key, code = reason.code,
                    reason = reason.message, pause = ?setback.pause, "not sent; it is tried again");
                self.give_back(&back(setback.pause, Some(reason.clone()))).await;
                if setback.news
                    && let Err(error) = self.postpone(&row.target, setback.pause, &reason).await
                {
                    tracing::debug!(%error, "could not postpone the other rows of the target");
                }
            }
            Fate::Final { outcome, waited } => {
                count(row.topic.name, ending::word(&outcome));
                self.until_written(|| self.settle_mine(row, &outcome, waited))
                    .await;
            }
        }
    }

    async fn give_back(&self, back: &Back) {
        self.until_written(|| self.in_turn(self.release(back))).await;
    }

    /// Records the outcome of a row that this process has just sent: in one statement where its owner can.
    async fn settle_mine(
        &self,
        row: &Claimed,
        outcome: &Outcome,
        waited: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        let me = self.kit.replica.id();
        let delivery = row.described();
        let ending = Ending::of(row.id, me, outcome);
        match self.owner.settle_at_once(&delivery, outcome, ending).await? {
            AtOnce::Recorded(after) => {
                settled(&delivery, outcome, after);
                Ok(())
            }
            AtOnce::No => {
                self.in_turn(self.settle(row.id, Holder::Replica(me), outcome, waited))
                    .await
            }
        }
    }

    /// Records an outcome and its consequence together. Nothing happens where the row has another holder by now.
    /// `waited` is what the holder itself measured.
    pub(crate) async fn settle(
        &self,
        id: Uuid,
        holder: Holder,
        outcome: &Outcome,
        waited: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        let mut tx = self.kit.pool.begin().await?;
        let Some(mut delivery) = self.describe(&mut tx, id).await? else {
            return Ok(());
        };
        delivery.waited = waited.or(delivery.waited);
        let after = self.owner.settle(&mut tx, &delivery, outcome).await?;
        let (holder, unmarked) = match holder {
            Holder::Replica(replica) => (Some(replica), false),
            Holder::Unmarked(replica) => (Some(replica), true),
            Holder::Nobody => (None, true),
        };
        let done = sqlx::query(self.sql.finish)
            .bind(id)
            .bind(holder)
            .bind(ending::word(outcome))
            .bind(ending::record(outcome))
            .bind(ending::reason(outcome).cloned().map(reason_json))
            .bind(unmarked)
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() == 0 {
            tracing::info!(delivery = %id, "another process, or its owner, was faster; nothing is recorded");
            return tx.rollback().await;
        }
        self.commit_touched(tx, vec![delivery.key.clone()]).await?;
        settled(&delivery, outcome, after);
        Ok(())
    }

    /// Gives a row back, to be tried again after a pause; or ends it, where its owner does not want it any more.
    pub(crate) async fn release(&self, back: &Back) -> Result<(), sqlx::Error> {
        let mut tx = self.kit.pool.begin().await?;
        let Some(delivery) = self.describe(&mut tx, back.id).await? else {
            return Ok(());
        };
        let wanted = self.owner.still_wanted(&mut tx, &delivery).await?;
        let sql = match (wanted, back.word) {
            (false, _) => self.sql.abandon,
            (true, Word::OfHolder) => self.sql.release,
            (true, Word::OfFinder) => self.sql.reaper.release_unsent,
        };
        let query = sqlx::query(sql).bind(back.id).bind(back.holder);
        let query = if wanted {
            query.bind(back.pause.as_secs_f64()).bind(back.error.clone())
        } else {
            query
        };
        if query.execute(&mut *tx).await?.rows_affected() == 0 {
            return tx.rollback().await;
        }
        if !wanted {
            tracing::info!(delivery = %back.id, key = delivery.key, "nobody wants it any more; it is not sent again");
        }
        self.commit_touched(tx, vec![delivery.key]).await
    }

    /// Whether a row in this process's hand is still wanted; it ends here where its owner does not want it any more.
    pub(crate) async fn keep_wanted(&self, row: &Claimed) -> Result<bool, sqlx::Error> {
        let mut tx = self.kit.pool.begin().await?;
        let Some(delivery) = self.describe(&mut tx, row.id).await? else {
            return Ok(false);
        };
        if self.owner.still_wanted(&mut tx, &delivery).await? {
            tx.rollback().await?;
            return Ok(true);
        }
        let abandon = sqlx::query(self.sql.abandon)
            .bind(row.id)
            .bind(self.kit.replica.id());
        if abandon.execute(&mut *tx).await?.rows_affected() == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        tracing::info!(delivery = %row.id, key = delivery.key, "nobody wants it any more; it is not sent");
        self.commit_touched(tx, vec![delivery.key]).await?;
        Ok(false)
    }

    /// Moves what else is owed to a dead target to its next probe, so that its owners see the reason and the time.
    async fn postpone(&self, target: &str, pause: Duration, reason: &Reason) -> Result<(), sqlx::Error> {
        let mut tx = self.kit.pool.begin().await?;
        let keys = sqlx::query_scalar(self.sql.postpone)
            .bind(target)
            .bind(pause.as_secs_f64())
            .bind(reason_json(reason.clone()))
            .fetch_all(&mut *tx)
            .await?;
        self.commit_touched(tx, keys).await
    }

    /// Tells watchers that a request was written, without keeping the request waiting.
    pub(crate) fn tell(self: &Arc<Self>, key: String) {
        let inner = Arc::clone(self);
        self.kit.tasks.spawn(async move {
            if let Err(error) = inner.touch(key).await {
                tracing::debug!(%error, "watchers are told later");
            }
        });
    }

    /// Something about a key changed, and is committed. A transaction around one statement would be two more round trips.
    async fn touch(&self, key: String) -> Result<(), sqlx::Error> {
        let mut conn = self.kit.pool.acquire().await?;
        let ids = self.owner.touched(&mut conn, &[key]).await?;
        drop(conn);
        self.kit.wake.announce(ids);
        Ok(())
    }

    async fn commit_touched(
        &self,
        mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
        keys: Vec<String>,
    ) -> Result<(), sqlx::Error> {
        let ids = if keys.is_empty() {
            Vec::new()
        } else {
            self.owner.touched(&mut tx, &keys).await?
        };
        tx.commit().await?;
        self.kit.wake.announce(ids);
        Ok(())
    }

    async fn describe(&self, conn: &mut PgConnection, id: Uuid) -> Result<Option<Delivery>, sqlx::Error> {
        let Some(row) = sqlx::query(self.sql.describe)
            .bind(id)
            .fetch_optional(conn)
            .await?
        else {
            return Ok(None);
        };
        let waited_s: Option<f64> = row.try_get("waited_s")?;
        Ok(Some(Delivery {
            id: row.try_get("id")?,
            topic: row.try_get("topic")?,
            key: row.try_get("key")?,
            target: row.try_get("target")?,
            attempts: row.try_get("attempts")?,
            sent_at: row.try_get("sent_at")?,
            waited: waited_s.map(|s| Duration::from_secs_f64(s.clamp(0.0, 1e9))),
        }))
    }

    /// Takes several round trips, with a place among those who may.
    async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        let _place = self.recording.acquire().await;
        work.await
    }

    /// Writes a record, again and again while PostgreSQL is away: what is known here is known nowhere else.
    async fn until_written<F>(&self, write: impl Fn() -> F)
    where
        F: Future<Output = Result<(), sqlx::Error>>,
    {
        let mut pause = Duration::from_millis(100);
        let (mut tries, mut defects) = (0_u32, 0_u32);
        loop {
            let written = tokio::time::timeout(crate::db::WORK_LIMIT, write()).await;
            let error = match written {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    defects += u32::from(!crate::db::is_passing(&error));
                    error.to_string()
                }
                Err(_elapsed) => "the database does not answer".to_owned(),
            };
            if defects >= DEFECTS_BEFORE_LEAVING {
                tracing::error!(
                    error,
                    "what came of a delivery cannot be recorded; the reaper resolves it"
                );
                return;
            }
            if tries.is_multiple_of(LOG_EVERY_TRIES) {
                tracing::warn!(error, tries, "what came of a delivery could not be recorded yet");
            }
            tries += 1;
            tokio::select! {
                () = self.kit.tasks.stopped().cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RECORD_PAUSE),
            }
        }
    }
}

/// It is committed: whoever waits for it is told.
fn settled(delivery: &Delivery, outcome: &Outcome, after: After) {
    if let Some(act) = after {
        act();
    }
    tracing::info!(delivery = %delivery.id, topic = delivery.topic, key = delivery.key, outcome = ending::word(outcome),
        attempts = delivery.attempts, reason = ending::reason(outcome).map(|r| r.message.as_str()), "delivery settled");
}

fn count(topic: &'static str, result: &'static str) {
    metrics::counter!("outbox_deliveries_total", "topic" => topic, "result" => result).increment(1);
}
