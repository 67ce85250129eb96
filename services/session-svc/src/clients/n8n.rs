//! The start webhook: what is owed to n8n when a session begins, and what its answer, or the lack of one, means.
//!
//! The outbox sends it; this is its owner. It does not open connections itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;
use switchhook_chassis::clock::Clock;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::{
    After, AtOnce, Delivery, Ending, Guarantee, NewDelivery, Outbox, Outcome, Owed, Owner, Reason, Topic,
};
use switchhook_core::ids::SessionId;
use switchhook_core::n8n::reply;
use switchhook_core::trace::TraceContext;
use url::Url;

use crate::commits::Acceptances;
use crate::config::SessionSettings;
use crate::domain::day::day_of;
use crate::domain::delivery::{Request, Settled, StartOutcome};
use crate::domain::report::{Answer, read_answer};
use crate::domain::session::Session;
use crate::domain::snapshot::Snapshot;
use crate::store;
use crate::store::sessions::{Revision, Saving};
use crate::store::starts::{self, Acceptance};

/// The request that starts a session: never sent twice, because each would dial the leads.
pub(crate) const START: Topic = Topic {
    name: "session.start",
    guarantee: Guarantee::AtMostOnce,
    // Leads must not be dialled hours later.
    give_up_after: Duration::from_secs(60 * 60),
    // n8n answers when it has made the calls: a session's own limit is this one's too.
    answer_limit: None,
    opening: 50,
    in_flight: 10_000,
};

/// All topics of the service.
pub(crate) static TOPICS: [Topic; 1] = [START];

/// Where starts go.
pub(crate) const TARGET: &str = "n8n";
/// An answer that comes a little after its session expired still counts its calls.
const AFTER_EXPIRY: Duration = Duration::from_secs(60 * 60);

/// What n8n is owed when a session begins.
pub(crate) fn start_of(
    snapshot: &Snapshot,
    trace: TraceContext,
    now: DateTime<Utc>,
) -> Result<NewDelivery, sqlx::Error> {
    let body = serde_json::to_vec(&snapshot.start_webhook(now));
    Ok(NewDelivery {
        key: snapshot.session.id.to_string(),
        target: TARGET.to_owned(),
        body: body.map_err(|error| sqlx::Error::Encode(error.into()))?,
        trace,
    })
}

/// Owes n8n the start of a session again, in the transaction that says so.
pub(crate) async fn owe_again(
    outbox: &Outbox,
    conn: &mut PgConnection,
    snapshot: &Snapshot,
    trace: TraceContext,
    now: DateTime<Utc>,
) -> Result<Owed, sqlx::Error> {
    let new = start_of(snapshot, trace, now)?;
    outbox.owe(conn, &START, new).await
}

/// Calls the start of a session that ends off, if it was not sent yet.
pub(crate) async fn withdraw(
    outbox: &Outbox,
    conn: &mut PgConnection,
    snapshot: &mut Snapshot,
) -> Result<(), sqlx::Error> {
    if outbox
        .cancel_unsent(conn, &START, &snapshot.session.id.to_string())
        .await?
    {
        snapshot.start_cancelled();
    }
    Ok(())
}

/// Calls a second start off once n8n turns out to have the first.
pub(crate) async fn withdraw_obsolete(
    conn: &mut PgConnection,
    session: &mut Session,
) -> Result<(), sqlx::Error> {
    if session.resend_is_obsolete() && starts::cancel_unsent(conn, session.id).await? {
        session.resend_withdrawn();
    }
    Ok(())
}

/// The owner of the starts in the outbox.
pub(crate) struct Starts {
    url: Url,
    clock: Arc<dyn Clock>,
    zone: Tz,
    longest_session: Duration,
    acceptances: Acceptances,
}

impl Starts {
    pub(crate) fn new(kit: &Kit, own: &SessionSettings, acceptances: Acceptances) -> Self {
        Self {
            url: own.n8n_webhook_url.clone(),
            clock: Arc::clone(&kit.clock),
            zone: kit.settings.day_timezone,
            longest_session: own.session_max_duration.0,
            acceptances,
        }
    }
}

#[async_trait]
impl Owner for Starts {
    fn url(&self, target: &str) -> Result<Url, Reason> {
        match target {
            TARGET => Ok(self.url.clone()),
            other => Err(Reason::new(
                "unknown_target",
                format!("There is no target called {other}"),
            )),
        }
    }

    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error> {
        let Ok(id) = delivery.key.parse::<SessionId>() else {
            return Ok(None);
        };
        let now = self.clock.now();
        let day = day_of(now, self.zone);
        // An erased session has no consequences any more.
        let Some(found) = store::sessions::lock(conn, id, day).await? else {
            return Ok(None);
        };
        let mut session = found.session;
        let request = match session.resent && starts::newest(conn, id).await? != Some(delivery.id) {
            true => Request::Superseded,
            false => Request::Current,
        };
        let settled = session.settle(meaning(id, delivery, outcome), delivery.attempts, request, now);
        withdraw_obsolete(conn, &mut session).await?;
        let increase = told(&session, settled);
        let saving = Saving {
            day,
            increase,
            claim: None,
            revision: Revision::LeaveToCaller,
        };
        store::sessions::save(conn, session, saving).await?;
        Ok(None)
    }

    async fn settle_at_once(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        ending: Ending,
    ) -> Result<AtOnce, sqlx::Error> {
        let Ok(session) = delivery.key.parse::<SessionId>() else {
            return Ok(AtOnce::No);
        };
        if meaning(session, delivery, outcome) != StartOutcome::Answered(Answer::Accepted) {
            return Ok(AtOnce::No);
        }
        let acceptance = Acceptance {
            session,
            key: delivery.key.clone(),
            attempts: delivery.attempts,
            ending,
        };
        Ok(match self.acceptances.record(acceptance).await? {
            true => AtOnce::Recorded(None),
            false => AtOnce::No,
        })
    }

    async fn still_wanted(&self, conn: &mut PgConnection, delivery: &Delivery) -> Result<bool, sqlx::Error> {
        let Ok(id) = delivery.key.parse::<SessionId>() else {
            return Ok(false);
        };
        let day = day_of(self.clock.now(), self.zone);
        let Some(found) = store::sessions::lock(conn, id, day).await? else {
            return Ok(false);
        };
        let mut session = found.session;
        if session.retry_start(delivery.attempts) {
            return Ok(true);
        }
        store::sessions::save(conn, session, Saving::only(day, Revision::LeaveToCaller)).await?;
        Ok(false)
    }

    fn answer_limit(&self, _: &Topic) -> Option<Duration> {
        Some(self.longest_session + AFTER_EXPIRY)
    }

    async fn touched(&self, conn: &mut PgConnection, keys: &[String]) -> Result<Vec<String>, sqlx::Error> {
        let sessions: Vec<_> = keys
            .iter()
            .filter_map(|key| key.parse::<SessionId>().ok())
            .map(|id| id.0)
            .collect();
        store::users::raise_for(conn, &sessions).await
    }
}

fn meaning(id: SessionId, delivery: &Delivery, outcome: &Outcome) -> StartOutcome {
    match outcome {
        Outcome::Answered(body) => StartOutcome::Answered(
            reply::object(body).map_or(Answer::Accepted, |object| read_answer(id, object)),
        ),
        Outcome::Refused(reason) => StartOutcome::Refused(reason.clone()),
        Outcome::Failed(reason) => StartOutcome::Failed(reason.clone()),
        Outcome::GivenUp(reason) => StartOutcome::GivenUp(reason.clone()),
        Outcome::Unknown(reason) => StartOutcome::AnswerLost {
            reason: reason.clone(),
            waited: delivery.waited.unwrap_or_default(),
        },
    }
}

/// Logs what came of the start, and gives the calls that count for today.
fn told(session: &Session, settled: Settled) -> i32 {
    match settled {
        Settled::Reported { increase, .. } => {
            let status = if session.is_active() { "active" } else { "stopped" };
            tracing::info!(id = %session.id, status, callsMade = session.calls_made, "AI session updated");
            increase
        }
        Settled::Ignored(why) => {
            tracing::warn!(id = %session.id, why, "n8n's answer to the start does not count");
            0
        }
        Settled::Recorded => 0,
    }
}
