//! How calls are stored, and how a row becomes what the domain knows.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::dispatch::{Call, EndReason, Status, Step};
use crate::domain::ids::{CallId, DispatchId, Room};
use crate::domain::livekit::Job;

/// A call as it is stored.
#[derive(Debug)]
pub(crate) struct CallRow {
    pub(crate) id: Uuid,
    pub(crate) room: String,
    pub(crate) step: String,
    pub(crate) status: String,
    pub(crate) holder: Option<Uuid>,
    pub(crate) sending_at: Option<DateTime<Utc>>,
    pub(crate) dispatch_id: Option<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) jobs: Json<Vec<Job>>,
    pub(crate) agent_name: String,
    pub(crate) account_code: String,
    pub(crate) destination: String,
    pub(crate) digits: String,
    pub(crate) metadata: Json<Map<String, Value>>,
    pub(crate) session_options: Json<Map<String, Value>>,
    pub(crate) record_call: bool,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) request_hash: Option<Vec<u8>>,
    pub(crate) answer: Option<Value>,
    pub(crate) call_start: Option<DateTime<Utc>>,
    pub(crate) call_end: Option<DateTime<Utc>>,
    pub(crate) end_reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) warning: Option<String>,
    pub(crate) recording: Option<Value>,
    pub(crate) observed: Value,
    pub(crate) cancel_at: Option<DateTime<Utc>>,
    pub(crate) result_delivery: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) revision: i64,
}

/// Selects whole calls.
macro_rules! select_calls {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            crate::store::rows::CallRow,
            r#"SELECT id, room, step, status, holder, sending_at, dispatch_id, job_id, jobs AS "jobs!: _", agent_name,
                account_code, destination, digits, metadata AS "metadata!: _", session_options AS "session_options!: _",
                record_call, idempotency_key, request_hash, answer, call_start, call_end, end_reason, message, warning,
                recording, observed, cancel_at, result_delivery, created_at, updated_at, tx::text::bigint AS "revision!"
            FROM dispatch.dispatches "# + $tail
            $(, $argument)*
        )
    };
}
pub(crate) use select_calls;

impl CallRow {
    /// The call as the domain knows it.
    pub(crate) fn into_call(self) -> Result<Call, sqlx::Error> {
        let reason = self
            .end_reason
            .map(|word| EndReason::of(&word).ok_or_else(|| corrupt("end_reason")));
        let dispatch = self
            .dispatch_id
            .map(|id| DispatchId::parse(id).ok_or_else(|| corrupt("dispatch_id")));
        Ok(Call {
            id: CallId(self.id),
            room: Room::parse(&self.room).ok_or_else(|| corrupt("room"))?,
            step: Step::of(&self.step).ok_or_else(|| corrupt("step"))?,
            status: Status::of(&self.status).ok_or_else(|| corrupt("status"))?,
            holder: self.holder,
            sending_at: self.sending_at,
            dispatch_id: dispatch.transpose()?,
            job_id: self.job_id,
            jobs: self.jobs.0,
            agent_name: self.agent_name,
            account_code: self.account_code,
            destination: self.destination,
            digits: self.digits,
            metadata: self.metadata.0,
            session_options: self.session_options.0,
            record_call: self.record_call,
            idempotency_key: self.idempotency_key,
            request_hash: self.request_hash,
            answer: self.answer,
            call_start: self.call_start,
            call_end: self.call_end,
            end_reason: reason.transpose()?,
            message: self.message,
            warning: self.warning,
            recording: self.recording,
            observed: self.observed,
            cancel_at: self.cancel_at,
            result_delivery: self.result_delivery,
            created_at: self.created_at,
            updated_at: self.updated_at,
            revision: self.revision,
        })
    }
}

/// All of them, or the first that cannot be read.
pub(crate) fn calls(rows: Vec<CallRow>) -> Result<Vec<Call>, sqlx::Error> {
    rows.into_iter().map(CallRow::into_call).collect()
}

/// A value that this service never writes.
pub(crate) fn corrupt(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the column {column} holds what this service never writes").into())
}
