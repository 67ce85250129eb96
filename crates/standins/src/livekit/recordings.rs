//! `livekit.Egress`: recordings from the order to the file.

use std::sync::Arc;

use livekit_protocol as proto;
use proto::EgressStatus;
use proto::egress_info::Request;

use super::plan::RecordingEnding;
use super::token::Grants;
use super::values::{id, now_nanos};
use super::wire::Fault;
use super::world::{Platform, World};

/// Recordings that are remembered.
const MAX_RECORDINGS: usize = 10_000;
/// Bytes of a recorded second.
const BYTES_PER_SECOND: i64 = 16_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// One recording.
pub(super) struct Recording {
    info: proto::EgressInfo,
    ending: RecordingEnding,
    /// Where its file is to be: its path, and its address in the storage.
    file: (String, String),
}

impl Recording {
    fn status(&self) -> EgressStatus {
        self.info.status()
    }

    fn is_open(&self) -> bool {
        matches!(
            self.status(),
            EgressStatus::EgressStarting | EgressStatus::EgressActive | EgressStatus::EgressEnding
        )
    }

    fn is_stoppable(&self) -> bool {
        matches!(
            self.status(),
            EgressStatus::EgressStarting | EgressStatus::EgressActive
        )
    }

    fn set(&mut self, status: EgressStatus) {
        let now = now_nanos();
        self.info.status = status.into();
        self.info.updated_at = now;
        match status {
            EgressStatus::EgressActive => self.info.started_at = now,
            EgressStatus::EgressEnding | EgressStatus::EgressStarting => {}
            _ => self.info.ended_at = now,
        }
        if matches!(
            status,
            EgressStatus::EgressComplete | EgressStatus::EgressLimitReached
        ) {
            let duration = now - self.info.started_at;
            self.info.file_results = vec![proto::FileInfo {
                filename: self.file.0.clone(),
                location: self.file.1.clone(),
                started_at: self.info.started_at,
                ended_at: now,
                duration,
                size: duration / NANOS_PER_SECOND * BYTES_PER_SECOND,
            }];
        }
    }
}

impl World {
    fn recording_mut(&mut self, egress_id: &str) -> Option<&mut Recording> {
        self.recordings
            .iter_mut()
            .find(|one| one.info.egress_id == egress_id)
    }
}

impl Platform {
    fn start_recording(
        self: &Arc<Self>,
        room_name: &str,
        request: Request,
        file: Option<(String, String)>,
    ) -> Result<proto::EgressInfo, Fault> {
        let mut world = self.world();
        let room_id = match world.rooms.get(room_name) {
            Some(room) => room.info.sid.clone(),
            None => return Err(Fault::new("not_found", "requested room does not exist")),
        };
        let file = file
            .ok_or_else(|| Fault::new("invalid_argument", "request has missing or invalid field: output"))?;
        let ending = world.recording.clone();
        if ending == RecordingEnding::Refused {
            return Err(Fault::unheard(std::time::Duration::ZERO));
        }
        let info = proto::EgressInfo {
            egress_id: id("EG_"),
            room_id,
            room_name: room_name.to_owned(),
            status: EgressStatus::EgressStarting.into(),
            updated_at: now_nanos(),
            request: Some(request),
            ..proto::EgressInfo::default()
        };
        if world.recordings.len() >= MAX_RECORDINGS {
            world.recordings.remove(0);
        }
        world.recordings.push(Recording {
            info: info.clone(),
            ending,
            file,
        });
        drop(world);
        self.tell_recording("egress_started", info.clone());
        let egress_id = info.egress_id.clone();
        self.later(self.options.recording_starts, move |platform| {
            platform.begin(egress_id)
        });
        Ok(info)
    }

    fn tell_recording(&self, event: &str, info: proto::EgressInfo) {
        let key = info.egress_id.clone();
        let told = proto::WebhookEvent {
            event: event.to_owned(),
            egress_info: Some(info),
            ..proto::WebhookEvent::default()
        };
        self.webhooks.notify(&key, told);
    }

    /// It runs from here on, unless it was stopped or never starts.
    fn begin(self: &Arc<Self>, egress_id: String) {
        let mut world = self.world();
        let found = world.recording_mut(&egress_id);
        let Some(recording) = found.filter(|one| one.status() == EgressStatus::EgressStarting) else {
            return;
        };
        let ending = recording.ending.clone();
        if ending == RecordingEnding::NeverStarts {
            return;
        }
        recording.set(EgressStatus::EgressActive);
        let info = recording.info.clone();
        drop(world);
        self.tell_recording("egress_updated", info);
        let after = self.options.recording_starts;
        match ending {
            RecordingEnding::Fails(words) => self.later(after, move |platform| {
                platform.finish(&egress_id, EgressStatus::EgressFailed, &words);
            }),
            RecordingEnding::LimitReached => self.later(after, move |platform| {
                platform.finish(&egress_id, EgressStatus::EgressLimitReached, "");
            }),
            _ => {}
        }
    }

    fn finish(&self, egress_id: &str, status: EgressStatus, error: &str) {
        let mut world = self.world();
        let Some(recording) = world.recording_mut(egress_id).filter(|one| one.is_open()) else {
            return;
        };
        recording.set(status);
        recording.info.error = error.to_owned();
        let info = recording.info.clone();
        drop(world);
        self.tell_recording("egress_ended", info);
    }

    /// It is asked to end.
    fn wind_up(self: &Arc<Self>, egress_id: &str) -> Result<proto::EgressInfo, Fault> {
        let mut world = self.world();
        let recording = world.recording_mut(egress_id);
        let recording = recording.ok_or_else(|| Fault::new("not_found", "egress does not exist"))?;
        if !recording.is_stoppable() {
            let status = recording.status().as_str_name();
            return Err(Fault::new(
                "failed_precondition",
                format!("egress with status {status} cannot be stopped"),
            ));
        }
        let started = recording.status() == EgressStatus::EgressActive;
        recording.set(EgressStatus::EgressEnding);
        let info = recording.info.clone();
        drop(world);
        self.tell_recording("egress_updated", info.clone());
        let egress_id = egress_id.to_owned();
        self.later(self.options.recording_starts, move |platform| {
            if started {
                platform.finish(&egress_id, EgressStatus::EgressComplete, "");
            } else {
                platform.finish(
                    &egress_id,
                    EgressStatus::EgressAborted,
                    "Start signal not received",
                );
            }
        });
        Ok(info)
    }

    /// The recordings of a room that is gone come to their end.
    pub(super) fn end_recordings(self: &Arc<Self>, room: &str) {
        let open: Vec<String> = {
            let world = self.world();
            let of_room = world.recordings.iter().filter(|one| one.info.room_name == room);
            let open = of_room.filter(|one| one.is_stoppable());
            open.map(|one| one.info.egress_id.clone()).collect()
        };
        for egress_id in open {
            // It may have ended by itself just now.
            let _ = self.wind_up(&egress_id);
        }
    }
}

/// The path with what LiveKit puts into it.
fn path_of(template: &str, room: &str) -> String {
    let now = now_nanos().to_string();
    template.replace("{room_name}", room).replace("{time}", &now)
}

fn s3(upload: &mut proto::S3Upload, path: &str) -> String {
    hide(&mut upload.access_key, "{access_key}");
    hide(&mut upload.secret, "{secret}");
    match upload.endpoint.as_str() {
        "" => format!("https://{}.s3.amazonaws.com/{path}", upload.bucket),
        endpoint => format!("{}/{}/{path}", endpoint.trim_end_matches('/'), upload.bucket),
    }
}

fn gcp(upload: &mut proto::GcpUpload, path: &str) -> String {
    hide(&mut upload.credentials, "{credentials}");
    format!("https://{}.storage.googleapis.com/{path}", upload.bucket)
}

fn azure(upload: &mut proto::AzureBlobUpload, path: &str) -> String {
    hide(&mut upload.account_key, "{account_key}");
    let (account, container) = (&upload.account_name, &upload.container_name);
    format!("https://{account}.blob.core.windows.net/{container}/{path}")
}

/// LiveKit tells no secret back.
fn hide(secret: &mut String, name: &str) {
    if !secret.is_empty() {
        name.clone_into(secret);
    }
}

fn composite_file(request: &mut proto::RoomCompositeEgressRequest) -> Option<(String, String)> {
    use proto::encoded_file_output::Output;
    let room = request.room_name.clone();
    let file = request.file_outputs.first_mut()?;
    let path = path_of(&file.filepath, &room);
    let location = match &mut file.output {
        Some(Output::S3(upload)) => s3(upload, &path),
        Some(Output::Gcp(upload)) => gcp(upload, &path),
        Some(Output::Azure(upload)) => azure(upload, &path),
        _ => path.clone(),
    };
    Some((path, location))
}

fn unified_file(request: &mut proto::StartEgressRequest) -> Option<(String, String)> {
    use proto::{output::Config, storage_config::Provider};
    let room = request.room_name.clone();
    let output = request.outputs.first_mut()?;
    let Some(Config::File(file)) = &output.config else {
        return None;
    };
    let path = path_of(&file.filepath, &room);
    let storage = output.storage.as_mut().or(request.storage.as_mut());
    let location = match storage.and_then(|storage| storage.provider.as_mut()) {
        Some(Provider::S3(upload)) => s3(upload, &path),
        Some(Provider::Gcp(upload)) => gcp(upload, &path),
        Some(Provider::Azure(upload)) => azure(upload, &path),
        _ => path.clone(),
    };
    Some((path, location))
}

pub(super) async fn start_room_composite(
    platform: &Arc<Platform>,
    grants: &Grants,
    mut request: proto::RoomCompositeEgressRequest,
) -> Result<proto::EgressInfo, Fault> {
    grants.record()?;
    let file = composite_file(&mut request);
    let room = request.room_name.clone();
    platform.start_recording(&room, Request::RoomComposite(request), file)
}

pub(super) async fn start(
    platform: &Arc<Platform>,
    grants: &Grants,
    mut request: proto::StartEgressRequest,
) -> Result<proto::EgressInfo, Fault> {
    grants.record()?;
    let file = unified_file(&mut request);
    let room = request.room_name.clone();
    platform.start_recording(&room, Request::Egress(request), file)
}

pub(super) async fn list(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::ListEgressRequest,
) -> Result<proto::ListEgressResponse, Fault> {
    grants.record()?;
    let world = platform.world();
    let wanted = |one: &&Recording| {
        (request.room_name.is_empty() || one.info.room_name == request.room_name)
            && (request.egress_id.is_empty() || one.info.egress_id == request.egress_id)
            && (!request.active || one.is_open())
    };
    let items = world.recordings.iter().filter(wanted);
    Ok(proto::ListEgressResponse {
        items: items.map(|one| one.info.clone()).collect(),
        next_page_token: None,
    })
}

pub(super) async fn stop(
    platform: &Arc<Platform>,
    grants: &Grants,
    request: proto::StopEgressRequest,
) -> Result<proto::EgressInfo, Fault> {
    grants.record()?;
    platform.wind_up(&request.egress_id)
}
