//! What LiveKit says, in our words: dispatches with their jobs, participants, recordings.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchhook_core::lenient;
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

use super::ids::DispatchId;

/// A dispatch as LiveKit lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Its id.
    pub id: DispatchId,
    /// The agent.
    pub agent_name: String,
    /// When it was made, where LiveKit tells.
    pub created_at: Option<DateTime<Utc>>,
    /// Its jobs.
    pub jobs: Vec<Job>,
}

/// A job: a worker's part in a dispatch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    #[schema(examples("AJ_def456"))]
    pub id: String,
    /// The dispatch.
    #[schema(examples("AD_abc123"))]
    pub dispatch_id: String,
    /// The room.
    #[schema(examples("outbound-9f1a2b3c4d"))]
    pub room: String,
    /// How it stands.
    pub state: JobState,
}

/// The status of a job that waits for a worker, and of one that was called off.
pub(crate) const JOB_PENDING: i32 = 0;
const JOB_CANCELLED: i32 = 4;

impl Job {
    /// Whether a worker has it, or had it. One that is pending may never have one.
    pub fn is_taken(&self) -> bool {
        let waited = matches!(self.state.status, JOB_PENDING | JOB_CANCELLED);
        !waited || self.state.started_at.is_some()
    }
}

/// The id of the first job that a worker has.
pub fn taken(jobs: &[Job]) -> Option<&str> {
    jobs.iter().find(|job| job.is_taken()).map(|job| job.id.as_str())
}

/// How a job stands, by LiveKit's numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobState {
    /// 0 pending, 1 running, 2 success, 3 failed, 4 cancelled; newer servers may know more.
    pub status: i32,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<WireTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<WireTime>,
    /// What broke it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    /// Who.
    pub identity: String,
    /// LiveKit's number of the kind: 0 standard, 3 SIP, 4 agent.
    pub kind: i32,
    /// When he joined, where LiveKit tells.
    pub joined_at: Option<DateTime<Utc>>,
    /// Attributes, such as `sip.callStatus`.
    pub attributes: BTreeMap<String, String>,
    /// LiveKit's number of why he left; 0 where he has not.
    pub disconnect_reason: i32,
}

/// The kind of a participant who is on the telephone.
pub const KIND_SIP: i32 = 3;

/// A recording as LiveKit lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Egress {
    /// Its id.
    pub id: String,
    /// LiveKit's number: 0 starting, 1 active, 2 ending, 3 complete, 4 failed, 5 aborted, 6 limit reached.
    pub status: i32,
    /// What went wrong.
    pub error: String,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Where the file is.
    pub location: Option<String>,
    /// Its name in the bucket.
    pub filename: Option<String>,
}

/// A moment of LiveKit's, whose unit depends on where it comes from; zero is none.
pub fn moment(stamp: i64) -> Option<DateTime<Utc>> {
    lenient::timestamp(&Value::from(stamp)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_in_any_unit_and_zero_is_none() {
        let at = DateTime::from_timestamp(1_761_634_168, 0);
        assert_eq!(moment(1_761_634_168), at);
        assert_eq!(moment(1_761_634_168_000_000_000), at);
        assert_eq!(moment(0), None);
    }

    #[test]
    fn a_job_that_is_pending_has_no_worker() {
        let job = |id: &str, status: i32, started_at: Option<i64>| Job {
            id: id.into(),
            dispatch_id: "AD_1".into(),
            room: "outbound-9f1a2b3c4d".into(),
            state: JobState {
                status,
                started_at: started_at.and_then(moment).map(WireTime),
                ..JobState::default()
            },
        };
        let pending = job("AJ_1", 0, None);
        assert_eq!(taken(&[job("AJ_1", 4, None)]), None);
        assert_eq!(taken(&[]), None);
        assert_eq!(taken(std::slice::from_ref(&pending)), None);
        for status in [1, 2, 3, 9] {
            assert_eq!(taken(&[pending.clone(), job("AJ_2", status, None)]), Some("AJ_2"));
        }
        for status in [0, 4] {
            assert_eq!(taken(&[job("AJ_3", status, Some(1_761_634_168))]), Some("AJ_3"));
        }
    }

    #[test]
    fn a_job_is_shown_as_the_answer_documents_it() {
        let job = Job {
            id: "AJ_def456".into(),
            dispatch_id: "AD_abc123".into(),
            room: "outbound-9f1a2b3c4d".into(),
            state: JobState {
                status: 1,
                started_at: moment(1_761_634_168_000_000_000).map(WireTime),
                ..JobState::default()
            },
        };
        let shown = serde_json::json!({"id": "AJ_def456", "dispatch_id": "AD_abc123", "room": "outbound-9f1a2b3c4d",
            "state": {"status": 1, "started_at": "2025-10-28T06:49:28.000Z"}});
        assert_eq!(serde_json::to_value(&job).unwrap(), shown);
        assert_eq!(serde_json::from_value::<Job>(shown).unwrap(), job);
    }
}
