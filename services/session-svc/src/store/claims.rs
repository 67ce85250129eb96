//! What a claim is judged by.

use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::claim::Granted;
use crate::domain::session::Session;

/// The user's day, locked, and the answer that the call id was given before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) calls_today: i64,
    pub(crate) earlier: Option<Granted>,
}

/// Locks the user's day and looks the call id up. The session is locked already, so its claims stand still.
pub(crate) async fn lock_day(
    conn: &mut PgConnection,
    session: &Session,
    day: NaiveDate,
    call_id: Option<&str>,
) -> Result<Facts, sqlx::Error> {
    if let Some(facts) = look(conn, session, day, call_id).await? {
        return Ok(facts);
    }
    // The day's first call: make the row that is to be locked.
    sqlx::query!(
        "INSERT INTO session.day_counts (user_id, day, calls) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
        session.user_id.as_str(),
        day
    )
    .execute(&mut *conn)
    .await?;
    look(conn, session, day, call_id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)
}

async fn look(
    conn: &mut PgConnection,
    session: &Session,
    day: NaiveDate,
    call_id: Option<&str>,
) -> Result<Option<Facts>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT d.calls, c.calls_made AS "calls_made?", c.remaining AS "remaining?"
        FROM session.day_counts d LEFT JOIN session.claims c ON c.session_id = $3 AND c.call_id = $4
        WHERE d.user_id = $1 AND d.day = $2 FOR UPDATE OF d"#,
        session.user_id.as_str(),
        day,
        session.id.0,
        call_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Facts {
        calls_today: row.calls,
        earlier: row
            .calls_made
            .zip(row.remaining)
            .map(|(calls_made, remaining)| Granted {
                calls_made,
                remaining,
            }),
    }))
}
