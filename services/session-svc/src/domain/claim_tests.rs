//! Who may call, and how often.

use std::collections::BTreeMap;

use proptest::prelude::*;
use switchhook_core::models::session::StopReason;

use super::*;
use crate::domain::session::DailyLimit;
use crate::domain::session::tests::{moment, session};

#[test]
fn every_claim_has_its_answer() {
    let active = session();
    let mut stopped = session();
    stopped.stop(StopReason::StoppedByUser, moment(1));
    let earlier = Granted {
        calls_made: 4,
        remaining: 96,
    };
    let deny = |denial| Decision::Deny {
        denial,
        calls_made: 0,
    };
    let grant = |remaining| {
        Decision::Grant(Granted {
            calls_made: 1,
            remaining,
        })
    };
    for (session, today, known, expected) in [
        (&active, 0, None, grant(99)),
        (&active, 99, None, grant(0)),
        (&active, 100, None, deny(Denial::LimitReached)),
        (&active, 5_000, None, deny(Denial::LimitReached)),
        (&active, 100, Some(earlier), Decision::Repeat(earlier)),
        (&stopped, 0, None, deny(Denial::Stopped)),
        (&stopped, 100, None, deny(Denial::Stopped)),
        (&stopped, 0, Some(earlier), Decision::Repeat(earlier)),
    ] {
        let before = Standing::of(session, today);
        let mut after = before;
        assert_eq!(after.judge(known), expected, "{today} {known:?}");
        let counted = i32::from(matches!(expected, Decision::Grant(_)));
        assert_eq!(after.calls_made, before.calls_made + counted);
        assert_eq!(after.calls_today, before.calls_today + i64::from(counted));
    }
}

proptest! {
    /// Claims with and without ids, mixed with reports, in any order: what is granted never exceeds what the limit
    /// leaves, and a repeated id counts once.
    #[test]
    fn granted_claims_never_exceed_the_limit(
        limit in 1_i32..30,
        made_elsewhere in 0_i64..40,
        claims in proptest::collection::vec(proptest::option::of(0_u8..20), 0..80),
    ) {
        let mut session = session();
        session.limit = DailyLimit::stored(limit);
        let mut standing = Standing::of(&session, made_elsewhere);
        let mut today = made_elsewhere;
        let mut answers: BTreeMap<u8, Granted> = BTreeMap::new();
        let mut granted_calls = 0_i64;
        for id in claims {
            let earlier = id.and_then(|id| answers.get(&id).copied());
            match standing.judge(earlier) {
                Decision::Grant(granted) => {
                    session.count_call();
                    today += 1;
                    granted_calls += 1;
                    prop_assert_eq!(granted.calls_made, session.calls_made);
                    prop_assert_eq!(granted.remaining, i64::from(limit) - today);
                    if let Some(id) = id {
                        answers.insert(id, granted);
                    }
                }
                Decision::Repeat(granted) => prop_assert_eq!(Some(granted), earlier),
                Decision::Deny { denial, .. } => {
                    prop_assert_eq!(denial, Denial::LimitReached);
                    prop_assert!(today >= i64::from(limit));
                }
            }
        }
        prop_assert!(granted_calls <= (i64::from(limit) - made_elsewhere).max(0));
    }
}
