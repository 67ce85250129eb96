//! Claims that come at once: read without a lock, judged in memory one after the other, and saved where everything still
//! stands as it was read. Two statements for all of them.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use switchhook_chassis::group_commit::Work;
use switchhook_chassis::kit::Kit;
use switchhook_core::ids::SessionId;

use crate::domain::claim::Decision;
use crate::domain::day::day_of;
use crate::store::claims::{self, Found, Moved, NewClaim};

/// What became of a claim that was judged with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is judged, and a call that is granted is counted.
    Decided(Decision),
    /// Somebody moved the session, or holds it: nothing was counted.
    Overtaken,
    /// It must be judged by itself: nothing was counted.
    Alone,
}

pub(super) struct Claims {
    kit: Kit,
}

impl Claims {
    pub(super) fn new(kit: &Kit) -> Self {
        Self { kit: kit.clone() }
    }
}

#[async_trait]
impl Work for Claims {
    type Item = NewClaim;
    type Outcome = Judged;

    async fn together(&self, claims: &[NewClaim]) -> Result<Vec<Judged>, sqlx::Error> {
        let day = day_of(self.kit.clock.now(), self.kit.settings.day_timezone);
        let mut conn = self.kit.pool.acquire().await?;
        let found = claims::look_together(&mut conn, claims, day).await?;
        let group = Group::judge(claims, found);
        let saved = match &group.moved[..] {
            [] => Vec::new(),
            moved => claims::save_together(&mut conn, moved, day).await?,
        };
        drop(conn);
        let (saved, users): (HashSet<_>, Vec<_>) = saved.into_iter().unzip();
        let users = users.iter().map(|user| user.as_str().to_owned());
        self.kit.wake.announce(users);
        Ok(group.outcomes(claims, &saved))
    }

    /// A call that is claimed twice at once gets the answer of the first.
    fn key(claim: &NewClaim) -> Option<&str> {
        claim.call.as_deref()
    }
}

/// Claims that are judged, and what is to be saved for that.
struct Group {
    decisions: Vec<Option<Decision>>,
    moved: Vec<Moved>,
}

impl Group {
    fn judge(claims: &[NewClaim], found: Vec<Option<Found>>) -> Self {
        let mut sessions: BTreeMap<SessionId, (Moved, bool)> = BTreeMap::new();
        let mut decisions = Vec::with_capacity(claims.len());
        for (new, found) in claims.iter().zip(found) {
            let Some(found) = found else {
                decisions.push(None);
                continue;
            };
            let (moved, _) = sessions
                .entry(new.session)
                .or_insert_with(|| (Moved::nowhere(new.session, found.standing), found.heard));
            let decision = moved.after.judge(found.earlier);
            if let (Decision::Grant(granted), Some(call_id)) = (decision, &new.call_id) {
                moved.claims.push((call_id.clone(), granted));
            }
            decisions.push(Some(decision));
        }
        // A claim is a sign of life, also one that is refused.
        let is_news = |(moved, heard): &(Moved, bool)| moved.after != moved.before || !heard;
        let moved = sessions.into_values().filter(is_news);
        Self {
            decisions,
            moved: moved.map(|(moved, _)| moved).collect(),
        }
    }

    /// What each is told, where these sessions were saved.
    fn outcomes(&self, claims: &[NewClaim], saved: &HashSet<SessionId>) -> Vec<Judged> {
        let lost = |moved: &&Moved| !saved.contains(&moved.session);
        let lost: HashSet<SessionId> = self
            .moved
            .iter()
            .filter(lost)
            .map(|moved| moved.session)
            .collect();
        let outcome = |(claim, decision): (&NewClaim, &Option<Decision>)| match decision {
            None => Judged::Alone,
            Some(_) if lost.contains(&claim.session) => Judged::Overtaken,
            Some(decision) => Judged::Decided(*decision),
        };
        claims.iter().zip(&self.decisions).map(outcome).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claim::{Denial, Granted, Standing};
    use crate::domain::session::DailyLimit;

    fn session(n: u128) -> SessionId {
        SessionId(uuid::Uuid::from_u128(n))
    }

    fn found(limit: i32, is_active: bool) -> Option<Found> {
        Some(Found {
            standing: Standing {
                limit: DailyLimit::stored(limit),
                is_active,
                calls_made: 3,
                calls_today: 5,
            },
            heard: true,
            earlier: None,
        })
    }

    fn granted(calls_made: i32, remaining: i64) -> Decision {
        Decision::Grant(Granted {
            calls_made,
            remaining,
        })
    }

    fn refused(denial: Denial, calls_made: i32) -> Decision {
        Decision::Deny { denial, calls_made }
    }

    #[test]
    fn claims_of_one_session_are_judged_in_turn_up_to_its_limit() {
        let claims: Vec<NewClaim> = ["a", "b", "c"]
            .iter()
            .map(|call| NewClaim::new(session(1), Some((*call).to_owned())))
            .collect();
        let group = Group::judge(&claims, claims.iter().map(|_| found(7, true)).collect());
        let expected = [granted(4, 1), granted(5, 0), refused(Denial::LimitReached, 5)];
        assert_eq!(group.decisions, expected.map(Some));
        let [moved] = &group.moved[..] else {
            panic!("one session was moved: {:?}", group.moved);
        };
        assert_eq!((moved.before.calls_made, moved.after.calls_made), (3, 5));
        assert_eq!(moved.claims.len(), 2);
        let saved = group.outcomes(&claims, &HashSet::from([session(1)]));
        assert_eq!(saved, expected.map(Judged::Decided));
        // What was refused because of calls that were not counted is not true either.
        assert_eq!(group.outcomes(&claims, &HashSet::new()), [Judged::Overtaken; 3]);
    }

    #[test]
    fn what_cannot_be_judged_together_hurts_no_other() {
        let claims = [1, 2, 3].map(|n| NewClaim::new(session(n), None));
        let group = Group::judge(&claims, vec![None, found(7, false), found(7, true)]);
        let outcomes = group.outcomes(&claims, &HashSet::from([session(3)]));
        let expected = [
            Judged::Alone,
            Judged::Decided(refused(Denial::Stopped, 3)),
            Judged::Decided(granted(4, 1)),
        ];
        assert_eq!(outcomes, expected);
        assert_eq!(group.moved.len(), 1);
    }

    #[test]
    fn a_refused_claim_is_a_sign_of_life() {
        let claims = [NewClaim::new(session(1), None)];
        let mut silent = found(5, true);
        if let Some(found) = &mut silent {
            found.heard = false;
        }
        assert_eq!(Group::judge(&claims, vec![silent]).moved.len(), 1);
        assert_eq!(Group::judge(&claims, vec![found(5, true)]).moved.len(), 0);
    }
}
