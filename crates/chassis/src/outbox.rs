//! Durable delivery: what a service owes is a row, written in the transaction of the state that caused it, and sent
//! by a worker of any replica until its outcome is recorded.
//!
//! It owns the rows, their order, the kinds of failure, backoff, breakers and caps. It does not know what a delivery
//! means: its [`Owner`] does, and records the consequence in the transaction of the outcome.
//!
//! Lock order, everywhere: the owner's row, then the outbox row, then whatever tells watchers.

pub mod admin;
mod breaker;
mod draft;
mod ending;
mod held;
mod mark;
mod reaper;
mod sender;
mod settle;
mod sql;
mod sweep;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
pub use draft::{Columns, Draft};
pub use ending::{AtOnce, Ending};
use sqlx::PgConnection;
pub use switchhook_core::n8n::reply::Reason;
use switchhook_core::trace::TraceContext;
use url::Url;
use uuid::Uuid;
pub use worker::{Cancelled, OwedSummary};

/// How often a request may reach its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Never sent again once a byte of it may have been read.
    AtMostOnce,
    /// Sent again after a broken connection or a dead replica, and after a time-out or a 5xx as well where `always`.
    AtLeastOnce {
        /// Whether a repeat is harmless even while the first run goes on.
        always: bool,
    },
}

/// A kind of delivery.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// Stored with each row, such as `session.start`.
    pub name: &'static str,
    /// How often it may arrive.
    pub guarantee: Guarantee,
    /// When it is given up, counted from its commit.
    pub give_up_after: Duration,
    /// How long an answer may take; `None` waits for hours, watched by TCP keep-alive.
    pub answer_limit: Option<Duration>,
    /// Requests of one target that may be opened at a time in this process.
    pub opening: usize,
    /// Requests of this topic that may be in flight in this process.
    pub in_flight: usize,
}

/// What is owed.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Deliveries of one key never overtake each other.
    pub key: String,
    /// Name of the target, which the owner turns into a URL when it is sent.
    pub target: String,
    /// JSON body.
    pub body: Vec<u8>,
    /// Position in the caller's trace, continued by the request.
    pub trace: TraceContext,
}

/// A delivery as the owner sees it when something becomes of it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Row id, sent as `Idempotency-Key`.
    pub id: Uuid,
    /// Topic.
    pub topic: String,
    /// Key.
    pub key: String,
    /// Target.
    pub target: String,
    /// Tries so far.
    pub attempts: i32,
    /// When the request was about to be written, by the database's clock.
    pub sent_at: Option<DateTime<Utc>>,
    /// How long its holder waited for an answer.
    pub waited: Option<Duration>,
}

/// What became of a delivery, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A 2xx with this body (at most [`ANSWER_BYTES`]).
    Answered(Vec<u8>),
    /// Refused as it is: it would be refused again.
    Refused(Reason),
    /// The workflow ran and broke.
    Failed(Reason),
    /// Never got through within its time.
    GivenUp(Reason),
    /// Nobody can tell whether it arrived.
    Unknown(Reason),
}

/// Largest answer that is read.
pub const ANSWER_BYTES: usize = 1024 * 1024;

/// What is to be done once the outcome is committed: whoever waits for the consequence is told. Lost where the process
/// dies between the two.
pub type After = Option<Box<dyn FnOnce() + Send>>;

/// Sees the body of a 2xx while it comes. Dropped when the try is over, however it ends.
pub trait Listener: Send {
    /// The next bytes of the body. Must not block.
    fn chunk(&mut self, bytes: &[u8]);
}

/// The one who knows what deliveries mean.
#[async_trait]
pub trait Owner: Send + Sync + 'static {
    /// Where a target is. An unknown one is refused for the reason given.
    fn url(&self, target: &str) -> Result<Url, Reason>;

    /// Records the consequence of an outcome, in its transaction and before the row itself is touched: locks what it
    /// changes first. Never makes a network call.
    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error>;

    /// Records an outcome that this process holds, with its consequence, in a statement of its own, which may do so for many
    /// deliveries: where round trips count. It changes nothing unless it ends the row as [`Ending`] says; where it does not,
    /// [`Owner::settle`] is asked.
    async fn settle_at_once(
        &self,
        _delivery: &Delivery,
        _outcome: &Outcome,
        _ending: Ending,
    ) -> Result<AtOnce, sqlx::Error> {
        Ok(AtOnce::No)
    }

    /// Asked before a row goes back to be tried again, in that transaction and before the row is touched: locks what
    /// it looks at. `false`: the owner has recorded that nobody wants it any more, and the row ends as cancelled.
    async fn still_wanted(
        &self,
        _conn: &mut PgConnection,
        _delivery: &Delivery,
    ) -> Result<bool, sqlx::Error> {
        Ok(true)
    }

    /// Asked when a try begins: who wants to see the answer while it comes.
    fn listener(&self, _delivery: &Delivery) -> Option<Box<dyn Listener>> {
        None
    }

    /// How long an answer may take; the topic's own limit, unless a setting says otherwise.
    fn answer_limit(&self, topic: &Topic) -> Option<Duration> {
        topic.answer_limit
    }

    /// Something about these keys changed (a try, an outcome): raises what watchers compare, last in the transaction,
    /// and gives the ids to wake after its commit.
    async fn touched(&self, conn: &mut PgConnection, keys: &[String]) -> Result<Vec<String>, sqlx::Error>;
}

/// A row that this process wrote and may send at once.
#[derive(Debug)]
#[must_use = "give it to Outbox::send_now after the commit"]
pub struct Owed {
    pub(crate) id: Uuid,
    /// The row and this process's hold on it, where it was claimed by being written.
    pub(crate) mine: Option<(worker::Claimed, held::Hold)>,
}

impl Owed {
    /// The id of the row, sent as `Idempotency-Key`.
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// The outbox of one service. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) inner: Arc<worker::Inner>,
}
