//! The three commits of a dial, shared by the dials that come to the same step at once. It owns who shares them; what is
//! committed, `store::steps` knows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use switchhook_chassis::group_commit::{GroupCommit, Limits, Work};
use switchhook_chassis::kit::Kit;
use uuid::Uuid;

use super::hand::MAX_IN_HAND;
use crate::domain::dispatch::Call;
use crate::domain::ids::CallId;
use crate::store::steps::{self, NewDial, Record};

/// Dials of one commit.
const ITEMS: usize = 64;
const LIMITS: Limits = Limits {
    waiting: MAX_IN_HAND,
    items: ITEMS,
    weight: ITEMS,
    gathering: Duration::from_millis(2),
};

/// Commits the steps of dials. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commits {
    reservations: GroupCommit<Reservations>,
    marks: GroupCommit<Marks>,
    records: GroupCommit<Records>,
    own: Own,
}

/// Whose rows they are.
#[derive(Clone)]
struct Own {
    pool: PgPool,
    replica: Uuid,
}

impl Commits {
    /// Nothing runs yet. `window`: how long a number is not dialled again.
    pub(crate) fn new(kit: &Kit, window: Duration) -> Self {
        let own = Own {
            pool: kit.pool.clone(),
            replica: kit.replica.id(),
        };
        let reservations = Reservations {
            pool: kit.pool.clone(),
            window_s: window.as_secs_f64(),
        };
        Self {
            reservations: GroupCommit::new(reservations, LIMITS),
            marks: GroupCommit::new(Marks(own.clone()), LIMITS),
            records: GroupCommit::new(Records(own.clone()), LIMITS),
            own,
        }
    }

    /// Starts committing.
    pub(crate) fn start(&self, kit: &Kit) {
        self.reservations.start(kit);
        self.marks.start(kit);
        self.records.start(kit);
    }

    /// Takes the room, and the key or the number's window. `false`: one of them is taken.
    pub(super) async fn reserve(&self, call: &Arc<Call>, takes_window: bool) -> Result<bool, sqlx::Error> {
        let dial = NewDial {
            number: format!("{} {}", call.digits, call.account_code),
            call: Arc::clone(call),
            takes_window,
        };
        self.reservations.commit(dial).await
    }

    /// Notes that CreateDispatch is about to be sent. `false`: the dial is not this replica's any more.
    pub(super) async fn mark(&self, id: CallId) -> Result<bool, sqlx::Error> {
        if self.marks.commit(id).await? {
            return Ok(true);
        }
        steps::mark(&self.own.pool, id, self.own.replica).await
    }

    /// Records a dispatch. `false`: the dial is not this replica's any more.
    pub(super) async fn record(&self, record: Record) -> Result<bool, sqlx::Error> {
        let record = Arc::new(record);
        if self.records.commit(Arc::clone(&record)).await? {
            return Ok(true);
        }
        steps::record(&self.own.pool, &record, self.own.replica).await
    }
}

struct Reservations {
    pool: PgPool,
    window_s: f64,
}

#[async_trait]
impl Work for Reservations {
    type Item = NewDial;
    type Outcome = bool;

    async fn together(&self, dials: &[NewDial]) -> Result<Vec<bool>, sqlx::Error> {
        steps::reserve(&self.pool, dials, self.window_s).await
    }

    /// Whoever dials the same number sees what became of the one before.
    fn key(dial: &NewDial) -> Option<&str> {
        Some(&dial.number)
    }
}

/// Who comes alone is not worth a transaction of several statements.
struct Marks(Own);

#[async_trait]
impl Work for Marks {
    type Item = CallId;
    type Outcome = bool;

    async fn together(&self, ids: &[CallId]) -> Result<Vec<bool>, sqlx::Error> {
        let Own { pool, replica } = &self.0;
        match ids {
            [id] => Ok(vec![steps::mark(pool, *id, *replica).await?]),
            _ => steps::mark_all(pool, ids, *replica).await,
        }
    }
}

struct Records(Own);

#[async_trait]
impl Work for Records {
    type Item = Arc<Record>;
    type Outcome = bool;

    async fn together(&self, records: &[Arc<Record>]) -> Result<Vec<bool>, sqlx::Error> {
        let Own { pool, replica } = &self.0;
        match records {
            [record] => Ok(vec![steps::record(pool, record, *replica).await?]),
            _ => steps::record_all(pool, records, *replica).await,
        }
    }
}
