//! The revision of what a user sees: a number that rises with every change, compared by streams. A new row begins
//! at the clock (microseconds), so that a user who was erased and comes back never meets an old cursor again.

use sqlx::PgConnection;
use switchhook_core::ids::UserId;
use uuid::Uuid;

/// Raises the revisions of the users of these sessions, in one order everywhere, and names the users.
pub(crate) async fn raise_for(
    conn: &mut PgConnection,
    sessions: &[Uuid],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO session.users AS u (id, revision)
        SELECT user_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM session.ai_sessions
        WHERE id = ANY($1) GROUP BY user_id ORDER BY user_id
        ON CONFLICT (id) DO UPDATE SET revision = u.revision + 1 RETURNING id",
        sessions
    )
    .fetch_all(conn)
    .await
}

/// A user's revision; nought before anything happened.
pub(crate) async fn revision(conn: &mut PgConnection, user: &UserId) -> Result<i64, sqlx::Error> {
    let revision = sqlx::query_scalar!("SELECT revision FROM session.users WHERE id = $1", user.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(revision.unwrap_or(0))
}

/// The revisions of many users; one who was erased has nought.
pub(crate) async fn revisions(
    conn: &mut PgConnection,
    users: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT asked.id AS "id!", COALESCE(u.revision, 0) AS "revision!"
        FROM unnest($1::text[]) AS asked (id) LEFT JOIN session.users u ON u.id = asked.id"#,
        users
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.revision)).collect())
}
