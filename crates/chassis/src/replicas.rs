//! The processes of one service: one row each, renewed while the process lives, dead by the *database's* clock.
//!
//! What names a replica (an outbox row in flight) dies with it, so no row needs a lease of its own. Clocks of
//! replicas never judge each other. A replica that could not renew claims and marks nothing until it can, and judges others only
//! after it has renewed several times in a row: after an outage everybody gets the chance to come back first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

use crate::db;
use crate::lifecycle::Tasks;
use crate::service::Service;

/// How fast a replica lives.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between renewals.
    pub beat: Duration,
    /// A replica that could not renew for this long claims and marks nothing.
    pub stale_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(2),
            stale_after: Duration::from_secs(5),
        }
    }
}

/// A row that was not renewed for this long, by the database's clock, belongs to a dead process.
pub const DEAD_AFTER_S: f64 = 10.0;
/// Renewals in a row before others are judged.
const RENEWALS_BEFORE_JUDGING: u32 = 5;

/// This process among its siblings. Cheap to clone.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    id: Uuid,
    token: String,
    url: Option<Url>,
    /// Of one connection: a sign of life must not queue behind the work of everybody else.
    pool: PgPool,
    pace: Pace,
    renew: &'static str,
    leave: &'static str,
    born: Instant,
    // Milliseconds after `born`; 0: never.
    renewed_at_ms: AtomicU64,
    in_a_row: AtomicU32,
    /// The database answered the last renewal, and refused it.
    is_refused: AtomicBool,
}

impl Replica {
    /// Nothing runs yet. `pool` says where the database is; the replica renews on a connection of its own. `url` is where
    /// siblings reach this process.
    pub fn new(service: &Service, pool: &PgPool, url: Option<Url>, pace: Pace) -> Self {
        let schema = service.schema;
        // Gives the age of the renewal before, by the database's clock; nothing for the first.
        let renew = format!(
            "WITH last AS (SELECT beat_at FROM {schema}.replicas WHERE id = $1) \
             INSERT INTO {schema}.replicas (id, url, token) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET beat_at = now() \
             RETURNING (SELECT extract(epoch FROM now() - beat_at)::float8 FROM last)"
        );
        let leave = format!("DELETE FROM {schema}.replicas WHERE id = $1");
        let inner = Inner {
            id: uuid::Builder::from_random_bytes(rand::random()).into_uuid(),
            token: format!("{:032x}", rand::random::<u128>()),
            url,
            pool: PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(pace.stale_after / 2)
                .connect_lazy_with((*pool.connect_options()).clone()),
            pace,
            renew: renew.leak(),
            leave: leave.leak(),
            born: Instant::now(),
            renewed_at_ms: AtomicU64::new(0),
            in_a_row: AtomicU32::new(0),
            is_refused: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The id that rows name.
    pub fn id(&self) -> Uuid {
        self.inner.id
    }

    /// What proves to siblings that a call comes from this service: theirs to present, this process's to know.
    pub fn admits(&self, token: &[u8]) -> bool {
        self.inner.token.as_bytes().ct_eq(token).into()
    }

    /// How fast it lives.
    pub fn pace(&self) -> Pace {
        self.inner.pace
    }

    /// Whether it has renewed lately: only then it may claim and mark rows.
    pub fn is_current(&self) -> bool {
        let renewed = self.inner.renewed_at_ms.load(Ordering::Relaxed);
        renewed != 0 && self.since_birth_ms().saturating_sub(renewed) <= millis(self.inner.pace.stale_after)
    }

    /// Whether it has renewed often enough in a row to call others dead.
    pub fn may_judge(&self) -> bool {
        self.is_current() && self.inner.in_a_row.load(Ordering::Relaxed) >= RENEWALS_BEFORE_JUDGING
    }

    /// Whether the database answers and takes no writes: it is read-only, or its disk is full.
    pub fn is_refused(&self) -> bool {
        self.inner.is_refused.load(Ordering::Relaxed)
    }

    /// Renews until the tasks are all done; the last to leave is [`Replica::leave`].
    pub fn start(&self, tasks: &Tasks) {
        let replica = self.clone();
        let tasks_over = tasks.stopped().clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(replica.inner.pace.beat);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = tasks_over.cancelled() => return,
                    _ = tick.tick() => replica.renew().await,
                }
            }
        });
    }

    /// Renews once.
    pub async fn renew(&self) {
        let inner = &self.inner;
        // What counts is when it was asked for: an answer may have been long on its way.
        let asked_at_ms = self.since_birth_ms().max(1);
        let query = sqlx::query_scalar::<_, Option<f64>>(inner.renew)
            .bind(inner.id)
            .bind(inner.url.as_ref().map(Url::as_str))
            .bind(&inner.token)
            .fetch_one(&inner.pool);
        match tokio::time::timeout(inner.pace.stale_after / 2, query).await {
            Ok(Ok(age_s)) => {
                inner.is_refused.store(false, Ordering::Relaxed);
                inner.renewed_at_ms.store(asked_at_ms, Ordering::Relaxed);
                if age_s.is_some_and(|age| age > DEAD_AFTER_S) {
                    // This machine, or the database, stood still: the others get their chance to come back, too.
                    inner.in_a_row.store(1, Ordering::Relaxed);
                } else {
                    inner.in_a_row.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(Err(error)) => {
                inner
                    .is_refused
                    .store(db::takes_no_writes(&error), Ordering::Relaxed);
                self.missed(&error);
            }
            Err(elapsed) => self.missed(&elapsed),
        }
    }

    /// Removes the row: what still names this replica is handed on at once.
    pub async fn leave(&self) {
        let query = sqlx::query(self.inner.leave)
            .bind(self.inner.id)
            .execute(&self.inner.pool);
        if !matches!(
            tokio::time::timeout(Duration::from_secs(2), query).await,
            Ok(Ok(_))
        ) {
            tracing::warn!("the replica's row could not be removed; siblings will find it dead");
        }
    }

    fn missed(&self, error: &impl std::fmt::Display) {
        self.inner.in_a_row.store(0, Ordering::Relaxed);
        tracing::warn!(%error, "this replica could not renew its row");
    }

    fn since_birth_ms(&self) -> u64 {
        millis(self.inner.born.elapsed())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
