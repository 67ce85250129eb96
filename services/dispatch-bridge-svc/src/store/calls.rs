//! Calls: read, locked, written, listed.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::rows::{CallRow, calls, select_calls};
use crate::domain::dispatch::{Call, EndReason, Status};
use crate::domain::history::Cursor;
use crate::domain::ids::{CallId, DispatchId};
use crate::domain::livekit::Job;

/// A call.
pub(crate) async fn get(db: impl PgExecutor<'_>, id: CallId) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE id = $1", id.0);
    row.fetch_optional(db).await?.map(CallRow::into_call).transpose()
}

/// The call of a dispatch.
pub(crate) async fn of_dispatch(
    db: impl PgExecutor<'_>,
    id: &DispatchId,
) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE dispatch_id = $1", id.as_str());
    row.fetch_optional(db).await?.map(CallRow::into_call).transpose()
}

/// Locks a call.
pub(crate) async fn lock(conn: &mut PgConnection, id: CallId) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE id = $1 FOR UPDATE", id.0);
    row.fetch_optional(conn)
        .await?
        .map(CallRow::into_call)
        .transpose()
}

/// Locks the call of a dispatch.
pub(crate) async fn lock_dispatch(
    conn: &mut PgConnection,
    id: &DispatchId,
) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE dispatch_id = $1 FOR UPDATE", id.as_str());
    row.fetch_optional(conn)
        .await?
        .map(CallRow::into_call)
        .transpose()
}

/// Writes what can be seen of a locked call, and what following remembers. Streams learn of it.
pub(crate) async fn save(
    conn: &mut PgConnection,
    call: &Call,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET status = $2, job_id = $3, jobs = $4, call_start = $5, call_end = $6,
            end_reason = $7, message = $8, warning = $9, recording = $10, observed = $11, result_delivery = $12,
            cancel_at = $13, holder = $14, updated_at = $15, tx = pg_current_xact_id()
        WHERE id = $1",
        call.id.0,
        call.status.word(),
        call.job_id,
        Json(&call.jobs) as _,
        call.call_start,
        call.call_end,
        call.end_reason.map(EndReason::word),
        call.message,
        call.warning,
        call.recording,
        call.observed,
        call.result_delivery,
        call.cancel_at,
        call.holder,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the jobs of a dispatch that no worker had, and which of them one has.
pub(crate) async fn take_jobs(
    db: impl PgExecutor<'_>,
    id: CallId,
    job: &str,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE dispatch.dispatches SET job_id = $2, jobs = $3, updated_at = $4, tx = pg_current_xact_id()
        WHERE id = $1 AND job_id IS NULL",
        id.0,
        job,
        Json(jobs) as _,
        now
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Frees the key of a locked call.
pub(crate) async fn free_key(conn: &mut PgConnection, id: CallId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET idempotency_key = NULL, request_hash = NULL, answer = NULL WHERE id = $1",
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The present revision of each call that exists.
pub(crate) async fn revisions(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT id::text AS "id!", tx::text::bigint AS "revision!" FROM dispatch.dispatches WHERE id = ANY($1)"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.revision)).collect())
}

/// Calls as a list asks for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) account: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) after: Option<Cursor>,
}

/// Calls that are shown, newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    asked: &Asked,
    limit: i64,
) -> Result<Vec<Call>, sqlx::Error> {
    let after = asked.after.as_ref();
    let rows = select_calls!(
        "WHERE step NOT IN ('reserved', 'sending') AND ($1::text IS NULL OR account_code = $1)
            AND ($2::text IS NULL OR status = $2)
            AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
        ORDER BY created_at DESC, id DESC LIMIT $5",
        asked.account,
        asked.status.map(Status::word),
        after.map(|cursor| cursor.created_at),
        after.map(|cursor| cursor.id.0),
        limit
    );
    calls(rows.fetch_all(conn).await?)
}
