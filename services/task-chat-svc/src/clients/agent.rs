//! The agents' webhooks: what is owed to an agent when a user writes, and what its answer, or the lack of one, means.
//!
//! The outbox sends it; this is its owner. It does not open connections itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;
use switchhook_chassis::clock::Clock;
use switchhook_chassis::outbox::{
    After, Delivery, Guarantee, NewDelivery, Outbox, Outcome, Owed, Owner, Reason, Topic,
};
use switchhook_core::trace::TraceContext;
use url::Url;

use crate::config::AgentWebhooks;
use crate::domain::answer::{self, Ended};
use crate::domain::ids::{AgentId, MessageId, ResponseId, TaskId};
use crate::domain::shown::AgentRequest;
use crate::domain::task::{Behind, Failure, State, Task};
use crate::store::messages::Place;
use crate::store::responses::Source;
use crate::store::{messages, responses, tasks};

/// A message to an agent. A backend like n8n does not deduplicate, and after a time-out its run is probably still going.
pub(crate) const MESSAGE: Topic = Topic {
    name: "task.message",
    guarantee: Guarantee::AtLeastOnce { always: false },
    give_up_after: Duration::from_secs(24 * 60 * 60),
    // `AGENT_TIMEOUT` says it.
    answer_limit: None,
    opening: 200,
    in_flight: 2_000,
};

/// All topics of the service.
pub(crate) static TOPICS: [Topic; 1] = [MESSAGE];

/// Owes the agent of a task a message, in the transaction that stores it. The caller holds the task's lock.
pub(crate) async fn owe(
    outbox: &Outbox,
    conn: &mut PgConnection,
    task: &Task,
    message: (MessageId, &str),
    callback_url: &str,
    trace: TraceContext,
) -> Result<Owed, sqlx::Error> {
    let request = AgentRequest {
        task_id: &task.id,
        agent_id: &task.agent,
        message: message.1,
        message_id: message.0,
        user_id: task.user_id.as_str(),
        user_email: task.user_email.as_deref(),
        callback_url,
    };
    let new = NewDelivery {
        key: task.id.to_string(),
        target: task.agent.to_string(),
        body: serde_json::to_vec(&request).map_err(|error| sqlx::Error::Encode(error.into()))?,
        trace,
    };
    outbox.owe(conn, &MESSAGE, new).await
}

/// The owner of the messages in the outbox.
pub(crate) struct Agents {
    webhooks: AgentWebhooks,
    answer_limit: Duration,
    clock: Arc<dyn Clock>,
}

impl Agents {
    pub(crate) fn new(webhooks: AgentWebhooks, answer_limit: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            webhooks,
            answer_limit,
            clock,
        }
    }

    /// Stores what the agent answered at once, unless it is stored already.
    async fn keep(
        &self,
        conn: &mut PgConnection,
        task: &mut Task,
        delivery: &Delivery,
        texts: &[String],
        behind: Behind,
    ) -> Result<(), sqlx::Error> {
        if texts.is_empty() || responses::has_answer_of(conn, delivery.id).await? {
            return Ok(());
        }
        let Ok(first) = task.take_responses(texts.len(), behind) else {
            tracing::warn!(task = %task.id, "the task has as many answers as it may have; another one is not kept");
            return Ok(());
        };
        let now = self.clock.now();
        for (text, index) in texts.iter().zip(0_i32..) {
            let (id, seq) = (ResponseId::new(now), first + i64::from(index));
            let source = Source::Answer(delivery.id, index);
            responses::insert(conn, &task.id, id, seq, text, source, now).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Owner for Agents {
    fn url(&self, target: &str) -> Result<Url, Reason> {
        let agent = AgentId::parse(target);
        let url = agent.and_then(|agent| self.webhooks.url(&agent).cloned());
        url.ok_or_else(|| Reason::new("unknown_agent", "There is no agent of this name any more"))
    }

    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error> {
        // An erased task has no consequences any more.
        let Some(mut task) = found(conn, delivery).await? else {
            return Ok(None);
        };
        match meaning(outcome) {
            Ended::Taken(texts) => {
                let place = messages::settle(conn, delivery.id, None).await?;
                let behind = match place {
                    Some(Place::Earlier) => Behind::Unsent,
                    Some(Place::Last) | None => Behind::Nothing,
                };
                self.keep(conn, &mut task, delivery, &texts, behind).await?;
            }
            Ended::Lost(failure) => {
                let place = messages::settle(conn, delivery.id, Some(&failure)).await?;
                tracing::warn!(task = %task.id, agent = %task.agent, code = failure.code, "a message was not answered");
                if place == Some(Place::Last) {
                    task.fail(failure);
                }
            }
        }
        tasks::save(conn, &task, self.clock.now()).await?;
        Ok(None)
    }

    async fn still_wanted(&self, conn: &mut PgConnection, delivery: &Delivery) -> Result<bool, sqlx::Error> {
        let Some(task) = found(conn, delivery).await? else {
            return Ok(false);
        };
        if !messages::is_sent_by(conn, delivery.id).await? {
            return Ok(false);
        }
        let State::Failed(failure) = &task.state else {
            return Ok(true);
        };
        // Its time ran out while the request was under way.
        messages::settle(conn, delivery.id, Some(failure)).await?;
        Ok(false)
    }

    fn answer_limit(&self, _: &Topic) -> Option<Duration> {
        Some(self.answer_limit)
    }

    async fn touched(&self, conn: &mut PgConnection, keys: &[String]) -> Result<Vec<String>, sqlx::Error> {
        tasks::touch(conn, keys).await
    }
}

async fn found(conn: &mut PgConnection, delivery: &Delivery) -> Result<Option<Task>, sqlx::Error> {
    match TaskId::parse(&delivery.key) {
        Some(id) => tasks::lock(conn, &id).await,
        None => Ok(None),
    }
}

fn meaning(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Answered(body) => answer::read(body),
        Outcome::GivenUp(reason) => answer::given_up(reason),
        Outcome::Refused(reason) | Outcome::Failed(reason) | Outcome::Unknown(reason) => answer::lost(reason),
    }
}

/// Calls off what a task still owes to its agent and says why nothing more is to be expected of it.
pub(crate) async fn withdraw(conn: &mut PgConnection, task: &Task) -> Result<Failure, sqlx::Error> {
    let called_off = messages::call_off(conn, &task.id).await?;
    let mut failure = Failure::no_answer();
    for (delivery, last_error) in called_off {
        if let Some(last) = last_error {
            failure = Failure::unreachable(&last);
        }
        messages::settle(conn, delivery, Some(&failure)).await?;
    }
    Ok(failure)
}
