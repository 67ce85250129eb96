//! LiveKit's webhooks, read leniently: names in either spelling, numbers in text, words or numbers for what is an
//! enumeration. What is unknown is left out, never refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use switchhook_core::lenient;
use switchhook_core::models::time::WireTime;

use super::call::Facts;
use super::call_seen::{self, Parties};
use super::livekit::{Egress, JOB_PENDING, Job, JobState, Participant};
use super::recording::Recording;

/// Longest name, id or word that is taken over, in characters.
const MAX_CHARS: usize = 255;
/// Longest text that is taken over, in characters.
const MAX_TEXT_CHARS: usize = 2_000;
const NAMELESS: &str = "unknown";
/// Attributes of a participant that are looked at.
const MAX_ATTRIBUTES: usize = 100;

/// The words of LiveKit's enumerations; a word's place is its number.
const KINDS: [&str; 9] = [
    "STANDARD",
    "INGRESS",
    "EGRESS",
    "SIP",
    "AGENT",
    "",
    "",
    "CONNECTOR",
    "BRIDGE",
];
const STATUSES: [&str; 5] = [
    "JS_PENDING",
    "JS_RUNNING",
    "JS_SUCCESS",
    "JS_FAILED",
    "JS_CANCELLED",
];
const JOB_RUNNING: i32 = 1;
const JOB_SUCCESS: i32 = 2;
const EGRESSES: [&str; 7] = [
    "EGRESS_STARTING",
    "EGRESS_ACTIVE",
    "EGRESS_ENDING",
    "EGRESS_COMPLETE",
    "EGRESS_FAILED",
    "EGRESS_ABORTED",
    "EGRESS_LIMIT_REACHED",
];
const REASONS: [&str; 17] = [
    "UNKNOWN_REASON",
    "CLIENT_INITIATED",
    "DUPLICATE_IDENTITY",
    "SERVER_SHUTDOWN",
    "PARTICIPANT_REMOVED",
    "ROOM_DELETED",
    "STATE_MISMATCH",
    "JOIN_FAILURE",
    "MIGRATION",
    "SIGNAL_CLOSE",
    "ROOM_CLOSED",
    "USER_UNAVAILABLE",
    "USER_REJECTED",
    "SIP_TRUNK_FAILURE",
    "CONNECTION_TIMEOUT",
    "MEDIA_FAILURE",
    "AGENT_ERROR",
];
/// The number of a word that nobody knows here: newer than all.
const UNKNOWN: i32 = -1;

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// LiveKit's id, or the hash of the body where there is none.
    pub(crate) id: String,
    /// Such as `participant_left`.
    pub(crate) name: String,
    /// When it happened: LiveKit says the second, the moment of its arrival may be within.
    pub(crate) at: DateTime<Utc>,
    /// The room's name.
    pub(crate) room: Option<String>,
    /// What it is about.
    pub(crate) subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subject {
    Joined(Participant),
    Left(Participant),
    /// Something else about a participant who is in the room.
    Seen(Participant),
    RoomFinished,
    Job(Job),
    Egress(Egress),
    Other,
}

/// Reads an event. Only what is no object is none.
pub(crate) fn read(body: &Value, raw: &[u8], received_at: DateTime<Utc>) -> Option<Event> {
    let event = body.as_object()?;
    let name = text(event, &["event"]).unwrap_or_else(|| NAMELESS.to_owned());
    let subject = subject(&name, event);
    Some(Event {
        id: text(event, &["id"]).unwrap_or_else(|| format!("sha256:{:x}", Sha256::digest(raw))),
        at: happened_at(moment(event, &["createdAt", "created_at"]), received_at),
        room: room_of(event),
        name,
        subject,
    })
}

/// The second that LiveKit names, refined by the arrival where that is within it.
fn happened_at(created_at: Option<DateTime<Utc>>, received_at: DateTime<Utc>) -> DateTime<Utc> {
    match created_at {
        Some(second) => received_at.clamp(second, second + TimeDelta::milliseconds(999)),
        None => received_at,
    }
}

fn subject(name: &str, event: &Map<String, Value>) -> Subject {
    let participant = || object(event, &["participant"]).map(participant);
    match name {
        "participant_joined" => participant().map_or(Subject::Other, Subject::Joined),
        "participant_left" => participant().map_or(Subject::Other, Subject::Left),
        "track_published" | "track_unpublished" => participant().map_or(Subject::Other, Subject::Seen),
        "room_finished" => Subject::RoomFinished,
        name if name.starts_with("agent_job_") => object(event, &["job"])
            .and_then(|job| self::job(job, least_status(name)))
            .map_or(Subject::Other, Subject::Job),
        name if name.starts_with("egress_") => object(event, &["egressInfo", "egress_info"])
            .and_then(egress)
            .map_or(Subject::Other, Subject::Egress),
        _ => Subject::Other,
    }
}

fn room_of(event: &Map<String, Value>) -> Option<String> {
    let named = |object: &Map<String, Value>| text(object, &["name"]);
    object(event, &["room"])
        .and_then(named)
        .or_else(|| object(object(event, &["job"])?, &["room"]).and_then(named))
        .or_else(|| {
            text(
                object(event, &["egressInfo", "egress_info"])?,
                &["roomName", "room_name"],
            )
        })
}

fn participant(from: &Map<String, Value>) -> Participant {
    let attributes = object(from, &["attributes"]).into_iter().flatten();
    let attributes = attributes.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Participant {
        identity: text(from, &["identity"]).unwrap_or_default(),
        kind: number(from, &["kind"], &KINDS).unwrap_or_default(),
        joined_at: moment(from, &["joinedAtMs", "joined_at_ms", "joinedAt", "joined_at"]),
        attributes: attributes.take(MAX_ATTRIBUTES).collect(),
        disconnect_reason: number(from, &["disconnectReason", "disconnect_reason"], &REASONS)
            .unwrap_or_default(),
    }
}

/// The status that the event of a job tells by its name.
fn least_status(event: &str) -> i32 {
    match event {
        "agent_job_started" => JOB_RUNNING,
        "agent_job_ended" => JOB_SUCCESS,
        _ => JOB_PENDING,
    }
}

/// A job that has an id, and at least this status.
fn job(from: &Map<String, Value>, least: i32) -> Option<Job> {
    let none = Map::new();
    let state = object(from, &["state"]).unwrap_or(&none);
    let status = number(state, &["status"], &STATUSES).unwrap_or_default();
    Some(Job {
        id: text(from, &["id"])?,
        dispatch_id: text(from, &["dispatchId", "dispatch_id"]).unwrap_or_default(),
        room: object(from, &["room"])
            .and_then(|room| text(room, &["name"]))
            .unwrap_or_default(),
        state: JobState {
            status: status.max(least),
            started_at: moment(state, &["startedAt", "started_at"]).map(WireTime),
            ended_at: moment(state, &["endedAt", "ended_at"]).map(WireTime),
            error: text(state, &["error"]).unwrap_or_default(),
        },
    })
}

/// An egress that has an id.
fn egress(from: &Map<String, Value>) -> Option<Egress> {
    let files = from.get("fileResults").or_else(|| from.get("file_results"));
    let file = files
        .and_then(|files| files.get(0)?.as_object())
        .or_else(|| object(from, &["file"]));
    let of_file = |name: &str| text(file?, &[name]);
    Some(Egress {
        id: text(from, &["egressId", "egress_id"])?,
        status: number(from, &["status"], &EGRESSES).unwrap_or_default(),
        error: text(from, &["error"]).unwrap_or_default(),
        started_at: moment(from, &["startedAt", "started_at"]),
        ended_at: moment(from, &["endedAt", "ended_at"]),
        location: of_file("location"),
        filename: of_file("filename"),
    })
}

impl Event {
    /// What the event adds to what is known of a call.
    pub(crate) fn facts(&self, parties: &Parties<'_>) -> Facts {
        match &self.subject {
            Subject::Joined(who) | Subject::Seen(who) if parties.is_callee(who) => {
                call_seen::present(who, self.at)
            }
            Subject::Left(who) if parties.is_callee(who) && !call_seen::moves_on(who) => {
                call_seen::gone(who, self.at)
            }
            Subject::RoomFinished => call_seen::closed(self.at),
            Subject::Job(job) => call_seen::job(job),
            Subject::Egress(egress) => Facts {
                recording: Recording::of(egress),
                ..Facts::default()
            },
            Subject::Joined(_) | Subject::Left(_) | Subject::Seen(_) | Subject::Other => Facts::default(),
        }
    }

    /// What the timeline shows of it.
    pub(crate) fn detail(&self) -> Value {
        match &self.subject {
            Subject::Joined(who) | Subject::Seen(who) => json!({"participant": who.identity}),
            Subject::Left(who) => json!({
                "participant": who.identity,
                "reason": word(who.disconnect_reason, &REASONS),
            }),
            Subject::Job(job) => json!({
                "job_id": job.id,
                "status": word(job.state.status, &STATUSES),
                "error": Some(&job.state.error).filter(|error| !error.is_empty()),
            }),
            Subject::Egress(egress) => json!(Recording::of(egress)),
            Subject::RoomFinished | Subject::Other => json!({}),
        }
    }
}

fn object<'a>(from: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Map<String, Value>> {
    one_of(from, names)?.as_object()
}

fn one_of<'a>(from: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names
        .iter()
        .find_map(|name| from.get(*name))
        .filter(|value| !value.is_null())
}

/// A text that is not empty, without U+0000, cut where it is too long.
fn text(from: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let longest = if names == ["error"] {
        MAX_TEXT_CHARS
    } else {
        MAX_CHARS
    };
    let text: String = one_of(from, names)?
        .as_str()?
        .chars()
        .filter(|c| *c != '\0')
        .take(longest)
        .collect();
    (!text.is_empty()).then_some(text)
}

fn moment(from: &Map<String, Value>, names: &[&str]) -> Option<DateTime<Utc>> {
    lenient::timestamp(one_of(from, names)?).ok()
}

/// The number of an enumeration's value, which may come as a number or as one of these words.
fn number(from: &Map<String, Value>, names: &[&str], words: &[&str]) -> Option<i32> {
    match one_of(from, names)? {
        Value::String(word) => {
            let place = words.iter().position(|known| known == word);
            Some(
                place
                    .and_then(|place| i32::try_from(place).ok())
                    .unwrap_or(UNKNOWN),
            )
        }
        number => i32::try_from(number.as_i64()?).ok(),
    }
}

/// The word of a number, or the number where there is none.
fn word(number: i32, words: &[&str]) -> Value {
    let word = usize::try_from(number).ok().and_then(|place| words.get(place));
    word.map_or(json!(number), |word| json!(word))
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
