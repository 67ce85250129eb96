//! One commit for many events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgPool, Postgres};
use switchhook_chassis::db;
use switchhook_chassis::group_commit::Work;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::wake::Wake;

use super::fold::Fold;
use super::{Taken, Waiting};
use crate::domain::event::Event;
use crate::store;

/// Tries of a batch that met another replica's.
const TRIES: u32 = 3;
/// The two statements are planned once for all batches, to go by the indexes: to plan them for each costs more than to run
/// them, and what the tables were when it was done says nothing of what they are.
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";
/// Connections that all lanes together may keep: others have at least one besides.
const KEPT_AT_MOST: u32 = super::LANES as u32;
/// Numbers for new rows that are fetched at a time.
const IDS: i32 = 1_000;

/// Commits batches.
pub(super) struct Batches {
    pool: PgPool,
    /// The connection of the batch before, where others have enough of them: to give it back and take one again would cost
    /// each batch two round trips.
    kept: Option<Mutex<Option<PoolConnection<Postgres>>>>,
    wake: Wake,
    waived: bool,
    ids: Mutex<Vec<i64>>,
}

impl Batches {
    pub(super) fn new(kit: &Kit, waived: bool) -> Self {
        Self {
            pool: kit.pool.clone(),
            kept: (kit.pool.options().get_max_connections() > KEPT_AT_MOST).then(Mutex::default),
            wake: kit.wake.clone(),
            waived,
            ids: Mutex::default(),
        }
    }

    async fn transaction(&self, events: &[Waiting]) -> Result<Vec<Taken>, sqlx::Error> {
        let ids = self.ids(events.len()).await?;
        let mut conn = self.connection().await?;
        let mut tx = conn.begin_with(BEGIN).await?;
        let read: Vec<&Event> = events.iter().map(|one| &one.incoming.event).collect();
        let (known, rows) = store::events::read(&mut tx, &read, self.waived).await?;
        let mut fold = Fold::new(rows, ids);
        let went: Vec<_> = events
            .iter()
            .zip(&known)
            .map(|(one, known)| fold.take(&one.incoming, known))
            .collect();
        let taken = went.into_iter().map(|went| fold.taken(went)).collect();
        let (rows, events) = fold.into_changes();
        if !rows.is_empty() {
            let users = store::written::write(&mut tx, rows, &events).await?;
            tx.commit().await?;
            self.wake.announce(users);
            self.keep(conn);
        }
        Ok(taken)
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let kept = self.kept.as_ref().and_then(|kept| locked(kept).take());
        match kept {
            Some(conn) => Ok(conn),
            None => self.pool.acquire().await,
        }
    }

    fn keep(&self, conn: PoolConnection<Postgres>) {
        if let Some(kept) = &self.kept {
            *locked(kept) = Some(conn);
        }
    }

    /// At least so many numbers for new rows.
    async fn ids(&self, count: usize) -> Result<Vec<i64>, sqlx::Error> {
        if let Some(ids) = self.spare_ids(count) {
            return Ok(ids);
        }
        let fresh = store::events::new_ids(&mut *self.pool.acquire().await?, IDS).await?;
        let mut ids = locked(&self.ids);
        ids.extend(fresh);
        let left = ids.len().saturating_sub(count);
        Ok(ids.split_off(left))
    }

    fn spare_ids(&self, count: usize) -> Option<Vec<i64>> {
        let mut ids = locked(&self.ids);
        let left = ids.len().checked_sub(count)?;
        Some(ids.split_off(left))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Work for Batches {
    type Item = Waiting;
    type Outcome = Taken;

    async fn together(&self, events: &[Waiting]) -> Result<Vec<Taken>, sqlx::Error> {
        metrics::histogram!("retell_batch_events").record(events.len() as f64);
        let mut tried = 1;
        loop {
            match self.transaction(events).await {
                Err(error) if tried < TRIES && is_clash(&error) => tried += 1,
                outcome => return outcome,
            }
        }
    }

    fn rest(&self) {
        drop(self.kept.as_ref().map(|kept| locked(kept).take()));
    }

    fn weight(waiting: &Waiting) -> usize {
        waiting.incoming.raw.len()
    }
}

/// Another replica wrote the same call at the same moment, both waited for each other, or a client was erased meanwhile:
/// the next try sees what is there now.
fn is_clash(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let overtaken = code.is_some_and(|code| matches!(code.as_ref(), "23505" | "23503"));
    overtaken || db::is_clash(error) || matches!(error, sqlx::Error::RowNotFound)
}
