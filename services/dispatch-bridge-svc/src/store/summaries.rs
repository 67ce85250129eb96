//! What agents report at the end of calls, as it came.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::ids::CallId;
use crate::domain::summary::CallNames;

/// Largest report that is shown with its call, in bytes.
const SHOWN_BYTES: i32 = 1024 * 1024;

/// A report to be kept.
pub(crate) struct NewSummary<'a> {
    pub(crate) id: Uuid,
    /// The call, where there is one that it names.
    pub(crate) call: Option<CallId>,
    pub(crate) names: &'a CallNames,
    pub(crate) hash: &'a [u8],
    pub(crate) report: &'a [u8],
    pub(crate) at: DateTime<Utc>,
}

/// Keeps a report. `false`: it is kept already.
pub(crate) async fn insert(conn: &mut PgConnection, new: &NewSummary<'_>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO dispatch.summaries (id, dispatch, dispatch_id, room, job_id, hash, report, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (hash) DO NOTHING",
        new.id,
        new.call.map(|call| call.0),
        new.names.dispatch_id,
        new.names.room,
        new.names.job_id,
        new.hash,
        new.report,
        new.at
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The call that a report is about, by whatever it names, and all names of that call. Locked against its removal.
pub(crate) async fn named(
    conn: &mut PgConnection,
    names: &CallNames,
) -> Result<Option<(CallId, CallNames)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, dispatch_id, room, job_id FROM dispatch.dispatches
        WHERE dispatch_id = $1 OR room = $2 OR job_id = $3
        ORDER BY dispatch_id = $1 DESC NULLS LAST, room = $2 DESC NULLS LAST LIMIT 1 FOR KEY SHARE",
        names.dispatch_id,
        names.room,
        names.job_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let names = CallNames {
            dispatch_id: row.dispatch_id,
            room: Some(row.room),
            job_id: row.job_id,
        };
        (CallId(row.id), names)
    }))
}

/// The last report of a call, as it came; nothing where there is none, or where it is too large to be shown.
pub(crate) async fn shown_of(conn: &mut PgConnection, call: CallId) -> Result<Option<Value>, sqlx::Error> {
    let report = sqlx::query_scalar!(
        r#"SELECT CASE WHEN length(report) <= $2 THEN report END AS "report" FROM dispatch.summaries
        WHERE dispatch = $1 ORDER BY created_at DESC, id DESC LIMIT 1"#,
        call.0,
        SHOWN_BYTES
    )
    .fetch_optional(conn)
    .await?;
    Ok(report
        .flatten()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
