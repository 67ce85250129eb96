//! Erasing calls of a client, and knowing an erased call again for a while without keeping its id.
//!
//! Whoever erases takes the turn of the digests first, then locks the calls in `call_id` order, then the client's row.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use super::{digests, figures};
use crate::domain::shown::Cursor;

/// Calls that are looked at in one statement.
pub(crate) const LOOKED_AT: i64 = 20_000;
/// Calls that are erased in one transaction.
pub(crate) const ERASED_AT_ONCE: usize = 500;

/// What is left of an erased call.
pub(crate) fn tombstone(agent: &str, call: &str) -> Vec<u8> {
    Sha256::digest(format!("retell:{agent}:{call}")).to_vec()
}

/// What is left of an erased call for its client: it may come again by another of his agents. As the statements of the
/// ledger spell it.
fn tombstone_of_owner(owner: &UserId, call: &str) -> Vec<u8> {
    Sha256::digest(format!("retell-owner:{owner}:{call}")).to_vec()
}

/// A client's call by its id.
pub(crate) async fn by_call_id(
    conn: &mut PgConnection,
    owner: &UserId,
    call_id: &str,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM retell.calls WHERE user_id = $1 AND call_id = $2",
        owner.as_str(),
        call_id
    )
    .fetch_all(conn)
    .await
}

/// Those of a client's next [`LOOKED_AT`] calls after `after` that are from or to one of these numbers, and where to go on.
pub(crate) async fn by_number(
    conn: &mut PgConnection,
    owner: &UserId,
    numbers: &[String],
    after: Option<Cursor>,
) -> Result<(Vec<i64>, Option<Cursor>), sqlx::Error> {
    let after = after.unwrap_or(Cursor {
        sort_at: crate::domain::day::Range::default().moments().1,
        id: i64::MAX,
    });
    let row = sqlx::query!(
        r#"WITH next AS MATERIALIZED (
            SELECT id, sort_at, from_number, to_number FROM retell.calls
            WHERE user_id = $1 AND (sort_at, id) < ($3, $4) ORDER BY sort_at DESC, id DESC LIMIT $5)
        SELECT ARRAY(SELECT id FROM next WHERE from_number = ANY($2) OR to_number = ANY($2)) AS "found!",
            last.sort_at AS "sort_at?", last.id AS "id?"
        FROM (SELECT) one LEFT JOIN (SELECT sort_at, id FROM next ORDER BY sort_at DESC, id DESC OFFSET $5 - 1) last ON true"#,
        owner.as_str(),
        numbers,
        after.sort_at,
        after.id,
        LOOKED_AT
    )
    .fetch_one(conn)
    .await?;
    let reached = row
        .sort_at
        .zip(row.id)
        .map(|(sort_at, id)| Cursor { sort_at, id });
    Ok((row.found, reached))
}

/// Erases those of these calls that a client owns, with all that is kept about them, and raises his revision where there
/// were any. Gives how many.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    owner: &UserId,
    calls: &[i64],
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    digests::take_turn(conn).await?;
    let locked = sqlx::query!(
        "SELECT id, agent_id, call_id FROM retell.calls WHERE user_id = $1 AND id = ANY($2)
        ORDER BY call_id, id FOR UPDATE",
        owner.as_str(),
        calls
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut ids = Vec::with_capacity(locked.len());
    let mut hashes = Vec::new();
    let mut call_ids = Vec::with_capacity(locked.len());
    let agents = sqlx::query_scalar!(
        "SELECT DISTINCT agent_id FROM retell.tenures WHERE user_id = $1",
        owner.as_str()
    )
    .fetch_all(&mut *conn)
    .await?;
    for call in locked {
        ids.push(call.id);
        // By whichever of his agents it comes again, those of later days too.
        let of_agents = agents.iter().chain([&call.agent_id]);
        hashes.extend(of_agents.map(|agent| tombstone(agent, &call.call_id)));
        hashes.push(tombstone_of_owner(owner, &call.call_id));
        call_ids.push(call.call_id);
    }
    if ids.is_empty() {
        return Ok(0);
    }
    // By two: a stream shows the calls and the agent anew, each at a position of its own.
    sqlx::query!(
        "UPDATE retell.users SET revision = revision + 2, erased_revision = revision + 2 WHERE id = $1",
        owner.as_str()
    )
    .execute(&mut *conn)
    .await?;
    leave_tombstones(conn, &hashes, now).await?;
    figures::subtract(conn, &ids).await?;
    remove_held(conn, owner, &call_ids).await?;
    remove(conn, &ids).await
}

/// Deletes what is held of the same calls for agents that the client has or had.
async fn remove_held(
    conn: &mut PgConnection,
    owner: &UserId,
    call_ids: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM retell.calls WHERE user_id IS NULL AND call_id = ANY($2)
        AND agent_id IN (SELECT agent_id FROM retell.tenures WHERE user_id = $1)",
        owner.as_str(),
        call_ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes calls; their events and digests go with them.
pub(super) async fn remove(conn: &mut PgConnection, calls: &[i64]) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM retell.calls WHERE id = ANY($1)", calls);
    Ok(done.execute(conn).await?.rows_affected())
}

async fn leave_tombstones(
    conn: &mut PgConnection,
    hashes: &[Vec<u8>],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // In order: two that erase at once never wait for each other.
    let mut hashes = hashes.to_vec();
    hashes.sort_unstable();
    hashes.dedup();
    sqlx::query!(
        "INSERT INTO retell.tombstones (hash, at) SELECT hash, $2 FROM unnest($1::bytea[]) AS erased (hash)
        ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
        &hashes,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases all that is kept about a client and leaves a tombstone for each call. Gives the number of calls.
pub(crate) async fn erase_user(
    conn: &mut PgConnection,
    user: &UserId,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    // Takes as long as the person's data is large; the limit is for requests.
    sqlx::query!("SET LOCAL statement_timeout = 0")
        .execute(&mut *conn)
        .await?;
    let mut calls = erase_all(conn, user, now).await?;
    sqlx::query!("SELECT FROM retell.users WHERE id = $1 FOR UPDATE", user.as_str())
        .execute(&mut *conn)
        .await?;
    // What had the client's row while this waited for it.
    calls += erase_all(conn, user, now).await?;
    sqlx::query!("DELETE FROM retell.figures WHERE user_id = $1", user.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM retell.tenures WHERE user_id = $1", user.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM retell.users WHERE id = $1", user.as_str())
        .execute(conn)
        .await?;
    Ok(calls)
}

async fn erase_all(conn: &mut PgConnection, user: &UserId, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let calls = sqlx::query_scalar!("SELECT id FROM retell.calls WHERE user_id = $1", user.as_str())
        .fetch_all(&mut *conn)
        .await?;
    erase(conn, user, &calls, now).await
}
