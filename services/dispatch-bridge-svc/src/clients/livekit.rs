//! LiveKit, in our verbs: rooms, dispatches, participants, recordings. One implementation, by LiveKit's own client, without
//! its failover and retries: whether something is sent again is decided here, never inside a library.

mod probe;
mod reading;
mod storage;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use livekit_api::services::egress::{
    EgressListFilter, EgressListOptions, EgressOutput, RoomCompositeOptions,
};
use livekit_api::services::room::CreateRoomOptions;
use livekit_api::services::{LiveKitApi, ServiceError};
use livekit_protocol as proto;
use secrecy::ExposeSecret;
use switchhook_chassis::outbound::Outbound;

use crate::config::DispatchSettings;
use crate::domain::dispatch::ROOM_EMPTY_S;
use crate::domain::ids::{DispatchId, Room};
use crate::domain::livekit::{Dispatch, Egress, Participant};
use crate::domain::trouble::Trouble;

/// Longest that LiveKit may take for an answer.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(10);
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
    api: LiveKitApi,
    probe: probe::Probe,
    storage: Option<storage::Storage>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(settings: &DispatchSettings, outbound: &Outbound) -> Self {
        let secret = settings.livekit_api_secret.expose_secret();
        let api = LiveKitApi::with_api_key(&settings.livekit_url.0, &settings.livekit_api_key, secret);
        Self {
            api: api.with_failover(false).with_request_timeout(ANSWER_LIMIT),
            probe: probe::Probe::new(settings, outbound),
            storage: storage::Storage::of(settings),
        }
    }
}

fn trouble(error: ServiceError) -> Trouble {
    let trouble = reading::trouble(&error);
    tracing::debug!(%trouble, "LiveKit did not do what it was asked");
    trouble
}

/// What is not there need not be deleted.
fn gone(outcome: Result<(), Trouble>) -> Result<(), Trouble> {
    match outcome {
        Err(Trouble::Refused(refusal)) if refusal.code == "not_found" => Ok(()),
        other => other,
    }
}

#[async_trait]
impl LiveKit for Server {
    async fn create_room(&self, room: &Room) -> Result<(), Trouble> {
        let options = CreateRoomOptions {
            empty_timeout: ROOM_EMPTY_S,
            departure_timeout: ROOM_EMPTY_S,
            ..CreateRoomOptions::default()
        };
        let made = self.api.room().create_room(room.as_str(), options).await;
        match made.map(drop).map_err(trouble) {
            // LiveKit answers an unknown key in plain text, as a stranger would: the probe tells the two apart.
            Err(Trouble::NotLiveKit) => Err(self.probe.ask().await.err().unwrap_or(Trouble::NotLiveKit)),
            outcome => outcome,
        }
    }

    async fn delete_room(&self, room: &Room) -> Result<(), Trouble> {
        gone(self.api.room().delete_room(room.as_str()).await.map_err(trouble))
    }

    async fn create_dispatch(&self, room: &Room, agent: &str, metadata: String) -> Result<Dispatch, Trouble> {
        let request = proto::CreateAgentDispatchRequest {
            agent_name: agent.to_owned(),
            room: room.as_str().to_owned(),
            metadata,
            ..proto::CreateAgentDispatchRequest::default()
        };
        let made = self.api.agent_dispatch().create_dispatch(request).await;
        reading::dispatch(made.map_err(trouble)?).ok_or(Trouble::Broken)
    }

    async fn list_dispatches(&self, room: &Room) -> Result<Vec<Dispatch>, Trouble> {
        let listed = self.api.agent_dispatch().list_dispatch(room.as_str()).await;
        let mut dispatches: Vec<Dispatch> = listed
            .map_err(trouble)?
            .into_iter()
            .filter_map(reading::dispatch)
            .collect();
        dispatches.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(dispatches)
    }

    async fn delete_dispatch(&self, id: &DispatchId, room: &Room) -> Result<Option<Dispatch>, Trouble> {
        let api = self.api.agent_dispatch();
        match api
            .delete_dispatch(id.as_str(), room.as_str())
            .await
            .map_err(trouble)
        {
            Ok(last) => Ok(reading::dispatch(last)),
            Err(trouble) => gone(Err(trouble)).map(|()| None),
        }
    }

    async fn participants(&self, room: &Room) -> Result<Vec<Participant>, Trouble> {
        let listed = self.api.room().list_participants(room.as_str()).await;
        match listed.map_err(trouble) {
            Ok(found) => Ok(found.into_iter().map(reading::participant).collect()),
            Err(trouble) if trouble.is_missing() => Ok(Vec::new()),
            Err(trouble) => Err(trouble),
        }
    }

    async fn room_exists(&self, room: &Room) -> Result<bool, Trouble> {
        let listed = self.api.room().list_rooms(vec![room.as_str().to_owned()]).await;
        Ok(!listed.map_err(trouble)?.is_empty())
    }

    async fn start_recording(&self, room: &Room, file: &str) -> Result<Egress, Trouble> {
        let storage = self.storage.as_ref().ok_or_else(|| {
            Trouble::Unusable("no storage for recordings is configured: set RECORDING_PROVIDER".into())
        })?;
        let outputs = vec![EgressOutput::File(storage.output(file))];
        let options = RoomCompositeOptions {
            layout: LAYOUT.to_owned(),
            audio_only: true,
            ..RoomCompositeOptions::default()
        };
        let api = self.api.egress();
        let started = api
            .start_room_composite_egress(room.as_str(), outputs, options)
            .await;
        started.map(reading::egress).map_err(trouble)
    }

    async fn stop_recording(&self, egress: &str) -> Result<Egress, Trouble> {
        let stopped = self.api.egress().stop_egress(egress).await;
        stopped.map(reading::egress).map_err(trouble)
    }

    async fn list_recordings(&self, room: &Room) -> Result<Vec<Egress>, Trouble> {
        let options = EgressListOptions {
            filter: EgressListFilter::Room(room.as_str().to_owned()),
            ..EgressListOptions::default()
        };
        let listed = self.api.egress().list_egress(options).await;
        Ok(listed
            .map_err(trouble)?
            .into_iter()
            .map(reading::egress)
            .collect())
    }

    async fn probe(&self) -> Result<(), Trouble> {
        self.probe.ask().await
    }
}
