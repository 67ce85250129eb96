//! Erasing a person's data: everything about a number, and knowing its calls again for a while without keeping their ids.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgExecutor};

use crate::domain::summary;

/// Erases all calls to a number, or of an account, with what belongs to them, and leaves tombstones. Gives the number of
/// calls.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    account: &str,
    digits: Option<&str>,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    // Takes as long as the person's data is large; the limit is for requests.
    sqlx::query!("SET LOCAL statement_timeout = 0")
        .execute(&mut *conn)
        .await?;
    let rows = sqlx::query!(
        "SELECT id, room, dispatch_id, job_id FROM dispatch.dispatches WHERE account_code = $1 OR digits = $2
        ORDER BY id FOR UPDATE",
        account,
        digits
    )
    .fetch_all(&mut *conn)
    .await?;
    let names = rows
        .iter()
        .flat_map(|row| [Some(&row.room), row.dispatch_id.as_ref(), row.job_id.as_ref()])
        .flatten();
    let hashes: Vec<Vec<u8>> = names.map(|name| tombstone(name)).collect();
    sqlx::query!(
        "INSERT INTO dispatch.tombstones (hash, at) SELECT hash, $2 FROM unnest($1::bytea[]) AS erased (hash)
        ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        &hashes,
        now
    )
    .execute(&mut *conn)
    .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let keys = ids.iter().flat_map(|id| [id.to_string(), summary::key(*id)]);
    let keys: Vec<String> = keys.collect();
    sqlx::query!("DELETE FROM dispatch.outbox WHERE key = ANY($1)", &keys)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "DELETE FROM dispatch.dial_guard WHERE account_code = $1 OR digits = $2",
        account,
        digits
    )
    .execute(&mut *conn)
    .await?;
    // Events and reports go with their call.
    sqlx::query!("DELETE FROM dispatch.dispatches WHERE id = ANY($1)", &ids)
        .execute(&mut *conn)
        .await?;
    Ok(ids.len() as u64)
}

/// Whether the call of this room, dispatch or job was erased lately.
pub(crate) async fn was_erased(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM dispatch.tombstones WHERE hash = $1) AS "found!""#,
        tombstone(name)
    );
    found.fetch_one(db).await
}

fn tombstone(name: &str) -> Vec<u8> {
    Sha256::digest(format!("call:{name}")).to_vec()
}
