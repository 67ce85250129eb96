//! A row that a service writes in a statement of its own, beside the state that causes it: where one round trip counts.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use super::held::Hold;
use super::worker::{Claimed, guarantee_word, reason_json};
use super::{NewDelivery, Outbox, Owed, Topic};

/// A row that is not written yet. This process has it in hand: between the commit and [`Outbox::send_now`] nobody may take
/// it for lost.
#[derive(Debug)]
pub struct Draft {
    pub(super) row: Claimed,
    pub(super) hold: Hold,
    pub(super) columns: Columns,
}

/// The values of the columns that are not in the [`NewDelivery`].
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// `id`.
    pub id: Uuid,
    /// `topic`.
    pub topic: &'static str,
    /// `headers`.
    pub headers: Value,
    /// `guarantee`.
    pub guarantee: &'static str,
    /// `deadline`, in seconds from now.
    pub give_up_after_s: f64,
    /// `replica`, where the row is written as `sending`.
    pub replica: Uuid,
    /// Whether this process sends it at once, if no unfinished row of the key is before it: `state` is then `sending` and
    /// `attempts` 1, else `owed` and 0.
    pub willing: bool,
    /// `next_attempt_at`, in seconds from now.
    pub pause_s: f64,
    /// `last_error`.
    pub last_error: Option<Value>,
}

impl Draft {
    /// What is to be written.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The body that is sent.
    pub fn body(&self) -> &[u8] {
        &self.row.body
    }
}

impl Outbox {
    /// An id for a row: for whoever names it in its own body.
    pub fn new_id(&self) -> Uuid {
        switchhook_core::ids::uuid_v7(self.inner.kit.clock.now())
    }

    /// Prepares a row that the service itself writes, under the lock of the key's own row.
    pub fn draft(&self, id: Uuid, topic: &'static Topic, new: NewDelivery) -> Draft {
        let inner = &self.inner;
        let row = Claimed {
            id,
            topic,
            key: new.key,
            target: new.target,
            traceparent: new.trace.to_string(),
            body: new.body,
            attempts: 1,
            probe: false,
        };
        let obstacle = inner.breaker(&row.target, |breaker| breaker.obstacle(Instant::now()));
        let willing = self.may_send_to(&row.target) && inner.held.room(topic) > 0;
        let (reason, pause) = obstacle.unzip();
        let columns = Columns {
            id,
            topic: topic.name,
            headers: json!({ "traceparent": row.traceparent }),
            guarantee: guarantee_word(topic.guarantee),
            give_up_after_s: topic.give_up_after.as_secs_f64(),
            replica: inner.kit.replica.id(),
            willing,
            pause_s: pause.unwrap_or_default().as_secs_f64(),
            last_error: reason.map(|reason| reason_json(reason).0),
        };
        // Held from here on: between the commit and `send_now` nobody may take it for lost.
        let hold = inner.held.hold(id, topic);
        Draft { row, hold, columns }
    }

    /// Whether this process still sends the draft at once where it is written now: it may have waited since it was made.
    pub fn is_willing(&self, draft: &Draft) -> bool {
        draft.columns.willing && self.may_send_to(&draft.row.target)
    }

    fn may_send_to(&self, target: &str) -> bool {
        let inner = &self.inner;
        inner.breaker(target, |breaker| breaker.is_closed())
            && inner.kit.replica.is_current()
            && !inner.kit.tasks.stopping().is_cancelled()
    }

    /// The draft is written; `sending` says in which state.
    pub fn written(&self, draft: Draft, sending: bool) -> Owed {
        Owed {
            id: draft.row.id,
            mine: sending.then_some((draft.row, draft.hold)),
        }
    }
}
