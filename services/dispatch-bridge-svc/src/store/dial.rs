//! Dials beside their steps: found by key or number, ended where they came to nothing, taken over where a crash left them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::rows::{CallRow, calls, select_calls};
use crate::domain::dispatch::{Call, EndReason, Step};
use crate::domain::ids::CallId;
use switchhook_chassis::replicas::DEAD_AFTER_S;

/// The call of a key.
pub(crate) async fn of_key(
    db: impl PgExecutor<'_>,
    account: &str,
    key: &str,
) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!("WHERE account_code = $1 AND idempotency_key = $2", account, key);
    row.fetch_optional(db).await?.map(CallRow::into_call).transpose()
}

/// The call that holds the window of a number.
pub(crate) async fn of_window(
    db: impl PgExecutor<'_>,
    account: &str,
    digits: &str,
) -> Result<Option<Call>, sqlx::Error> {
    let row = select_calls!(
        "WHERE id = (SELECT dispatch FROM dispatch.dial_guard WHERE account_code = $1 AND digits = $2)",
        account,
        digits
    );
    row.fetch_optional(db).await?.map(CallRow::into_call).transpose()
}

/// Why a dial came to nothing.
pub(crate) struct Failing<'a> {
    pub(crate) reason: Option<EndReason>,
    pub(crate) message: &'a str,
    pub(crate) at: DateTime<Utc>,
}

/// Ends a dial that certainly did not happen, and has come as far as is said: key and window are free. `false`: it is not this
/// replica's any more, or has gone on.
pub(crate) async fn free(
    conn: &mut PgConnection,
    id: CallId,
    holder: Uuid,
    step: Step,
    failing: &Failing<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE dispatch.dispatches SET step = 'unsent', status = 'failed', end_reason = $3, message = $4, holder = NULL,
            idempotency_key = NULL, request_hash = NULL, answer = NULL, updated_at = $5, tx = pg_current_xact_id()
        WHERE id = $1 AND holder = $2 AND step = $6",
        id.0,
        holder,
        failing.reason.map(EndReason::word),
        failing.message,
        failing.at,
        step.word()
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 1 {
        free_window(conn, id).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Gives up the window of a number; another call that may still count gets it.
pub(crate) async fn free_window(conn: &mut PgConnection, id: CallId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM dispatch.dial_guard WHERE dispatch = $1", id.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO dispatch.dial_guard (account_code, digits, dispatch, at)
        SELECT other.account_code, other.digits, other.id, other.created_at
        FROM dispatch.dispatches own JOIN dispatch.dispatches other
            ON other.account_code = own.account_code AND other.digits = own.digits AND other.id <> own.id
        WHERE own.id = $1 AND other.step <> 'unsent' AND other.status <> 'no_worker'
        ORDER BY other.created_at DESC LIMIT 1
        ON CONFLICT DO NOTHING",
        id.0
    )
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Ends a dial that may have happened: nobody can tell, and nothing is sent again. `false`: it is not this replica's any
/// more.
pub(crate) async fn give_up(
    conn: &mut PgConnection,
    id: CallId,
    holder: Uuid,
    failing: &Failing<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE dispatch.dispatches SET step = 'unknown', status = 'failed', end_reason = $3, message = $4,
            holder = NULL, updated_at = $5, tx = pg_current_xact_id()
        WHERE id = $1 AND holder = $2 AND step = 'sending'",
        id.0,
        holder,
        failing.reason.map(EndReason::word),
        failing.message,
        failing.at
    );
    Ok(done.execute(conn).await?.rows_affected() == 1)
}

/// Who claims what a crash left.
pub(crate) struct Claimant<'a> {
    pub(crate) replica: Uuid,
    /// Whether it may call other replicas dead.
    pub(crate) may_judge: bool,
    /// The dials that it has in hand.
    pub(crate) in_hand: &'a [Uuid],
}

/// Takes dials that nobody holds any more: `only` that one, or the oldest ones.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    claimant: &Claimant<'_>,
    only: Option<CallId>,
    limit: i64,
) -> Result<Vec<Call>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        "UPDATE dispatch.dispatches SET holder = $1 WHERE id IN (
            SELECT d.id FROM dispatch.dispatches d
            WHERE d.dispatch_id IS NULL AND d.status = 'dispatched' AND d.step IN ('reserved', 'sending')
                AND ($5::uuid IS NULL OR d.id = $5) AND (
                d.holder IS NULL
                OR (d.holder = $1 AND NOT d.id = ANY($3))
                OR ($2 AND d.holder <> $1 AND NOT EXISTS (SELECT FROM dispatch.replicas r
                    WHERE r.id = d.holder AND r.beat_at > now() - make_interval(secs => $4))))
            ORDER BY d.created_at LIMIT $6 FOR UPDATE SKIP LOCKED)
        RETURNING id",
        claimant.replica,
        claimant.may_judge,
        claimant.in_hand,
        DEAD_AFTER_S,
        only.map(|id| id.0),
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    calls(
        select_calls!("WHERE id = ANY($1) ORDER BY created_at", &ids)
            .fetch_all(conn)
            .await?,
    )
}

/// Lets go of a dial, for whoever comes next.
pub(crate) async fn release(db: impl PgExecutor<'_>, id: CallId, holder: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE dispatch.dispatches SET holder = NULL
        WHERE id = $1 AND holder = $2 AND step IN ('reserved', 'sending')",
        id.0,
        holder
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Seconds since CreateDispatch was about to be sent, by the database's clock.
pub(crate) async fn age_s(db: impl PgExecutor<'_>, id: CallId) -> Result<i64, sqlx::Error> {
    let age = sqlx::query_scalar!(
        r#"SELECT floor(extract(epoch FROM now() - coalesce(sending_at, now())))::bigint AS "age!"
        FROM dispatch.dispatches WHERE id = $1"#,
        id.0
    );
    age.fetch_one(db).await
}

/// Records what the request of a key is answered; the first answer stays, and is given.
pub(crate) async fn record_answer(
    db: impl PgExecutor<'_>,
    id: CallId,
    answer: &Value,
) -> Result<Option<Value>, sqlx::Error> {
    let first = sqlx::query_scalar!(
        r#"UPDATE dispatch.dispatches SET answer = coalesce(answer, $2)
        WHERE id = $1 AND idempotency_key IS NOT NULL RETURNING answer AS "answer!""#,
        id.0,
        answer
    );
    first.fetch_optional(db).await
}
