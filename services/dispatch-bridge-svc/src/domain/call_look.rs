//! What a look at LiveKit tells of a call, and when to look again: pure, from one look to the next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::call::Facts;
use super::call_seen::{self, Parties};
use super::dispatch::Status;
use super::livekit::{Job, Participant};

/// Between two looks while the phone rings: the answer is known that exactly, and a recording starts within two seconds.
const RINGING: Duration = Duration::from_millis(500);
/// Between two looks at a call that was answered: its end is known that exactly.
const TALKING: Duration = Duration::from_secs(1);
/// Between two looks while nobody is called yet.
const WAITING: Duration = Duration::from_millis(500);
/// The same, once it lasts.
const WAITING_LONG: Duration = Duration::from_secs(3);
/// When it lasts.
const LONG: TimeDelta = TimeDelta::minutes(1);
/// Between two looks at a recording after the call.
const SETTLING: Duration = Duration::from_secs(2);
/// How long an agent may take until it calls somebody. Then the call counts as over: nobody will.
const CALLS_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// Longest that a call is followed: LiveKit ends one after 24 hours.
const LONGEST: TimeDelta = TimeDelta::hours(25);

/// What LiveKit shows at a moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    pub(crate) at: DateTime<Utc>,
    /// Nothing where there is no such room.
    pub(crate) participants: Option<Vec<Participant>>,
    /// The agent's jobs; nothing where nobody asked.
    pub(crate) jobs: Option<Vec<Job>>,
}

/// What is remembered from one look to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Since when the callee, who was there, is missing.
    pub(crate) missing_since: Option<DateTime<Utc>>,
}

/// What a look adds to what is known. The call was dispatched at `since`.
pub(crate) fn learn(
    known: &Facts,
    parties: &Parties<'_>,
    look: &Look,
    since: DateTime<Utc>,
    memory: &mut Memory,
) -> Facts {
    let jobs = look.jobs.as_deref().unwrap_or_default();
    let said = jobs
        .iter()
        .map(call_seen::job)
        .fold(Facts::default(), Facts::join);
    let seen = match &look.participants {
        None => call_seen::closed(look.at),
        Some(participants) => match participants
            .iter()
            .find(|participant| parties.is_callee(participant))
        {
            Some(callee) => {
                memory.missing_since = None;
                call_seen::present(callee, look.at)
            }
            None => absent(known, jobs, look.at, since, memory),
        },
    };
    let end = if is_outlived(since, look.at) {
        call_seen::closed(look.at)
    } else {
        Facts::default()
    };
    said.join(seen).join(end)
}

/// Whether a call that was dispatched at `since` cannot go on any more.
pub(crate) fn is_outlived(since: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    at > since + LONGEST
}

/// What it means that no callee is there.
fn absent(
    known: &Facts,
    jobs: &[Job],
    at: DateTime<Utc>,
    since: DateTime<Utc>,
    memory: &mut Memory,
) -> Facts {
    let agent_is_done = !jobs.is_empty() && jobs.iter().all(call_seen::is_over);
    if known.callee.is_some() {
        // One who is missed once may be on his way between two servers.
        let missed_before = memory.missing_since.is_some();
        let first = *memory.missing_since.get_or_insert(at);
        return match missed_before || agent_is_done {
            true => call_seen::missing(first),
            false => Facts::default(),
        };
    }
    if agent_is_done {
        let ended = jobs.iter().filter_map(|job| job.state.ended_at).max();
        return call_seen::deserted(ended.map_or(at, |ended| ended.0.clamp(since.min(at), at)));
    }
    if at > since + CALLS_WITHIN {
        return call_seen::deserted(at);
    }
    Facts::default()
}

/// Whether a look has to ask for the agent's jobs: while a phone is there, its own status says all.
pub(crate) fn asks_for_jobs(parties: &Parties<'_>, participants: Option<&[Participant]>) -> bool {
    participants.is_none_or(|participants| !participants.iter().any(|each| parties.is_callee(each)))
}

/// How long to wait until the next look.
pub(crate) fn pause(facts: &Facts, since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    match facts.course().status {
        Status::Dispatched if facts.callee.is_some() => RINGING,
        Status::Dispatched if now > since + LONG => WAITING_LONG,
        Status::Dispatched => WAITING,
        Status::Ringing => RINGING,
        Status::Answered => TALKING,
        Status::Ended | Status::Failed | Status::NoWorker => SETTLING,
    }
}

#[cfg(test)]
#[path = "call_look_tests.rs"]
mod tests;
