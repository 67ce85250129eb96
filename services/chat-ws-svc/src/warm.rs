//! A connection to the database that was just used, kept for a moment for whoever comes next.
//!
//! Giving one back to the pool costs two round trips, in which it shows that it works. Where one message is one statement, that
//! is more than the message itself. It is one connection at most, and the pool has it back as soon as nobody comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

/// How long it is kept at least while nobody comes; at most twice that.
const KEPT: Duration = Duration::from_millis(25);

/// Keeps one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Warm {
    pool: PgPool,
    place: Arc<Mutex<Place>>,
}

#[derive(Default)]
struct Place {
    conn: Option<PoolConnection<Postgres>>,
    /// How often one was kept.
    times: u64,
    /// Somebody looks whether anybody comes.
    is_watched: bool,
}

impl Warm {
    pub(crate) fn new(pool: &PgPool) -> Self {
        Self {
            pool: pool.clone(),
            place: Arc::default(),
        }
    }

    /// The one that is kept, or one of the pool.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let kept = self.place().conn.take();
        match kept {
            Some(conn) => Ok(conn),
            None => self.pool.acquire().await,
        }
    }

    /// Keeps one whose last statement went well, and in which no transaction is open.
    pub(crate) fn keep(&self, conn: PoolConnection<Postgres>) {
        let mut place = self.place();
        if place.conn.is_some() {
            // The other one is enough: this one goes back, once the lock is free.
            drop(place);
            return drop(conn);
        }
        place.conn = Some(conn);
        place.times += 1;
        if !std::mem::replace(&mut place.is_watched, true) {
            drop(tokio::spawn(self.clone().watch()));
        }
    }

    async fn watch(self) {
        let mut seen = 0;
        loop {
            tokio::time::sleep(KEPT).await;
            let mut place = self.place();
            if place.times == seen {
                place.is_watched = false;
                let conn = place.conn.take();
                drop(place);
                return drop(conn);
            }
            seen = place.times;
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
