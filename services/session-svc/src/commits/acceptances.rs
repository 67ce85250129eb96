//! What n8n usually says to a start: that it has it. That needs no look at the session, so many of them are one statement.

use async_trait::async_trait;
use sqlx::PgPool;
use switchhook_chassis::group_commit::{GroupCommit, Work};
use switchhook_chassis::kit::Kit;
use switchhook_chassis::wake::Wake;

use super::LIMITS;
use crate::store::starts::{self, Acceptance};

/// Records acceptances. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Acceptances(GroupCommit<Recorder>);

impl Acceptances {
    /// Nothing runs yet.
    pub(crate) fn new(kit: &Kit) -> Self {
        let recorder = Recorder {
            pool: kit.pool.clone(),
            wake: kit.wake.clone(),
        };
        Self(GroupCommit::new(recorder, LIMITS))
    }

    /// Starts recording.
    pub(super) fn start(&self, kit: &Kit) {
        self.0.start(kit);
    }

    /// Records one. `false`: that takes a look at the session, and nothing was changed.
    pub(crate) async fn record(&self, acceptance: Acceptance) -> Result<bool, sqlx::Error> {
        self.0.commit(acceptance).await
    }
}

struct Recorder {
    pool: PgPool,
    wake: Wake,
}

#[async_trait]
impl Work for Recorder {
    type Item = Acceptance;
    type Outcome = bool;

    async fn together(&self, acceptances: &[Acceptance]) -> Result<Vec<bool>, sqlx::Error> {
        let accepted = starts::accept(&self.pool, acceptances).await?;
        let recorded = acceptances.iter().map(|one| accepted.contains_key(&one.session));
        let recorded = recorded.collect();
        self.wake.announce(accepted.into_values());
        Ok(recorded)
    }

    /// A session whose start was sent again may have two: each has its own turn.
    fn key(acceptance: &Acceptance) -> Option<&str> {
        Some(&acceptance.key)
    }
}
