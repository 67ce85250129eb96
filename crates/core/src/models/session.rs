//! The wire models of `session-svc`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::WireTime;
use crate::ids::SessionId;

/// Highest count a report may carry.
pub const MAX_CALLS_MADE: i32 = 1_000_000;

/// Whether calls may still be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The workflow may dial.
    Active,
    /// Over, for the reason given.
    Stopped,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// n8n reported `finished` or `completed`.
    Completed,
    /// The user pressed Stop.
    StoppedByUser,
    /// n8n reported `failed` or `error`, or the start could not be delivered.
    Failed,
    /// Nobody completed it within `SESSION_MAX_DURATION`.
    Expired,
}

/// Where the start webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Unsent, or being retried.
    Pending,
    /// Written to n8n, no answer yet.
    Waiting,
    /// n8n has it.
    Delivered,
    /// Nobody can tell whether n8n has it.
    Unknown,
    /// Refused, failed or given up.
    Failed,
    /// Stopped before it was sent.
    Cancelled,
}

/// The last thing that went wrong on the way to n8n.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryError {
    /// Stable snake_case word, such as `n8n_unreachable`.
    pub code: String,
    /// Sentence for the user.
    pub message: String,
}

/// How the start webhook fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Where it is.
    pub state: DeliveryState,
    /// `answer_lost` where n8n is evidently working and its answer will not come.
    pub detail: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next, while it is pending.
    pub next_attempt_at: Option<WireTime>,
    /// The last failure.
    pub last_error: Option<DeliveryError>,
}

/// An AI calling session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// UUID v7.
    #[schema(value_type = String, format = Uuid)]
    pub id: SessionId,
    /// The `sub` claim of the user.
    pub user_id: String,
    /// The user's address, where his token has one.
    pub user_email: Option<String>,
    /// Active or stopped.
    pub status: SessionStatus,
    /// Why it is over; null while it is active.
    pub stop_reason: Option<StopReason>,
    /// Calls the user allows in a day, 1..=`MAX_DAILY_CALL_LIMIT`.
    pub daily_call_limit: i32,
    /// Calls of this session.
    pub calls_made: i32,
    /// Calls of all of the user's sessions today.
    pub calls_made_today: i64,
    /// What the workflow said at its end.
    pub message: Option<String>,
    /// When the user started it.
    pub started_at: WireTime,
    /// When it ended.
    pub stopped_at: Option<WireTime>,
    /// How the start webhook fares.
    pub delivery: Delivery,
}

/// What n8n is told when a session starts: exactly these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartWebhook {
    /// The `sub` claim of the user.
    pub user_id: String,
    /// The user's address, null where unknown.
    pub user_email: Option<String>,
    /// The session to report to.
    pub session_id: SessionId,
    /// Calls the user allows in a day.
    pub daily_call_limit: i32,
    /// Calls already made today.
    pub calls_made_today: i64,
    /// Always `active`.
    pub session_status: SessionStatus,
    /// When the session started.
    pub started_at: WireTime,
    /// When this was written.
    pub timestamp: WireTime,
}
