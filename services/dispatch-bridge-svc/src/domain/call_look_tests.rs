//! What looks at LiveKit tell, from one to the next, where no webhook ever comes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use switchhook_core::models::time::WireTime;

use crate::domain::call::Facts;
use crate::domain::call_look::{Look, Memory, asks_for_jobs, learn, pause};
use crate::domain::call_seen::Parties;
use crate::domain::dispatch::{EndReason, Status};
use crate::domain::livekit::{Job, JobState, KIND_SIP, Participant};

const PARTIES: Parties<'static> = Parties {
    destination: "61402012298",
    transfer_target: Some("+61 731 071 901"),
    callee: None,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn phone(number: &str, status: &str) -> Participant {
    let attributes = [("sip.phoneNumber", number), ("sip.callStatus", status)];
    Participant {
        identity: format!("sip_{number}"),
        kind: KIND_SIP,
        joined_at: None,
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        disconnect_reason: 0,
    }
}

fn agent() -> Participant {
    Participant {
        identity: "agent-AJ_1".into(),
        kind: 4,
        joined_at: None,
        attributes: BTreeMap::new(),
        disconnect_reason: 0,
    }
}

fn job(status: i32, ended: Option<i64>, error: &str) -> Job {
    Job {
        id: "AJ_1".into(),
        dispatch_id: "AD_1".into(),
        room: "outbound-0000000000".into(),
        state: JobState {
            status,
            started_at: Some(WireTime(at(0))),
            ended_at: ended.map(|seconds| WireTime(at(seconds))),
            error: error.into(),
        },
    }
}

fn room(seconds: i64, participants: Vec<Participant>, job: Job) -> Look {
    Look {
        at: at(seconds),
        participants: Some(participants),
        jobs: Some(vec![job]),
    }
}

fn gone(seconds: i64) -> Look {
    Look {
        at: at(seconds),
        participants: None,
        jobs: None,
    }
}

/// What is known after these looks, the call having been dispatched at 0.
fn after(looks: Vec<Look>) -> Facts {
    let mut memory = Memory::default();
    looks.iter().fold(Facts::default(), |known, look| {
        let parties = Parties {
            callee: known.callee.as_ref().map(|leg| leg.identity.as_str()),
            ..PARTIES
        };
        let more = learn(&known, &parties, look, at(0), &mut memory);
        known.clone().join(more)
    })
}

const CALLEE: &str = "+61402012298";

#[test]
fn a_call_is_followed_from_its_ringing_to_its_hang_up() {
    let facts = after(vec![
        room(1, vec![agent()], job(1, None, "")),
        room(2, vec![agent(), phone(CALLEE, "dialing")], job(1, None, "")),
        room(3, vec![agent(), phone(CALLEE, "ringing")], job(1, None, "")),
        room(4, vec![agent(), phone(CALLEE, "active")], job(1, None, "")),
        room(5, vec![agent(), phone(CALLEE, "active")], job(1, None, "")),
        room(9, vec![agent(), phone(CALLEE, "hangup")], job(1, None, "")),
    ]);
    let course = facts.course();
    assert_eq!((course.call_start, course.call_end), (Some(at(4)), Some(at(9))));
    assert_eq!((facts.rang_at, course.status), (Some(at(3)), Status::Ended));
    assert_eq!(course.end_reason, Some(EndReason::Hangup));
}

#[test]
fn a_callee_who_is_missed_twice_is_gone_since_the_first_time() {
    let talking = || room(4, vec![agent(), phone(CALLEE, "active")], job(1, None, ""));
    let missed = |seconds| room(seconds, vec![agent()], job(1, None, ""));
    assert_eq!(after(vec![talking(), missed(5)]).over_at(), None);
    assert_eq!(
        after(vec![talking(), missed(5), talking(), missed(7)]).over_at(),
        None
    );
    assert_eq!(
        after(vec![talking(), missed(5), missed(6)]).over_at(),
        Some(at(5))
    );
}

#[test]
fn a_callee_who_is_missed_once_the_agent_is_done_is_gone_at_once() {
    let facts = after(vec![
        room(4, vec![agent(), phone(CALLEE, "active")], job(1, None, "")),
        room(6, vec![], job(2, Some(5), "")),
    ]);
    assert_eq!(facts.over_at(), Some(at(6)));
}

#[test]
fn a_call_that_was_refused_before_anybody_looked_is_told_by_the_job() {
    let facts = after(vec![room(3, vec![], job(3, Some(2), "403 Forbidden auth ID"))]);
    let course = facts.course();
    assert_eq!(
        (course.status, course.end_reason),
        (Status::Failed, Some(EndReason::Refused))
    );
    assert_eq!((course.call_start, course.call_end), (None, Some(at(2))));
    assert_eq!(course.message.as_deref(), Some("403 Forbidden auth ID"));
    assert!(facts.is_explained());
}

#[test]
fn a_room_that_is_gone_ends_the_call() {
    let facts = after(vec![
        room(4, vec![phone(CALLEE, "active")], job(1, None, "")),
        gone(8),
    ]);
    assert_eq!(facts.course().call_end, Some(at(8)));
    assert_eq!(after(vec![gone(1)]).course().end_reason, Some(EndReason::Unknown));
}

#[test]
fn the_one_who_takes_over_is_not_the_callee() {
    let target = || phone("+61731071901", "active");
    let ringing = || phone(CALLEE, "ringing");
    let facts = after(vec![
        room(1, vec![agent(), target()], job(1, None, "")),
        room(2, vec![agent(), ringing(), target()], job(1, None, "")),
    ]);
    assert_eq!(facts.course().status, Status::Ringing);
    // The agent leaves the two alone: the call goes on until the callee hangs up.
    let handed_over = after(vec![
        room(2, vec![agent(), phone(CALLEE, "active")], job(1, None, "")),
        room(3, vec![phone(CALLEE, "active"), target()], job(2, Some(3), "")),
    ]);
    assert_eq!(handed_over.course().status, Status::Answered);
}

#[test]
fn a_hidden_number_is_the_callees_unless_another_leg_was_first() {
    let mut hidden = phone("", "active");
    hidden.attributes.remove("sip.phoneNumber");
    assert!(PARTIES.is_callee(&hidden));
    let known = Parties {
        callee: Some("sip_+61402012298"),
        ..PARTIES
    };
    assert!(!known.is_callee(&hidden));
    assert!(!PARTIES.is_callee(&agent()));
}

#[test]
fn an_agent_that_never_calls_anybody_is_given_up() {
    let idle = |seconds| room(seconds, vec![agent()], job(1, None, ""));
    assert_eq!(after(vec![idle(1), idle(599)]).over_at(), None);
    assert_eq!(
        after(vec![idle(1), idle(601)]).course().end_reason,
        Some(EndReason::Unknown)
    );
}

#[test]
fn no_call_is_followed_for_ever() {
    let talking = |seconds| room(seconds, vec![phone(CALLEE, "active")], job(1, None, ""));
    assert_eq!(after(vec![talking(24 * 3600)]).over_at(), None);
    assert!(after(vec![talking(26 * 3600)]).over_at().is_some());
}

#[test]
fn jobs_are_asked_for_only_while_no_callee_is_there() {
    assert!(asks_for_jobs(&PARTIES, Some(&[agent()])));
    assert!(asks_for_jobs(&PARTIES, None));
    assert!(!asks_for_jobs(
        &PARTIES,
        Some(&[agent(), phone(CALLEE, "ringing")])
    ));
}

#[test]
fn what_may_change_soon_is_looked_at_more_often() {
    let ringing = after(vec![room(3, vec![phone(CALLEE, "ringing")], job(1, None, ""))]);
    let talking = after(vec![room(3, vec![phone(CALLEE, "active")], job(1, None, ""))]);
    let pauses = [&ringing, &talking, &Facts::default()].map(|facts| pause(facts, at(0), at(3)).as_millis());
    assert_eq!(pauses, [500, 1000, 500]);
    assert!(pause(&Facts::default(), at(0), at(120)) > pause(&Facts::default(), at(0), at(3)));
}
