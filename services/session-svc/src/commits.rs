//! What shares commits: claims that come at once, of one session or of many; starts of different users; n8n's acceptances of
//! starts. It owns who shares them; what is committed, `store` knows, and what is decided, `domain`.

mod acceptances;
mod claims;
mod starts;

use std::time::Duration;

use sqlx::Error;
use switchhook_chassis::group_commit::{GroupCommit, Limits};
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_core::ids::SessionId;

pub(crate) use acceptances::Acceptances;
pub(crate) use claims::Judged;
pub(crate) use starts::{Begun, NewStart};

use crate::store::claims::NewClaim;

/// Claims, starts or acceptances of one commit.
const ITEMS: usize = 64;
const LIMITS: Limits = Limits {
    waiting: 4_096,
    items: ITEMS,
    weight: ITEMS,
    gathering: Duration::from_millis(1),
};

/// Commits claims and starts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Commits {
    claims: GroupCommit<claims::Claims>,
    starts: GroupCommit<starts::Starts>,
    acceptances: Acceptances,
}

impl Commits {
    /// Nothing runs yet.
    pub(crate) fn new(kit: &Kit, outbox: &Outbox, acceptances: Acceptances) -> Self {
        Self {
            claims: GroupCommit::new(claims::Claims::new(kit), LIMITS),
            starts: GroupCommit::new(starts::Starts::new(kit, outbox), LIMITS),
            acceptances,
        }
    }

    /// Starts committing.
    pub(crate) fn start(&self, kit: &Kit) {
        self.claims.start(kit);
        self.starts.start(kit);
        self.acceptances.start(kit);
    }

    /// Judges a claim together with those that come at the same time.
    pub(crate) async fn claim(&self, session: SessionId, call_id: Option<String>) -> Result<Judged, Error> {
        self.claims.commit(NewClaim::new(session, call_id)).await
    }

    /// Begins a session, and sends its start.
    pub(crate) async fn begin(&self, new: NewStart) -> Result<Begun, Error> {
        self.starts.commit(new).await
    }
}
