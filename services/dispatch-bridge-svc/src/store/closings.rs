//! Rooms that are to be deleted at LiveKit: at once, again later, and until it worked.

use sqlx::{PgConnection, PgExecutor};

use crate::domain::ids::Room;

/// Seconds in which whoever wrote a closing carries it out; then anybody does. Also the pause after a try that failed.
const LEASE_S: f64 = 5.0;

/// Owes the deletion of a room, and again after these seconds. The caller tries at once, after its commit.
pub(crate) async fn owe(conn: &mut PgConnection, room: &Room, again_s: &[i32]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO dispatch.closings (room, due_at, again_s) VALUES ($1, now() + make_interval(secs => $3), $2)
        ON CONFLICT (room) DO UPDATE SET due_at = excluded.due_at, again_s =
            CASE WHEN cardinality(excluded.again_s) > 0 THEN excluded.again_s ELSE closings.again_s END",
        room.as_str(),
        again_s,
        LEASE_S
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes rooms whose deletion is due; whoever takes one has it for a while.
pub(crate) async fn due(conn: &mut PgConnection, limit: i64) -> Result<Vec<Room>, sqlx::Error> {
    // A deletion may take longer than the lease: LiveKit has its ten seconds.
    let rooms = sqlx::query_scalar!(
        "UPDATE dispatch.closings SET due_at = now() + make_interval(secs => 3 * $2::float8), tries = tries + 1
        WHERE room IN (SELECT room FROM dispatch.closings WHERE due_at <= now() ORDER BY due_at LIMIT $1
            FOR UPDATE SKIP LOCKED)
        RETURNING room",
        limit,
        LEASE_S
    )
    .fetch_all(conn)
    .await?;
    Ok(rooms.iter().filter_map(|room| Room::parse(room)).collect())
}

/// Notes that a room was deleted: done, or again at its next time.
pub(crate) async fn done(db: impl PgExecutor<'_>, room: &Room) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH over AS (DELETE FROM dispatch.closings WHERE room = $1 AND cardinality(again_s) = 0)
        UPDATE dispatch.closings SET due_at = greatest(now(), created_at + make_interval(secs => again_s[1])),
            again_s = again_s[2:]
        WHERE room = $1 AND cardinality(again_s) > 0",
        room.as_str()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Gives up rooms that could not be deleted for so long that LiveKit has closed them by itself; says how many.
pub(crate) async fn forget(conn: &mut PgConnection, after_s: f64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM dispatch.closings WHERE created_at < now() - make_interval(secs => $1)",
        after_s
    );
    Ok(done.execute(conn).await?.rows_affected())
}
