//! A call as it is shown: in the answer to its dial, in lists, streams and results.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

use super::dispatch::{Call, EndReason, Status, Step};
use super::livekit::Job;
use super::trouble::hint;

/// A dispatch and its call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ShownDispatch {
    /// LiveKit's id; null where there is none.
    #[schema(examples("AD_abc123"))]
    pub dispatch_id: Option<String>,
    /// The job of the worker that took it.
    #[schema(examples("AJ_def456"))]
    pub job_id: Option<String>,
    /// The room.
    #[schema(examples("outbound-9f1a2b3c4d"))]
    pub room: String,
    /// The agent.
    #[schema(examples("nehos-outbound-agent"))]
    pub agent_name: String,
    /// The given fields and the caller's own keys.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Normalised.
    #[schema(value_type = Object)]
    pub session_options: Map<String, Value>,
    /// Whether it is to be recorded.
    pub record_call: bool,
    /// How it stands.
    pub status: Status,
    /// When it was answered.
    #[schema(required = true)]
    pub call_start: Option<WireTime>,
    /// When somebody hung up.
    #[schema(required = true)]
    pub call_end: Option<WireTime>,
    /// The difference, with three decimals.
    #[schema(required = true)]
    pub call_duration_seconds: Option<f64>,
    /// Why it is over.
    #[schema(required = true)]
    pub end_reason: Option<EndReason>,
    /// The carrier's words, or ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// What to know besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// LiveKit's id of the recording.
    #[schema(required = true)]
    pub egress_id: Option<String>,
    /// The recording: its state, where its file is, what went wrong.
    #[schema(value_type = Option<Object>, required = true)]
    pub recording: Option<Value>,
    /// What LiveKit says.
    pub state: ShownState,
    /// When it was asked for.
    pub created_at: WireTime,
    /// Of the last change.
    pub updated_at: WireTime,
}

/// What LiveKit says of a dispatch.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ShownState {
    /// The jobs that workers took.
    pub jobs: Vec<Job>,
}

impl ShownDispatch {
    /// A call as it stands.
    pub fn of(call: Call) -> Self {
        let duration = call.call_start.zip(call.call_end).map(seconds);
        let hint = call.message.as_deref().and_then(hint);
        let egress = call.recording.as_ref().and_then(|shown| shown.get("egress_id"));
        Self {
            egress_id: egress.and_then(Value::as_str).map(str::to_owned),
            dispatch_id: call.dispatch_id.map(|id| id.as_str().to_owned()),
            job_id: call.job_id,
            room: call.room.as_str().to_owned(),
            agent_name: call.agent_name,
            metadata: call.metadata,
            session_options: call.session_options,
            record_call: call.record_call,
            status: call.status,
            call_start: call.call_start.map(WireTime),
            call_end: call.call_end.map(WireTime),
            call_duration_seconds: duration,
            end_reason: call.end_reason,
            message: call.message,
            hint,
            warning: call.warning,
            recording: call.recording,
            state: ShownState { jobs: call.jobs },
            created_at: WireTime(call.created_at),
            updated_at: WireTime(call.updated_at),
        }
    }
}

/// Seconds between two moments, with three decimals.
fn seconds((from, to): (DateTime<Utc>, DateTime<Utc>)) -> f64 {
    // Of the moments as they are shown.
    (to.timestamp_millis() - from.timestamp_millis()).max(0) as f64 / 1e3
}

impl Call {
    /// Whether there is anything to show: a dial that is still on its way has neither succeeded nor failed.
    pub fn is_shown(&self) -> bool {
        !matches!(self.step, Step::Reserved | Step::Sending)
    }
}
