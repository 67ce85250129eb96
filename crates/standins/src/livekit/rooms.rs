//! `livekit.RoomService`, and how rooms end.

use std::sync::Arc;

use livekit_protocol as proto;
use proto::{DisconnectReason, RoomEndReason};

use super::room::Room;
use super::token::Grants;
use super::wire::Fault;
use super::world::{Platform, World};

/// Why a room is closed.
#[derive(Clone, Copy)]
pub(super) enum Why {
    Deleted,
    Idle,
}

fn no_room() -> Fault {
    Fault::new("not_found", "requested room does not exist")
}

fn no_participant() -> Fault {
    Fault::new("not_found", "participant does not exist")
}

impl World {
    /// The room of this name; a new one when there is none.
    pub(super) fn room(&mut self, platform: &Platform, request: &proto::CreateRoomRequest) -> &mut Room {
        self.rooms
            .entry(request.name.clone())
            .or_insert_with(|| Room::new(request, Arc::clone(&platform.webhooks)))
    }
}

impl Platform {
    /// Closes a room with everything in it; false when it is not there.
    pub(super) fn close(self: &Arc<Self>, name: &str, why: Why) -> bool {
        let mut world = self.world();
        let Some(mut room) = world.rooms.remove(name) else {
            return false;
        };
        let (reason, end, because) = match why {
            Why::Deleted => (
                DisconnectReason::RoomDeleted,
                RoomEndReason::RoomEndApiDelete,
                "deleted",
            ),
            Why::Idle => (
                DisconnectReason::RoomClosed,
                RoomEndReason::RoomEndIdleTimeout,
                "idle",
            ),
        };
        for identity in std::mem::take(&mut room.calls).into_keys() {
            room.set_status(&identity, "hangup");
        }
        let present: Vec<String> = room.participants.keys().cloned().collect();
        for identity in present {
            room.leave(&identity, reason);
        }
        for job in room.jobs() {
            room.finish_job(&job, None);
        }
        room.tell(
            "room_finished",
            proto::WebhookEvent {
                room_end_reason: end.into(),
                ..proto::WebhookEvent::default()
            },
        );
        room.seen.open = false;
        room.seen.closed_because = Some(because);
        world.remember(room.seen);
        drop(world);
        self.webhooks.room_finished(name);
        self.end_recordings(name);
        tracing::info!(room = name, because, "the room was closed");
        true
    }

    pub(super) fn close_as_idle(self: &Arc<Self>, name: &str) -> bool {
        self.close(name, Why::Idle)
    }
}

pub(super) async fn create_room(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::CreateRoomRequest,
) -> Result<proto::Room, Fault> {
    grants.create()?;
    if request.name.is_empty() {
        return Err(Fault::new("invalid_argument", "no room name"));
    }
    let mut world = platform.world();
    let is_new = !world.rooms.contains_key(&request.name);
    let info = world.room(platform, &request).info.clone();
    drop(world);
    for agent in request.agents.iter().filter(|_| is_new) {
        platform.add_dispatch(&proto::CreateAgentDispatchRequest {
            agent_name: agent.agent_name.clone(),
            room: request.name.clone(),
            metadata: agent.metadata.clone(),
            ..proto::CreateAgentDispatchRequest::default()
        })?;
    }
    Ok(info)
}

pub(super) async fn list_rooms(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::ListRoomsRequest,
) -> Result<proto::ListRoomsResponse, Fault> {
    grants.list()?;
    let world = platform.world();
    let wanted = |room: &&Room| request.names.is_empty() || request.names.contains(&room.info.name);
    let rooms = world.rooms.values().filter(wanted);
    Ok(proto::ListRoomsResponse {
        rooms: rooms.map(|room| room.info.clone()).collect(),
    })
}

pub(super) async fn delete_room(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::DeleteRoomRequest,
) -> Result<proto::DeleteRoomResponse, Fault> {
    grants.create()?;
    if platform.close(&request.room, Why::Deleted) {
        return Ok(proto::DeleteRoomResponse {});
    }
    Err(no_room())
}

pub(super) async fn list_participants(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::ListParticipantsRequest,
) -> Result<proto::ListParticipantsResponse, Fault> {
    grants.admin(&request.room)?;
    let world = platform.world();
    let room = world.rooms.get(&request.room);
    let participants = room.map(|room| room.participants.values().cloned().collect());
    Ok(proto::ListParticipantsResponse {
        participants: participants.unwrap_or_default(),
    })
}

pub(super) async fn get_participant(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::RoomParticipantIdentity,
) -> Result<proto::ParticipantInfo, Fault> {
    grants.admin(&request.room)?;
    let world = platform.world();
    let room = world.rooms.get(&request.room);
    let participant = room.and_then(|room| room.participants.get(&request.identity));
    participant.cloned().ok_or_else(no_participant)
}

pub(super) async fn remove_participant(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::RoomParticipantIdentity,
) -> Result<proto::RemoveParticipantResponse, Fault> {
    grants.admin(&request.room)?;
    let mut world = platform.world();
    let room = world.rooms.get_mut(&request.room);
    let room = room.filter(|room| room.participants.contains_key(&request.identity));
    let room = room.ok_or_else(no_participant)?;
    if room.calls.contains_key(&request.identity) {
        room.end_call(&request.identity, DisconnectReason::ParticipantRemoved, None);
    } else {
        room.leave(&request.identity, DisconnectReason::ParticipantRemoved);
    }
    Ok(proto::RemoveParticipantResponse {})
}
