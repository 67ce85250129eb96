//! One commit for many events.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use switchhook_chassis::db;
use switchhook_chassis::group_commit::Work;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::wake::Wake;
use tokio::time::Instant;

use super::fold::Fold;
use super::{Taken, Waiting};
use crate::domain::event::Event;
use crate::store;

/// Tries of a batch that met another replica's. Of those that meet, one gets through each time.
const TRIES: u32 = 5;
/// The two statements are planned once for all batches, to go by the indexes: to plan them for each costs more than to run
/// them, and what the tables were when it was done says nothing of what they are.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";
/// Connections that all lanes together may have for themselves: others have at least one besides.
const OWN_AT_MOST: u32 = super::LANES as u32;
/// How long after its last use it is asked whether it still answers, and how long it may take to do so.
const TRUSTED: Duration = Duration::from_secs(1);
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Numbers for new rows that are fetched at a time.
const IDS: i32 = 1_000;

/// Commits batches.
pub(super) struct Batches {
    pool: PgPool,
    /// The lane's own connection, where others have enough of them.
    own: Option<Mutex<Option<Own>>>,
    wake: Wake,
    waived: bool,
    ids: Mutex<Vec<i64>>,
}

struct Own {
    conn: PoolConnection<Postgres>,
    used: Instant,
}

impl Batches {
    pub(super) fn new(kit: &Kit, waived: bool) -> Self {
        Self {
            pool: kit.pool.clone(),
            own: (kit.pool.options().get_max_connections() > OWN_AT_MOST).then(Mutex::default),
            wake: kit.wake.clone(),
            waived,
            ids: Mutex::default(),
        }
    }

    async fn commit(&self, events: &[Waiting]) -> Result<Vec<Taken>, sqlx::Error> {
        let mut conn = self.connection().await?;
        let taken = self.commit_on(&mut conn, events).await;
        // What the database refuses leaves the connection as it was.
        if let (Ok(_) | Err(sqlx::Error::Database(_)), Some(own)) = (&taken, &self.own) {
            let used = Instant::now();
            *locked(own) = Some(Own { conn, used });
        }
        taken
    }

    async fn commit_on(
        &self,
        conn: &mut PgConnection,
        events: &[Waiting],
    ) -> Result<Vec<Taken>, sqlx::Error> {
        let ids = self.ids(conn, events.len()).await?;
        let read: Vec<&Event> = events.iter().map(|one| &one.incoming.event).collect();
        let (known, rows) = store::events::read(conn, &read, self.waived).await?;
        let mut fold = Fold::new(rows, ids);
        let went: Vec<_> = events
            .iter()
            .zip(&known)
            .map(|(one, known)| fold.take(&one.incoming, known))
            .collect();
        let taken = went.into_iter().map(|went| fold.taken(went)).collect();
        let (rows, events) = fold.into_changes();
        if !rows.is_empty() {
            let users = store::written::write(conn, rows, &events).await?;
            self.wake.announce(users);
        }
        Ok(taken)
    }

    /// A connection with the [`SETTINGS`]. Nobody else gets it: whoever does not put it back closes it.
    async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        if let Some(mut own) = self.own.as_ref().and_then(|own| locked(own).take())
            && (own.used.elapsed() < TRUSTED || own.answers().await)
        {
            return Ok(own.conn);
        }
        let mut conn = self.pool.acquire().await?;
        conn.close_on_drop();
        sqlx::raw_sql(SETTINGS).execute(&mut *conn).await?;
        Ok(conn)
    }

    /// At least so many numbers for new rows.
    async fn ids(&self, conn: &mut PgConnection, count: usize) -> Result<Vec<i64>, sqlx::Error> {
        if let Some(ids) = self.spare_ids(count) {
            return Ok(ids);
        }
        let fresh = store::events::new_ids(conn, IDS).await?;
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

impl Own {
    async fn answers(&mut self) -> bool {
        let ping = tokio::time::timeout(ANSWERS_WITHIN, self.conn.ping());
        matches!(ping.await, Ok(Ok(())))
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
            match self.commit(events).await {
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
    overtaken || db::is_clash(error)
}
