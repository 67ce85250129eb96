//! A room with whoever is in it, and what is remembered of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::DisconnectReason;
use proto::participant_info::{Kind, State};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::plan::Plan;
use super::values::{id, now_ms, now_nanos, now_seconds};
use super::webhooks::Webhooks;
use super::wire::Fault;

/// How long an empty room stays when nobody says so: LiveKit's own numbers, in seconds.
const EMPTY_TIMEOUT: u32 = 300;
/// How long it stays after the last one left.
const DEPARTURE_TIMEOUT: u32 = 20;
/// The status of a job that was called off before a worker had it; newer than the protocol's crate.
const JOB_CANCELLED: i32 = 4;
/// Where a call is, in the participant's attributes.
const CALL_STATUS: &str = "sip.callStatus";

/// A job that a worker took: LiveKit acted on its dispatch.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The dispatch.
    pub dispatch_id: String,
    /// The job.
    pub job_id: String,
    /// The room's name.
    pub room: String,
    /// The agent's name.
    pub agent_name: String,
    /// The dispatch's metadata.
    pub metadata: String,
    /// Whom the metadata names.
    pub destination: Option<String>,
    /// Whether the agent dialled.
    pub dialled: bool,
    /// Whether the callee answered.
    pub answered: bool,
}

impl Acted {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "dispatchId": self.dispatch_id,
            "jobId": self.job_id,
            "room": self.room,
            "agentName": self.agent_name,
            "metadata": serde_json::from_str::<Value>(&self.metadata).unwrap_or_else(|_| json!(self.metadata)),
            "destination": self.destination,
            "dialled": self.dialled,
            "answered": self.answered,
        })
    }
}

/// A room as a test sees it.
#[derive(Clone, Debug)]
pub struct RoomSeen {
    /// Its name.
    pub name: String,
    /// Its id: another one when it is made again.
    pub sid: String,
    /// Whether it is open.
    pub open: bool,
    /// Every dispatch that it ever had.
    pub dispatches: Vec<String>,
    /// How many jobs workers took.
    pub jobs: usize,
    /// How many calls were dialled.
    pub dialled: usize,
    /// Who is in it.
    pub participants: Vec<String>,
    /// Why it was closed.
    pub closed_because: Option<&'static str>,
}

impl RoomSeen {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "sid": self.sid,
            "open": self.open,
            "dispatches": self.dispatches,
            "jobs": self.jobs,
            "dialled": self.dialled,
            "participants": self.participants,
            "closedBecause": self.closed_because,
        })
    }
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Dialing,
    Ringing,
    Active,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Dialing => "dialing",
            Self::Ringing => "ringing",
            Self::Active => "active",
        }
    }
}

/// The job for which a call is made.
#[derive(Clone, Debug)]
pub(super) struct JobAt {
    pub(super) id: String,
    /// Its place in the book.
    pub(super) entry: usize,
}

/// A call under way.
pub(super) struct Call {
    pub(super) plan: Plan,
    pub(super) phase: Phase,
    pub(super) job: Option<JobAt>,
    /// Who waits until it is answered.
    pub(super) waiter: Option<oneshot::Sender<Result<(), Fault>>>,
}

/// An open room.
pub(super) struct Room {
    pub(super) info: proto::Room,
    pub(super) participants: BTreeMap<String, proto::ParticipantInfo>,
    pub(super) dispatches: Vec<proto::AgentDispatch>,
    /// Calls by the identity of the callee.
    pub(super) calls: BTreeMap<String, Call>,
    pub(super) seen: RoomSeen,
    webhooks: Arc<Webhooks>,
    created: Instant,
    somebody_left: Option<Instant>,
}

impl Room {
    pub(super) fn new(request: &proto::CreateRoomRequest, webhooks: Arc<Webhooks>) -> Self {
        let or = |given: u32, own: u32| if given == 0 { own } else { given };
        let info = proto::Room {
            sid: id("RM_"),
            name: request.name.clone(),
            empty_timeout: or(request.empty_timeout, EMPTY_TIMEOUT),
            departure_timeout: or(request.departure_timeout, DEPARTURE_TIMEOUT),
            max_participants: request.max_participants,
            creation_time: now_seconds(),
            creation_time_ms: now_ms(),
            turn_password: id(""),
            metadata: request.metadata.clone(),
            ..proto::Room::default()
        };
        let seen = RoomSeen {
            name: info.name.clone(),
            sid: info.sid.clone(),
            open: true,
            dispatches: Vec::new(),
            jobs: 0,
            dialled: 0,
            participants: Vec::new(),
            closed_because: None,
        };
        let room = Self {
            info,
            participants: BTreeMap::new(),
            dispatches: Vec::new(),
            calls: BTreeMap::new(),
            seen,
            webhooks,
            created: Instant::now(),
            somebody_left: None,
        };
        room.tell("room_started", proto::WebhookEvent::default());
        room
    }

    /// Sends a webhook about something in this room.
    pub(super) fn tell(&self, event: &str, rest: proto::WebhookEvent) {
        let told = proto::WebhookEvent {
            event: event.to_owned(),
            room: Some(self.info.clone()),
            ..rest
        };
        self.webhooks.notify(&self.info.name, told);
    }

    /// Somebody comes.
    pub(super) fn join(
        &mut self,
        identity: &str,
        kind: Kind,
        attributes: HashMap<String, String>,
    ) -> proto::ParticipantInfo {
        let participant = proto::ParticipantInfo {
            sid: id("PA_"),
            identity: identity.to_owned(),
            name: identity.to_owned(),
            state: State::Active.into(),
            joined_at: now_seconds(),
            joined_at_ms: now_ms(),
            kind: kind.into(),
            attributes,
            is_publisher: true,
            ..proto::ParticipantInfo::default()
        };
        self.participants.insert(identity.to_owned(), participant.clone());
        self.count();
        self.tell(
            "participant_joined",
            proto::WebhookEvent {
                participant: Some(participant.clone()),
                ..proto::WebhookEvent::default()
            },
        );
        participant
    }

    /// Somebody goes.
    pub(super) fn leave(&mut self, identity: &str, reason: DisconnectReason) {
        let Some(mut participant) = self.participants.remove(identity) else {
            return;
        };
        self.count();
        if !is_dependent(&participant) {
            self.somebody_left = Some(Instant::now());
        }
        participant.state = State::Disconnected.into();
        participant.disconnect_reason = reason.into();
        participant.version += 1;
        self.tell(
            "participant_left",
            proto::WebhookEvent {
                participant: Some(participant),
                ..proto::WebhookEvent::default()
            },
        );
    }

    fn count(&mut self) {
        self.info.num_participants = u32::try_from(self.participants.len()).unwrap_or(u32::MAX);
        self.info.num_publishers = self.info.num_participants;
        self.seen.participants = self.participants.keys().cloned().collect();
    }

    /// A call goes on.
    pub(super) fn advance(&mut self, identity: &str, phase: Phase) {
        if let Some(call) = self.calls.get_mut(identity) {
            call.phase = phase;
        }
        self.set_status(identity, phase.word());
    }

    /// Writes where a call is into the callee's attributes.
    pub(super) fn set_status(&mut self, identity: &str, status: &str) {
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.version += 1;
            participant
                .attributes
                .insert(CALL_STATUS.to_owned(), status.to_owned());
        }
    }

    /// A job ends, and its agent leaves; nothing when it had ended already.
    pub(super) fn finish_job(&mut self, job_id: &str, error: Option<&str>) {
        let states = self
            .dispatches
            .iter_mut()
            .filter_map(|dispatch| dispatch.state.as_mut());
        let found = states
            .flat_map(|state| state.jobs.iter_mut())
            .find(|job| job.id == job_id);
        let Some((job, state)) = found.and_then(|job| {
            let state = job.state.clone().filter(|state| state.ended_at == 0)?;
            Some((job, state))
        }) else {
            return;
        };
        let now = now_nanos();
        let status = match error {
            None if state.started_at == 0 => JOB_CANCELLED,
            None => proto::JobStatus::JsSuccess.into(),
            Some(_) => proto::JobStatus::JsFailed.into(),
        };
        let agent = state.participant_identity.clone();
        job.state = Some(proto::JobState {
            status,
            error: error.unwrap_or_default().to_owned(),
            ended_at: now,
            updated_at: now,
            ..state
        });
        let job = Some(job.clone());
        self.tell(
            "agent_job_ended",
            proto::WebhookEvent {
                job,
                ..proto::WebhookEvent::default()
            },
        );
        self.leave(&agent, DisconnectReason::ClientInitiated);
    }

    /// The jobs of its dispatches.
    pub(super) fn jobs(&self) -> Vec<String> {
        let states = self.dispatches.iter().filter_map(|one| one.state.as_ref());
        states
            .flat_map(|state| &state.jobs)
            .map(|job| job.id.clone())
            .collect()
    }

    /// Whether its time is up: nobody but agents is there, and long enough.
    pub(super) fn is_idle(&self) -> bool {
        if !self.participants.values().all(is_dependent) {
            return false;
        }
        let (since, timeout) = match self.somebody_left {
            Some(left) => (left, self.info.departure_timeout),
            None => (self.created, self.info.empty_timeout),
        };
        since.elapsed() >= Duration::from_secs(timeout.into())
    }
}

/// Those who do not keep a room open.
fn is_dependent(participant: &proto::ParticipantInfo) -> bool {
    matches!(participant.kind(), Kind::Agent | Kind::Egress)
}
