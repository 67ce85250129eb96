//! `livekit.SIP`, and calls from the first signal to the end.
//!
//! A call's next step is a timer that names the phase it starts from: where the call has gone on meanwhile, because it was
//! told to or its room is gone, the timer finds another phase, or nothing, and does nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use livekit_protocol as proto;
use proto::DisconnectReason;
use proto::participant_info::Kind;
use tokio::sync::oneshot;

use super::plan::{Ending, Plan};
use super::room::{Call, JobAt, Phase, Room};
use super::rooms::Why;
use super::token::Grants;
use super::values::{digits, id};
use super::wire::Fault;
use super::world::{Platform, World};

/// The trunk of calls whose maker names none.
const TRUNK: &str = "ST_standin";
/// The number of that trunk.
const TRUNK_NUMBER: &str = "+61731070000";

/// A call to be made.
pub(super) struct Dialled {
    room: String,
    sid: String,
    number: String,
    trunk: String,
    identity: Option<String>,
    attributes: HashMap<String, String>,
    plan: Plan,
    job: Option<JobAt>,
    waiter: Option<oneshot::Sender<Result<(), Fault>>>,
}

impl Dialled {
    pub(super) fn by_agent(room: String, sid: String, number: String, plan: Plan, job: JobAt) -> Self {
        Self {
            room,
            sid,
            number,
            trunk: TRUNK.to_owned(),
            identity: None,
            attributes: HashMap::new(),
            plan,
            job: Some(job),
            waiter: None,
        }
    }
}

/// Which call.
#[derive(Clone)]
struct CallAt {
    room: String,
    sid: String,
    identity: String,
}

/// What comes after a step.
enum Next {
    Nothing,
    After(Duration, Phase),
    CloseRoom,
}

impl Room {
    /// Ends a call, and the job for which it was made.
    pub(super) fn end_call(&mut self, identity: &str, reason: DisconnectReason, error: Option<&str>) {
        let Some(call) = self.calls.remove(identity) else {
            return;
        };
        self.set_status(identity, "hangup");
        self.leave(identity, reason);
        if let Some(job) = &call.job {
            self.finish_job(&job.id, error);
        }
        if let Some(waiter) = call.waiter {
            // Whoever waited may have gone.
            let _ = waiter.send(Err(Fault::of_carrier(error.unwrap_or("487 Request Terminated"))));
        }
        tracing::info!(
            room = self.info.name,
            reason = reason.as_str_name(),
            "the call ended"
        );
    }
}

impl World {
    fn begin(&mut self, call: Dialled) -> Option<(CallAt, proto::ParticipantInfo, String)> {
        let job_stands = |room: &Room| call.job.as_ref().is_none_or(|job| room.jobs().contains(&job.id));
        let room = self
            .same_room(&call.room, &call.sid)
            .filter(|room| job_stands(room))?;
        let call_id = id("SCL_");
        let mut identity = call
            .identity
            .unwrap_or_else(|| format!("sip_{}", digits(&call.number)));
        if room.participants.contains_key(&identity) {
            identity = format!("{identity}_{call_id}");
        }
        let mut attributes = call.attributes;
        for (name, value) in [
            ("sip.callStatus", "dialing"),
            ("sip.callID", &call_id),
            ("sip.trunkID", &call.trunk),
            ("sip.phoneNumber", &call.number),
            ("sip.trunkPhoneNumber", TRUNK_NUMBER),
        ] {
            attributes.insert(name.to_owned(), value.to_owned());
        }
        let participant = room.join(&identity, Kind::Sip, attributes);
        room.seen.dialled += 1;
        let entry = call.job.as_ref().map(|job| job.entry);
        room.calls.insert(
            identity.clone(),
            Call {
                plan: call.plan,
                phase: Phase::Dialing,
                job: call.job,
                waiter: call.waiter,
            },
        );
        if let Some(acted) = entry.and_then(|entry| self.acted.get_mut(entry)) {
            acted.dialled = true;
        }
        let at = CallAt {
            room: call.room,
            sid: call.sid,
            identity,
        };
        Some((at, participant, call_id))
    }

    /// Takes a call on from a phase, if it is still there.
    fn step(&mut self, at: &CallAt, from: Phase) -> Next {
        let Some(room) = self.same_room(&at.room, &at.sid) else {
            return Next::Nothing;
        };
        let Some(call) = room.calls.get(&at.identity).filter(|call| call.phase == from) else {
            return Next::Nothing;
        };
        let (ending, words) = (call.plan.ending, call.plan.words());
        let (rings, talks) = (call.plan.rings, call.plan.talks);
        let failed = match (from, ending) {
            (Phase::Dialing, Ending::Busy | Ending::Refused) | (Phase::Ringing, Ending::Declined) => {
                Some(DisconnectReason::UserRejected)
            }
            (Phase::Dialing, Ending::TrunkFailure) => Some(DisconnectReason::SipTrunkFailure),
            (Phase::Ringing, Ending::NoAnswer) => Some(DisconnectReason::UserUnavailable),
            (Phase::Active, Ending::MediaFailure) => Some(DisconnectReason::MediaFailure),
            _ => None,
        };
        if let Some(reason) = failed {
            room.end_call(&at.identity, reason, Some(&words));
            return Next::Nothing;
        }
        match (from, ending) {
            (Phase::Dialing, _) => {
                room.advance(&at.identity, Phase::Ringing);
                match ending {
                    Ending::Never => Next::Nothing,
                    _ => Next::After(rings, Phase::Ringing),
                }
            }
            (Phase::Ringing, _) => {
                self.answered(at);
                match ending {
                    Ending::Never => Next::Nothing,
                    _ => Next::After(talks, Phase::Active),
                }
            }
            (Phase::Active, Ending::AgentHangsUp) => Next::CloseRoom,
            (Phase::Active, _) => {
                room.end_call(&at.identity, DisconnectReason::ClientInitiated, None);
                Next::Nothing
            }
        }
    }

    fn answered(&mut self, at: &CallAt) {
        let Some(room) = self.same_room(&at.room, &at.sid) else {
            return;
        };
        room.advance(&at.identity, Phase::Active);
        let call = room.calls.get_mut(&at.identity);
        let entry = call.and_then(|call| {
            if let Some(waiter) = call.waiter.take() {
                let _ = waiter.send(Ok(()));
            }
            Some(call.job.as_ref()?.entry)
        });
        if let Some(acted) = entry.and_then(|entry| self.acted.get_mut(entry)) {
            acted.answered = true;
        }
    }

    /// The call of a room, and its phase.
    fn call_of(&self, name: &str) -> Option<(CallAt, Phase)> {
        let room = self.rooms.get(name)?;
        let (identity, call) = room.calls.iter().next()?;
        let at = CallAt {
            room: name.to_owned(),
            sid: room.info.sid.clone(),
            identity: identity.clone(),
        };
        Some((at, call.phase))
    }
}

impl Platform {
    /// Dials; none when the room, or the job for which it was to be, is gone.
    pub(super) fn dial(self: &Arc<Self>, call: Dialled) -> Option<(proto::ParticipantInfo, String)> {
        let wait = call.plan.dials;
        let (at, participant, call_id) = self.world().begin(call)?;
        tracing::info!(room = at.room, callee = at.identity, "dialling");
        self.after(at, Next::After(wait, Phase::Dialing));
        Some((participant, call_id))
    }

    fn after(self: &Arc<Self>, at: CallAt, next: Next) {
        match next {
            Next::Nothing => {}
            Next::After(wait, phase) => self.later(wait, move |platform| platform.step(at, phase)),
            Next::CloseRoom => {
                self.close(&at.room, Why::Deleted);
            }
        }
    }

    fn step(self: &Arc<Self>, at: CallAt, from: Phase) {
        let next = self.world().step(&at, from);
        self.after(at, next);
    }

    /// Takes the call of a room on at once, if it is in one of these phases.
    fn push_on(self: &Arc<Self>, room: &str, from: &[Phase]) -> bool {
        let found = self.world().call_of(room);
        let Some((at, phase)) = found.filter(|(_, phase)| from.contains(phase)) else {
            return false;
        };
        self.step(at, phase);
        true
    }

    pub(super) fn ring(self: &Arc<Self>, room: &str) -> bool {
        self.push_on(room, &[Phase::Dialing])
    }

    pub(super) fn answer_call(self: &Arc<Self>, room: &str) -> bool {
        self.ring(room);
        self.push_on(room, &[Phase::Ringing])
    }

    /// The callee ends the call, whatever its plan was.
    pub(super) fn hang_up(&self, name: &str) -> bool {
        let mut world = self.world();
        let Some((at, phase)) = world.call_of(name) else {
            return false;
        };
        let Some(room) = world.rooms.get_mut(name) else {
            return false;
        };
        match phase {
            Phase::Active => room.end_call(&at.identity, DisconnectReason::ClientInitiated, None),
            _ => room.end_call(&at.identity, DisconnectReason::UserRejected, Some("603 Decline")),
        }
        true
    }
}

pub(super) async fn create_sip_participant(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::CreateSipParticipantRequest,
) -> Result<proto::SipParticipantInfo, Fault> {
    grants.call()?;
    let missing = |what: &str| Fault::new("invalid_argument", format!("missing {what}"));
    if request.sip_trunk_id.is_empty() && request.trunk.is_none() {
        return Err(missing("sip trunk id"));
    }
    if request.sip_call_to.is_empty() {
        return Err(missing("sip callee number"));
    }
    if request.room_name.is_empty() {
        return Err(missing("room name"));
    }
    if !request.sip_trunk_id.is_empty() && !request.sip_trunk_id.starts_with("ST_") {
        return Err(Fault::new("not_found", "requested sip trunk does not exist"));
    }
    let (waiter, answered) = oneshot::channel();
    let call = {
        let mut world = platform.world();
        let wanted = proto::CreateRoomRequest {
            name: request.room_name.clone(),
            ..proto::CreateRoomRequest::default()
        };
        let sid = world.room(platform, &wanted).info.sid.clone();
        Dialled {
            room: request.room_name.clone(),
            sid,
            plan: world.plans.take(&request.sip_call_to),
            number: request.sip_call_to,
            trunk: request.sip_trunk_id,
            identity: Some(request.participant_identity).filter(|identity| !identity.is_empty()),
            attributes: request.participant_attributes,
            job: None,
            waiter: request.wait_until_answered.then_some(waiter),
        }
    };
    let gone = || Fault::new("aborted", "the room was closed");
    let (participant, sip_call_id) = platform.dial(call).ok_or_else(gone)?;
    if request.wait_until_answered {
        answered.await.unwrap_or_else(|_| Err(gone()))?;
    }
    Ok(proto::SipParticipantInfo {
        participant_id: participant.sid,
        participant_identity: participant.identity,
        room_name: request.room_name,
        sip_call_id,
    })
}
