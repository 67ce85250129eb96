//! What n8n is owed about calls: the result of each, and the agents' reports. Both at least once, under one
//! `Idempotency-Key`.
//!
//! The outbox sends it; this is its owner. It does not open connections itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgConnection;
use switchhook_chassis::clock::Clock;
use switchhook_chassis::outbox::{
    After, Delivery, Guarantee, NewDelivery, Outbox, Outcome, Owed, Owner, Reason, Topic,
};
use switchhook_core::trace::TraceContext;
use url::Url;
use uuid::Uuid;

use crate::domain::ids::CallId;
use crate::domain::summary;
use crate::store::events::{self, Happening};

/// Nobody wants a result after this time.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Longest that n8n may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The result of a call. A repeat under the same `Idempotency-Key` is harmless.
pub(crate) const CALL_RESULT: Topic = Topic {
    name: "call_result",
    guarantee: Guarantee::AtLeastOnce { always: true },
    give_up_after: GIVE_UP_AFTER,
    answer_limit: Some(ANSWER_LIMIT),
    opening: 50,
    in_flight: 500,
};

/// An agent's report. It may have 16 MiB, so that fewer are in hand at a time.
pub(crate) const CALL_SUMMARY: Topic = Topic {
    name: "call_summary",
    opening: 4,
    in_flight: 16,
    ..CALL_RESULT
};

/// All topics of the service.
pub(crate) static TOPICS: [Topic; 2] = [CALL_RESULT, CALL_SUMMARY];

/// The one target.
pub(crate) const TARGET: &str = "results";

/// Owes n8n an agent's report, in the transaction that stores it. Its key is made of the call's id, or of the report's own
/// where it names no call that is known.
pub(crate) async fn owe_summary(
    outbox: &Outbox,
    conn: &mut PgConnection,
    key: Uuid,
    body: Vec<u8>,
    trace: TraceContext,
) -> Result<Owed, sqlx::Error> {
    let new = NewDelivery {
        key: summary::key(key),
        target: TARGET.to_owned(),
        body,
        trace,
    };
    outbox.owe(conn, &CALL_SUMMARY, new).await
}

/// The owner of results and reports in the outbox.
pub(crate) struct Results {
    url: Option<Url>,
    clock: Arc<dyn Clock>,
}

impl Results {
    pub(crate) fn new(url: Option<Url>, clock: Arc<dyn Clock>) -> Self {
        Self { url, clock }
    }
}

#[async_trait]
impl Owner for Results {
    fn url(&self, _: &str) -> Result<Url, Reason> {
        let missing = || {
            let why = "Neither CALL_RESULT_WEBHOOK_URL nor N8N_WEBHOOK_URL is set any more";
            Reason::new("no_webhook", why)
        };
        self.url.clone().ok_or_else(missing)
    }

    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error> {
        let (end, detail) = told(outcome, delivery.attempts);
        if end == LOST {
            tracing::warn!(delivery = %delivery.id, topic = %delivery.topic, ?outcome, "n8n did not take it");
        }
        // A report that names no known call has no timeline; nor has a call that was erased.
        let call = summary::id_in_key(&delivery.key);
        if let Ok(call) = call.parse() {
            let happening = Happening {
                kind: format!("{}_{end}", delivery.topic),
                at: self.clock.now(),
                detail,
                source_id: Some(format!("delivery:{}", delivery.id)),
            };
            events::insert(conn, CallId(call), &happening).await?;
        }
        Ok(None)
    }

    async fn touched(&self, _: &mut PgConnection, _: &[String]) -> Result<Vec<String>, sqlx::Error> {
        // Nothing that is shown of a call changes by a try.
        Ok(Vec::new())
    }
}

const LOST: &str = "lost";

/// The words of an outcome for the timeline.
fn told(outcome: &Outcome, attempts: i32) -> (&'static str, Value) {
    match outcome {
        Outcome::Answered(_) => ("delivered", json!({ "attempts": attempts })),
        Outcome::Refused(reason)
        | Outcome::Failed(reason)
        | Outcome::GivenUp(reason)
        | Outcome::Unknown(reason) => {
            let detail = json!({"attempts": attempts, "code": reason.code, "message": reason.message});
            (LOST, detail)
        }
    }
}
