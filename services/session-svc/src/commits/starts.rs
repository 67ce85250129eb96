//! Starts that come at once: one look at all the users, then one statement that begins their sessions and writes what n8n is
//! owed for them.

use async_trait::async_trait;
use switchhook_chassis::group_commit::Work;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_core::trace::TraceContext;

use crate::clients::n8n;
use crate::domain::day::day_of;
use crate::domain::session::Session;
use crate::domain::snapshot::Snapshot;
use crate::store::starts::{self, Drafted, UserStanding};

/// A session that is to begin.
#[derive(Debug)]
pub(crate) struct NewStart {
    pub(crate) session: Session,
    pub(crate) trace: TraceContext,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It has begun.
    Session(Box<Snapshot>),
    /// The user has an active one.
    AlreadyActive,
    /// His calls of today leave nothing of the limit.
    NothingLeft(i64),
}

pub(super) struct Starts {
    kit: Kit,
    outbox: Outbox,
}

impl Starts {
    pub(super) fn new(kit: &Kit, outbox: &Outbox) -> Self {
        Self {
            kit: kit.clone(),
            outbox: outbox.clone(),
        }
    }

    fn draft(&self, new: &NewStart, calls_today: i64) -> Result<Drafted, sqlx::Error> {
        let snapshot = Snapshot {
            session: new.session.clone(),
            calls_today,
            open: None,
        };
        let delivery = n8n::start_of(&snapshot, new.trace, new.session.started_at)?;
        let draft = self.outbox.draft(self.outbox.new_id(), &n8n::START, delivery);
        Ok(Drafted { snapshot, draft })
    }
}

#[async_trait]
impl Work for Starts {
    type Item = NewStart;
    type Outcome = Begun;

    async fn together(&self, new: &[NewStart]) -> Result<Vec<Begun>, sqlx::Error> {
        let day = day_of(self.kit.clock.now(), self.kit.settings.day_timezone);
        let mut conn = self.kit.pool.acquire().await?;
        let users: Vec<&str> = new.iter().map(|new| new.session.user_id.as_str()).collect();
        let standings = starts::standings(&mut conn, &users, day).await?;
        let mut drafts = Vec::with_capacity(new.len());
        let mut outcomes = Vec::with_capacity(new.len());
        for (
            new,
            UserStanding {
                is_active,
                calls_today,
            },
        ) in new.iter().zip(standings)
        {
            outcomes.push(match (is_active, new.session.limit.remaining(calls_today)) {
                (true, _) => Begun::AlreadyActive,
                (false, 0) => Begun::NothingLeft(calls_today),
                (false, _) => {
                    drafts.push((outcomes.len(), self.draft(new, calls_today)?));
                    // Unless it begins now, somebody else was faster.
                    Begun::AlreadyActive
                }
            });
        }
        if drafts.is_empty() {
            return Ok(outcomes);
        }
        let (places, drafts): (Vec<usize>, Vec<Drafted>) = drafts.into_iter().unzip();
        let is_willing = |drafted: &Drafted| self.outbox.is_willing(&drafted.draft);
        let begun = starts::begin(&mut conn, n8n::TARGET, &drafts, is_willing).await?;
        drop(conn);
        for (place, Drafted { snapshot, draft }) in places.into_iter().zip(drafts) {
            let Some(sending) = begun.get(&snapshot.session.id) else {
                continue;
            };
            self.outbox.send_now(self.outbox.written(draft, *sending));
            self.kit
                .wake
                .announce([snapshot.session.user_id.as_str().to_owned()]);
            if let Some(outcome) = outcomes.get_mut(place) {
                *outcome = Begun::Session(Box::new(snapshot));
            }
        }
        Ok(outcomes)
    }

    /// A user has one active session: his second start finds the first.
    fn key(new: &NewStart) -> Option<&str> {
        Some(new.session.user_id.as_str())
    }
}
