//! The steps of a dial: reserve, mark, record. Each is a commit of its own, of one dial or of several that come at once.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::domain::dispatch::Call;
use crate::domain::ids::{CallId, DispatchId};
use crate::domain::livekit::Job;

/// Statements for several dials are planned once, to go by the indexes: whatever the table was when that was done says nothing
/// of what it is.
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off";

/// A dial that is to be reserved.
pub(crate) struct NewDial {
    /// The number and the account: no two of a statement are the same.
    pub(crate) number: String,
    pub(crate) call: Arc<Call>,
    /// Takes the number's window, though the number was dialled a moment ago.
    pub(crate) takes_window: bool,
}

/// Dials that are to be reserved, column by column.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    rooms: Vec<&'a str>,
    holders: Vec<Option<Uuid>>,
    agents: Vec<&'a str>,
    accounts: Vec<&'a str>,
    destinations: Vec<&'a str>,
    digits: Vec<&'a str>,
    metadata: Vec<Json<&'a Map<String, Value>>>,
    options: Vec<Json<&'a Map<String, Value>>>,
    recorded: Vec<bool>,
    keys: Vec<Option<&'a str>>,
    hashes: Vec<Option<&'a [u8]>>,
    created: Vec<DateTime<Utc>>,
    taking: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn of(dials: &'a [NewDial]) -> Self {
        let mut columns = Self::default();
        for NewDial {
            call, takes_window, ..
        } in dials
        {
            columns.ids.push(call.id.0);
            columns.rooms.push(call.room.as_str());
            columns.holders.push(call.holder);
            columns.agents.push(&call.agent_name);
            columns.accounts.push(&call.account_code);
            columns.destinations.push(&call.destination);
            columns.digits.push(&call.digits);
            columns.metadata.push(Json(&call.metadata));
            columns.options.push(Json(&call.session_options));
            columns.recorded.push(call.record_call);
            columns.keys.push(call.idempotency_key.as_deref());
            columns.hashes.push(call.request_hash.as_deref());
            columns.created.push(call.created_at);
            columns.taking.push(*takes_window);
        }
        columns
    }
}

/// Takes the room of each dial, and its key, or where it has none the number's window unless the number was dialled for the
/// account less than `window_s` ago. `false`: key, window or the room's name is taken.
pub(crate) async fn reserve(
    db: impl PgExecutor<'_>,
    dials: &[NewDial],
    window_s: f64,
) -> Result<Vec<bool>, sqlx::Error> {
    let columns = Columns::of(dials);
    // Keys before windows, each in one order: replicas that reserve at the same time wait for each other in that order.
    let reserved = sqlx::query_scalar!(
        r#"WITH new AS (
            SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                $9::jsonb[], $10::boolean[], $11::text[], $12::bytea[], $13::timestamptz[], $14::boolean[])
                AS n(id, room, holder, agent_name, account_code, destination, digits, metadata, session_options, record_call,
                    idempotency_key, request_hash, created_at, takes_window)
        ), keyed AS (
            INSERT INTO dispatch.dispatches (id, room, holder, agent_name, account_code, destination, digits, metadata,
                session_options, record_call, idempotency_key, request_hash, created_at, updated_at)
            SELECT id, room, holder, agent_name, account_code, destination, digits, metadata, session_options, record_call,
                idempotency_key, request_hash, created_at, created_at
            FROM new WHERE idempotency_key IS NOT NULL ORDER BY account_code, idempotency_key
            ON CONFLICT DO NOTHING RETURNING id
        ), guard AS (
            INSERT INTO dispatch.dial_guard AS g (account_code, digits, dispatch, at)
            SELECT account_code, digits, id, now() FROM new
            WHERE idempotency_key IS NULL OR id IN (SELECT id FROM keyed) ORDER BY account_code, digits
            ON CONFLICT (account_code, digits) DO UPDATE SET dispatch = excluded.dispatch, at = excluded.at
            WHERE g.at < now() - make_interval(secs => $15)
                OR (SELECT takes_window FROM new WHERE new.id = excluded.dispatch)
            RETURNING dispatch
        ), plain AS (
            INSERT INTO dispatch.dispatches (id, room, holder, agent_name, account_code, destination, digits, metadata,
                session_options, record_call, created_at, updated_at)
            SELECT id, room, holder, agent_name, account_code, destination, digits, metadata, session_options, record_call,
                created_at, created_at
            FROM new WHERE idempotency_key IS NULL AND id IN (SELECT dispatch FROM guard)
            ON CONFLICT DO NOTHING RETURNING id
        )
        SELECT id AS "id!" FROM plain UNION ALL SELECT id FROM keyed"#,
        &columns.ids as _,
        &columns.rooms as _,
        &columns.holders as _,
        &columns.agents as _,
        &columns.accounts as _,
        &columns.destinations as _,
        &columns.digits as _,
        &columns.metadata as _,
        &columns.options as _,
        &columns.recorded as _,
        &columns.keys as _,
        &columns.hashes as _,
        &columns.created as _,
        &columns.taking as _,
        window_s
    )
    .fetch_all(db)
    .await?;
    Ok(done(&columns.ids, reserved))
}

/// Which of them are among those that were done.
fn done(asked: &[Uuid], done: Vec<Uuid>) -> Vec<bool> {
    let done: HashSet<Uuid> = done.into_iter().collect();
    asked.iter().map(|id| done.contains(id)).collect()
}

/// Notes that CreateDispatch is about to be sent, or sent again. `false`: the dial is not this replica's any more.
pub(crate) async fn mark(db: impl PgExecutor<'_>, id: CallId, holder: Uuid) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query!(
        "UPDATE dispatch.dispatches SET step = 'sending', sending_at = now()
        WHERE id = $1 AND holder = $2 AND step IN ('reserved', 'sending')",
        id.0,
        holder
    );
    Ok(marked.execute(db).await?.rows_affected() == 1)
}

/// The same for several. `false` is also a row that somebody else has locked: nobody waits for it here.
pub(crate) async fn mark_all(pool: &PgPool, ids: &[CallId], holder: Uuid) -> Result<Vec<bool>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut tx = pool.begin_with(BEGIN).await?;
    let marked = sqlx::query_scalar!(
        "WITH own AS (
            SELECT id FROM dispatch.dispatches
            WHERE id = ANY($1) AND holder = $2 AND step IN ('reserved', 'sending') FOR UPDATE SKIP LOCKED
        )
        UPDATE dispatch.dispatches d SET step = 'sending', sending_at = now() FROM own WHERE d.id = own.id RETURNING d.id",
        &ids,
        holder
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done(&ids, marked))
}

/// What LiveKit answered.
pub(crate) struct Record {
    pub(crate) id: CallId,
    pub(crate) dispatch: DispatchId,
    pub(crate) job_id: Option<String>,
    pub(crate) jobs: Vec<Job>,
    /// What the request of the key is answered, where that is known already.
    pub(crate) answer: Option<Value>,
    pub(crate) at: DateTime<Utc>,
}

/// Records a dispatch. `false`: the dial is not this replica's any more.
pub(crate) async fn record(
    db: impl PgExecutor<'_>,
    record: &Record,
    holder: Uuid,
) -> Result<bool, sqlx::Error> {
    let recorded = sqlx::query!(
        "UPDATE dispatch.dispatches SET step = 'placed', dispatch_id = $3, job_id = coalesce($4, job_id),
            jobs = CASE WHEN $4::text IS NULL THEN jobs ELSE $5 END,
            answer = coalesce(answer, $6), updated_at = $7, tx = pg_current_xact_id()
        WHERE id = $1 AND holder = $2 AND step = 'sending'",
        record.id.0,
        holder,
        record.dispatch.as_str(),
        record.job_id,
        Json(&record.jobs) as _,
        record.answer,
        record.at
    );
    Ok(recorded.execute(db).await?.rows_affected() == 1)
}

/// The same for several. `false` is also a row that somebody else has locked: nobody waits for it here.
pub(crate) async fn record_all(
    pool: &PgPool,
    records: &[Arc<Record>],
    holder: Uuid,
) -> Result<Vec<bool>, sqlx::Error> {
    let ids: Vec<Uuid> = records.iter().map(|record| record.id.0).collect();
    let dispatches: Vec<&str> = records.iter().map(|record| record.dispatch.as_str()).collect();
    let job_ids: Vec<Option<&str>> = records.iter().map(|record| record.job_id.as_deref()).collect();
    let jobs: Vec<Json<&[Job]>> = records.iter().map(|record| Json(&record.jobs[..])).collect();
    let answers: Vec<Option<Json<&Value>>> = records
        .iter()
        .map(|record| record.answer.as_ref().map(Json))
        .collect();
    let moments: Vec<DateTime<Utc>> = records.iter().map(|record| record.at).collect();
    let mut tx = pool.begin_with(BEGIN).await?;
    let recorded = sqlx::query_scalar!(
        "WITH own AS (
            SELECT id FROM dispatch.dispatches WHERE id = ANY($1) AND holder = $2 AND step = 'sending' FOR UPDATE SKIP LOCKED
        )
        UPDATE dispatch.dispatches d SET step = 'placed', dispatch_id = r.dispatch_id, job_id = coalesce(r.job_id, d.job_id),
            jobs = CASE WHEN r.job_id IS NULL THEN d.jobs ELSE r.jobs END,
            answer = coalesce(d.answer, r.answer), updated_at = r.at, tx = pg_current_xact_id()
        FROM own JOIN UNNEST($1::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::timestamptz[])
            AS r(id, dispatch_id, job_id, jobs, answer, at) ON r.id = own.id
        WHERE d.id = own.id RETURNING d.id",
        &ids,
        holder,
        &dispatches as _,
        &job_ids as _,
        &jobs as _,
        &answers as _,
        &moments as _
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done(&ids, recorded))
}
