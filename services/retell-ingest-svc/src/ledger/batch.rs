//! One commit for many events.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgPool;
use switchhook_chassis::db;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::wake::Wake;

use super::fold::Fold;
use super::{Incoming, Taken};
use crate::domain::event::Event;
use crate::error::Error;
use crate::store;

/// Tries of a batch that met another replica's.
const TRIES: u32 = 3;
/// The two statements are planned once for all batches, to go by the indexes: to plan them for each costs more than to run
/// them, and what the tables were when it was done says nothing of what they are.
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";
/// Numbers for new rows that are fetched at a time.
const IDS: i32 = 1_000;

/// Commits batches. Cheap to clone.
#[derive(Clone)]
pub(super) struct Batches {
    pool: PgPool,
    wake: Wake,
    waived: bool,
    ids: Arc<Mutex<Vec<i64>>>,
}

impl Batches {
    pub(super) fn new(kit: &Kit, waived: bool) -> Self {
        Self {
            pool: kit.pool.clone(),
            wake: kit.wake.clone(),
            waived,
            ids: Arc::default(),
        }
    }

    /// Commits all of them together, else each by itself. One outcome for each, in their order.
    pub(super) async fn commit(&self, events: Vec<Incoming>) -> Vec<Result<Taken, Error>> {
        metrics::histogram!("retell_batch_events").record(events.len() as f64);
        match self.together(&events).await {
            Ok(taken) => return taken.into_iter().map(Ok).collect(),
            Err(error) if events.len() == 1 || db::is_passing(&error) && !is_clash(&error) => {
                tracing::warn!(%error, events = events.len(), "events were not committed");
                return repeated(error, events.len());
            }
            Err(error) => {
                tracing::warn!(%error, events = events.len(), "a batch was not committed; each event is tried by itself");
            }
        }
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            let alone = self.together(&[event]).await;
            outcomes.push(alone.map_err(Error::from).and_then(|taken| {
                let taken = taken.into_iter().next();
                taken.ok_or(Error::Crowded)
            }));
        }
        outcomes
    }

    async fn together(&self, events: &[Incoming]) -> Result<Vec<Taken>, sqlx::Error> {
        let mut tried = 1;
        loop {
            match tokio::time::timeout(db::WORK_LIMIT, self.transaction(events)).await {
                Ok(Err(error)) if tried < TRIES && is_clash(&error) => tried += 1,
                Ok(outcome) => return outcome,
                Err(_elapsed) => return Err(sqlx::Error::PoolTimedOut),
            }
        }
    }

    async fn transaction(&self, events: &[Incoming]) -> Result<Vec<Taken>, sqlx::Error> {
        let ids = self.ids(events.len()).await?;
        let mut tx = self.pool.begin_with(BEGIN).await?;
        let read: Vec<&Event> = events.iter().map(|one| &one.event).collect();
        let (known, rows) = store::events::read(&mut tx, &read, self.waived).await?;
        let mut fold = Fold::new(rows, ids);
        let went: Vec<_> = events
            .iter()
            .zip(&known)
            .map(|(one, known)| fold.take(one, known))
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

/// Another replica wrote the same call at the same moment, both waited for each other, or a client was erased meanwhile:
/// the next try sees what is there now.
fn is_clash(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::RowNotFound) {
        return true;
    }
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.as_ref(), "23505" | "23503" | "40P01" | "40001"))
}

/// The same outcome for each: the database is away.
fn repeated(error: sqlx::Error, count: usize) -> Vec<Result<Taken, Error>> {
    let mut outcomes: Vec<_> = (1..count).map(|_| Err(Error::Away)).collect();
    outcomes.insert(0, Err(error.into()));
    outcomes
}
