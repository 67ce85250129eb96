//! LiveKit, in our verbs: rooms, dispatches, participants, recordings. One implementation, which asks once: whether something is
//! sent again is decided by whoever asks, never below.

mod reading;
mod storage;
mod twirp;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use livekit_api::access_token::VideoGrants;
use livekit_protocol as proto;
use switchhook_chassis::outbound::Outbound;

use crate::config::DispatchSettings;
use crate::domain::dispatch::ROOM_EMPTY_S;
use crate::domain::ids::{DispatchId, Room};
use crate::domain::livekit::{Dispatch, Egress, Participant};
use crate::domain::trouble::Trouble;

const CREATE_ROOM: &str = "RoomService/CreateRoom";
const DELETE_ROOM: &str = "RoomService/DeleteRoom";
const LIST_ROOMS: &str = "RoomService/ListRooms";
const LIST_PARTICIPANTS: &str = "RoomService/ListParticipants";
const CREATE_DISPATCH: &str = "AgentDispatchService/CreateDispatch";
const LIST_DISPATCH: &str = "AgentDispatchService/ListDispatch";
const DELETE_DISPATCH: &str = "AgentDispatchService/DeleteDispatch";
const START_EGRESS: &str = "Egress/StartRoomCompositeEgress";
const STOP_EGRESS: &str = "Egress/StopEgress";
const LIST_EGRESS: &str = "Egress/ListEgress";

/// Longest that a probe may take.
const PROBE_LIMIT: Duration = Duration::from_millis(1_500);
/// The layout of a recording.
const LAYOUT: &str = "speaker-dark";

/// What this service asks of LiveKit.
#[async_trait]
pub(crate) trait LiveKit: Send + Sync + 'static {
    /// Makes a room that stays while nobody is in it.
    async fn create_room(&self, room: &Room) -> Result<(), Trouble>;
    /// Deletes a room, and hangs up whoever is in it. One that is not there is deleted.
    async fn delete_room(&self, room: &Room) -> Result<(), Trouble>;
    /// Dispatches an agent into a room.
    async fn create_dispatch(&self, room: &Room, agent: &str, metadata: String) -> Result<Dispatch, Trouble>;
    /// The dispatches of a room, the oldest first. A missing room is a [`Trouble::is_missing`].
    async fn list_dispatches(&self, room: &Room) -> Result<Vec<Dispatch>, Trouble>;
    /// Takes a dispatch back, and gives its last state; nothing where it is gone already.
    async fn delete_dispatch(&self, id: &DispatchId, room: &Room) -> Result<Option<Dispatch>, Trouble>;
    /// Who is in a room. A missing room has nobody.
    async fn participants(&self, room: &Room) -> Result<Vec<Participant>, Trouble>;
    /// Whether a room is there.
    async fn room_exists(&self, room: &Room) -> Result<bool, Trouble>;
    /// Records the sound of a room into a file of this name.
    async fn start_recording(&self, room: &Room, file: &str) -> Result<Egress, Trouble>;
    /// Ends a recording.
    async fn stop_recording(&self, egress: &str) -> Result<Egress, Trouble>;
    /// The recordings of a room.
    async fn list_recordings(&self, room: &Room) -> Result<Vec<Egress>, Trouble>;
    /// Whether LiveKit is there and takes our key.
    async fn probe(&self) -> Result<(), Trouble>;
}

/// LiveKit over the network.
pub(crate) struct Server {
    api: twirp::Twirp,
    storage: Option<storage::Storage>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(settings: &DispatchSettings, outbound: &Outbound) -> Self {
        Self {
            api: twirp::Twirp::new(settings, outbound),
            storage: storage::Storage::of(settings),
        }
    }
}

/// May make and delete rooms.
fn makes_rooms() -> VideoGrants {
    VideoGrants {
        room_create: true,
        ..VideoGrants::default()
    }
}

fn lists_rooms() -> VideoGrants {
    VideoGrants {
        room_list: true,
        ..VideoGrants::default()
    }
}

/// May do everything in one room.
fn administers(room: &Room) -> VideoGrants {
    VideoGrants {
        room_admin: true,
        room: room.as_str().to_owned(),
        ..VideoGrants::default()
    }
}

fn records() -> VideoGrants {
    VideoGrants {
        room_record: true,
        ..VideoGrants::default()
    }
}

/// What is not there need not be deleted.
fn gone<T>(outcome: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match outcome {
        Err(Trouble::Refused(refusal)) if refusal.code == "not_found" => Ok(None),
        other => other.map(Some),
    }
}

#[async_trait]
impl LiveKit for Server {
    async fn create_room(&self, room: &Room) -> Result<(), Trouble> {
        let request = proto::CreateRoomRequest {
            name: room.as_str().to_owned(),
            empty_timeout: ROOM_EMPTY_S,
            departure_timeout: ROOM_EMPTY_S,
            ..proto::CreateRoomRequest::default()
        };
        let made = self.api.ask(CREATE_ROOM, makes_rooms(), &request).await;
        made.map(|_made: proto::Room| ())
    }

    async fn delete_room(&self, room: &Room) -> Result<(), Trouble> {
        let request = proto::DeleteRoomRequest {
            room: room.as_str().to_owned(),
        };
        let deleted = self.api.ask(DELETE_ROOM, makes_rooms(), &request).await;
        gone(deleted.map(|_deleted: proto::DeleteRoomResponse| ())).map(drop)
    }

    async fn create_dispatch(&self, room: &Room, agent: &str, metadata: String) -> Result<Dispatch, Trouble> {
        let request = proto::CreateAgentDispatchRequest {
            agent_name: agent.to_owned(),
            room: room.as_str().to_owned(),
            metadata,
            ..proto::CreateAgentDispatchRequest::default()
        };
        let made = self.api.ask(CREATE_DISPATCH, administers(room), &request).await;
        reading::dispatch(made?).ok_or(Trouble::Broken)
    }

    async fn list_dispatches(&self, room: &Room) -> Result<Vec<Dispatch>, Trouble> {
        let request = proto::ListAgentDispatchRequest {
            room: room.as_str().to_owned(),
            ..proto::ListAgentDispatchRequest::default()
        };
        let listed = self.api.ask(LIST_DISPATCH, administers(room), &request).await;
        let listed: proto::ListAgentDispatchResponse = listed?;
        let listed = listed.agent_dispatches.into_iter();
        let mut dispatches: Vec<Dispatch> = listed.filter_map(reading::dispatch).collect();
        dispatches.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(dispatches)
    }

    async fn delete_dispatch(&self, id: &DispatchId, room: &Room) -> Result<Option<Dispatch>, Trouble> {
        let request = proto::DeleteAgentDispatchRequest {
            dispatch_id: id.as_str().to_owned(),
            room: room.as_str().to_owned(),
        };
        let last = self.api.ask(DELETE_DISPATCH, administers(room), &request).await;
        Ok(gone(last)?.and_then(reading::dispatch))
    }

    async fn participants(&self, room: &Room) -> Result<Vec<Participant>, Trouble> {
        let request = proto::ListParticipantsRequest {
            room: room.as_str().to_owned(),
        };
        let listed = self.api.ask(LIST_PARTICIPANTS, administers(room), &request).await;
        match listed.map(|listed: proto::ListParticipantsResponse| listed.participants) {
            Ok(found) => Ok(found.into_iter().map(reading::participant).collect()),
            Err(trouble) if trouble.is_missing() => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    }

    async fn room_exists(&self, room: &Room) -> Result<bool, Trouble> {
        let listed = self.api.ask(LIST_ROOMS, lists_rooms(), &named(room)).await;
        listed.map(|listed: proto::ListRoomsResponse| !listed.rooms.is_empty())
    }

    async fn start_recording(&self, room: &Room, file: &str) -> Result<Egress, Trouble> {
        let storage = self.storage.as_ref().ok_or_else(|| {
            Trouble::Unusable("no storage for recordings is configured: set RECORDING_PROVIDER".into())
        })?;
        let request = proto::RoomCompositeEgressRequest {
            room_name: room.as_str().to_owned(),
            layout: LAYOUT.to_owned(),
            audio_only: true,
            file_outputs: vec![storage.output(file)],
            ..proto::RoomCompositeEgressRequest::default()
        };
        let started = self.api.ask(START_EGRESS, records(), &request).await;
        started.map(reading::egress)
    }

    async fn stop_recording(&self, egress: &str) -> Result<Egress, Trouble> {
        let request = proto::StopEgressRequest {
            egress_id: egress.to_owned(),
        };
        let stopped = self.api.ask(STOP_EGRESS, records(), &request).await;
        stopped.map(reading::egress)
    }

    async fn list_recordings(&self, room: &Room) -> Result<Vec<Egress>, Trouble> {
        let request = proto::ListEgressRequest {
            room_name: room.as_str().to_owned(),
            ..proto::ListEgressRequest::default()
        };
        let listed = self.api.ask(LIST_EGRESS, records(), &request).await;
        let listed: proto::ListEgressResponse = listed?;
        Ok(listed.items.into_iter().map(reading::egress).collect())
    }

    /// Asks for a room that nobody has.
    async fn probe(&self) -> Result<(), Trouble> {
        let nobodys = named(&Room::new(0));
        let listed = self
            .api
            .ask_within(PROBE_LIMIT, LIST_ROOMS, lists_rooms(), &nobodys);
        listed.await.map(|_listed: proto::ListRoomsResponse| ())
    }
}

fn named(room: &Room) -> proto::ListRoomsRequest {
    proto::ListRoomsRequest {
        names: vec![room.as_str().to_owned()],
    }
}
