//! One commit for many events.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::PgPool;
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
/// Numbers for new rows that are fetched at a time.
const IDS: i32 = 1_000;

/// Commits batches.
pub(super) struct Batches {
    pool: PgPool,
    wake: Wake,
    waived: bool,
    ids: Mutex<Vec<i64>>,
}

impl Batches {
    pub(super) fn new(kit: &Kit, waived: bool) -> Self {
        Self {
            pool: kit.pool.clone(),
            wake: kit.wake.clone(),
            waived,
            ids: Mutex::default(),
        }
    }

    async fn transaction(&self, events: &[Waiting]) -> Result<Vec<Taken>, sqlx::Error> {
        let ids = self.ids(events.len()).await?;
        let mut tx = self.pool.begin_with(BEGIN).await?;
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
        if rows.is_empty() {
            return Ok(taken);
        }
        let users = store::written::write(&mut tx, rows, events).await?;
        tx.commit().await?;
        self.wake.announce(users);
        Ok(taken)
    }

    /// At least so many numbers for new rows.
    async fn ids(&self, count: usize) -> Result<Vec<i64>, sqlx::Error> {
        if let Some(ids) = self.spare_ids(count) {
            return Ok(ids);
        }
        let fresh = store::events::new_ids(&mut *self.pool.acquire().await?, IDS).await?;
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.extend(fresh);
        let left = ids.len().saturating_sub(count);
        Ok(ids.split_off(left))
    }

    fn spare_ids(&self, count: usize) -> Option<Vec<i64>> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let left = ids.len().checked_sub(count)?;
        Some(ids.split_off(left))
    }
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
