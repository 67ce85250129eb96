//! `livekit.AgentDispatchService`, and the workers that take jobs.

use std::collections::HashMap;
use std::sync::Arc;

use livekit_protocol as proto;
use proto::participant_info::Kind;
use serde_json::Value;

use super::calls::Dialled;
use super::plan::{Ending, Plan};
use super::room::{Acted, JobAt};
use super::token::Grants;
use super::values::{id, now_nanos};
use super::wire::Fault;
use super::world::{Platform, World};

/// Largest metadata that LiveKit takes.
const MAX_METADATA_BYTES: usize = 64_000;

/// Whom a dispatch's metadata names.
fn destination(metadata: &str) -> Option<String> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let destination = metadata.get("destination")?.as_str()?;
    Some(destination.to_owned()).filter(|text| !text.is_empty())
}

/// A job that no worker has yet.
fn pending(dispatch: &proto::AgentDispatch, room: proto::Room) -> proto::Job {
    proto::Job {
        id: id("AJ_"),
        dispatch_id: dispatch.id.clone(),
        r#type: proto::JobType::JtRoom.into(),
        room: Some(room),
        metadata: dispatch.metadata.clone(),
        agent_name: dispatch.agent_name.clone(),
        state: Some(proto::JobState::default()),
        attributes: dispatch.attributes.clone(),
        ..proto::Job::default()
    }
}

impl World {
    /// A worker takes the job of a dispatch, unless the dispatch or its room is gone by now.
    fn take_job(&mut self, room: &str, sid: &str, dispatch_id: &str) -> Option<JobAt> {
        let entry = self.acted.len();
        let room = self.same_room(room, sid)?;
        let info = room.info.clone();
        let dispatch = room.dispatches.iter_mut().find(|one| one.id == dispatch_id)?;
        let waiting = dispatch.state.get_or_insert_default().jobs.pop();
        let waiting = waiting.unwrap_or_else(|| pending(dispatch, info));
        let job_id = waiting.id.clone();
        let identity = format!("agent-{job_id}");
        let now = now_nanos();
        let job = proto::Job {
            state: Some(proto::JobState {
                status: proto::JobStatus::JsRunning.into(),
                started_at: now,
                updated_at: now,
                participant_identity: identity.clone(),
                worker_id: id("AW_"),
                ..proto::JobState::default()
            }),
            ..waiting
        };
        dispatch.state.get_or_insert_default().jobs.push(job.clone());
        let acted = Acted {
            dispatch_id: dispatch_id.to_owned(),
            job_id: job_id.clone(),
            room: dispatch.room.clone(),
            agent_name: dispatch.agent_name.clone(),
            destination: destination(&dispatch.metadata),
            metadata: dispatch.metadata.clone(),
            dialled: false,
            answered: false,
        };
        room.seen.jobs += 1;
        room.tell(
            "agent_job_started",
            proto::WebhookEvent {
                job: Some(job),
                ..proto::WebhookEvent::default()
            },
        );
        room.join(&identity, Kind::Agent, HashMap::new());
        self.acted.push(acted);
        Some(JobAt { id: job_id, entry })
    }
}

impl Platform {
    /// Adds a dispatch to its room and lets a worker take it.
    pub(super) fn add_dispatch(
        self: &Arc<Self>,
        request: &proto::CreateAgentDispatchRequest,
    ) -> Result<proto::AgentDispatch, Fault> {
        let mut world = self.world();
        if !world.has_space() {
            return Err(Fault::new("resource_exhausted", "the stand-in's book is full"));
        }
        if !self.options.auto_create && !world.rooms.contains_key(&request.room) {
            return Err(Fault::unheard(self.options.unheard));
        }
        let dispatch = proto::AgentDispatch {
            id: id("AD_"),
            agent_name: request.agent_name.clone(),
            room: request.room.clone(),
            metadata: request.metadata.clone(),
            state: Some(proto::AgentDispatchState {
                created_at: now_nanos(),
                ..proto::AgentDispatchState::default()
            }),
            restart_policy: request.restart_policy,
            deployment: request.deployment.clone(),
            attributes: request.attributes.clone(),
        };
        let wanted = proto::CreateRoomRequest {
            name: request.room.clone(),
            ..proto::CreateRoomRequest::default()
        };
        let room = world.room(self, &wanted);
        room.dispatches.push(dispatch.clone());
        room.seen.dispatches.push(dispatch.id.clone());
        let sid = room.info.sid.clone();
        if world.workers > 0 {
            let plan = world
                .plans
                .take(destination(&request.metadata).as_deref().unwrap_or_default());
            if plan.pends
                && let Some(room) = world.rooms.get_mut(&request.room)
                && let Some(listed) = room.dispatches.last_mut()
            {
                let job = pending(listed, room.info.clone());
                listed.state.get_or_insert_default().jobs.push(job);
            }
            drop(world);
            self.offer(&dispatch, sid, plan);
        }
        Ok(dispatch)
    }

    /// Offers the job to a worker, who dials after a while.
    fn offer(self: &Arc<Self>, dispatch: &proto::AgentDispatch, sid: String, plan: Plan) {
        let (name, dispatch_id) = (dispatch.room.clone(), dispatch.id.clone());
        let number = destination(&dispatch.metadata);
        self.later(plan.job_after, move |platform| {
            let mut world = platform.world();
            let Some(job) = world.take_job(&name, &sid, &dispatch_id) else {
                world.turned_away += 1;
                return;
            };
            drop(world);
            tracing::info!(room = name, job = job.id, "a worker took the job");
            match (plan.ending, number) {
                (Ending::NeverDials, _) | (_, None) => {}
                (Ending::AgentError, _) => platform.later(plan.dial_after, move |platform| {
                    if let Some(room) = platform.world().same_room(&name, &sid) {
                        room.finish_job(&job.id, Some(&plan.words()));
                    }
                }),
                (_, Some(number)) => platform.later(plan.dial_after, move |platform| {
                    platform.dial(Dialled::by_agent(name, sid, number, plan, job));
                }),
            }
        });
    }
}

pub(super) async fn create_dispatch(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::CreateAgentDispatchRequest,
) -> Result<proto::AgentDispatch, Fault> {
    grants.admin(&request.room)?;
    if request.metadata.len() > MAX_METADATA_BYTES {
        return Err(Fault::new("invalid_argument", "metadata size exceeds limits"));
    }
    platform.add_dispatch(&request)
}

pub(super) async fn list_dispatch(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::ListAgentDispatchRequest,
) -> Result<proto::ListAgentDispatchResponse, Fault> {
    grants.admin(&request.room)?;
    let world = platform.world();
    let Some(room) = world.rooms.get(&request.room) else {
        return Err(Fault::unheard(platform.options.unheard));
    };
    let dispatches = room.dispatches.iter();
    let wanted = dispatches.filter(|one| request.dispatch_id.is_empty() || one.id == request.dispatch_id);
    Ok(proto::ListAgentDispatchResponse {
        agent_dispatches: wanted.cloned().collect(),
    })
}

pub(super) async fn delete_dispatch(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::DeleteAgentDispatchRequest,
) -> Result<proto::AgentDispatch, Fault> {
    grants.admin(&request.room)?;
    let mut world = platform.world();
    let Some(room) = world.rooms.get_mut(&request.room) else {
        return Err(Fault::unheard(platform.options.unheard));
    };
    let at = room
        .dispatches
        .iter()
        .position(|one| one.id == request.dispatch_id);
    let at = at.ok_or_else(|| Fault::new("not_found", "dispatch ID not found"))?;
    let jobs = room.dispatches[at].state.clone().unwrap_or_default().jobs;
    for job in &jobs {
        room.finish_job(&job.id, None);
    }
    let mut dispatch = room.dispatches.remove(at);
    dispatch.state.get_or_insert_default().deleted_at = now_nanos();
    Ok(dispatch)
}
