//! Lists of chats.
//!
//! What a filter finds is counted and paged by id alone; what is shown of a chat is read by its id, for lists and streams
//! alike. The order of the ids is the order of the beginnings, and a page never shifts because somebody writes.

use sqlx::PgConnection;

use super::rows::ShownRow;
use crate::domain::shown::ShownSession;

/// Chats in whose words is searched: the newest ones.
const SEARCHED: i64 = 2_000;

/// Which chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those with an open socket on any replica.
    Connected,
    /// All.
    All,
    /// Those that wait for an operator.
    Waiting,
    /// Those that an operator has.
    Operator,
    /// Those that the bot has left in the lurch.
    Flagged,
}

/// A page that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) which: Which,
    /// Those that the caller reaches; all where there are none.
    pub(crate) channels: Option<&'a [String]>,
    /// Words that must be in a chat.
    pub(crate) words: Option<&'a str>,
    /// The id where the page before ended.
    pub(crate) before: Option<&'a str>,
    pub(crate) limit: i64,
}

/// The ids of a page, newest first, and how many there are on all pages.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) count: i64,
    pub(crate) ids: Vec<String>,
}

/// Greater than every id of a chat.
const BEYOND: &str = "cx";

/// Finds the page of chats that fulfil a condition, which is a literal so that each has a plan of its own. Nothing is read
/// of the others but to count them.
macro_rules! page {
    ($conn:expr, $asked:expr, $condition:literal) => {
        sqlx::query_as!(
            Found,
            r#"SELECT (SELECT count(*) FROM chat.sessions WHERE "#
                + $condition
                + r#" AND ($1::text[] IS NULL OR channel = ANY($1)))
                AS "count!",
                ARRAY(
                    SELECT id FROM chat.sessions WHERE "#
                + $condition
                + r#" AND ($1::text[] IS NULL OR channel = ANY($1))
                    AND id < $2 ORDER BY id DESC LIMIT $3
                ) AS "ids!""#,
            $asked.channels,
            $asked.before.unwrap_or(BEYOND),
            $asked.limit
        )
        .fetch_one($conn)
        .await
    };
}

/// As [`page!`], of those in which the words are said.
macro_rules! search {
    ($conn:expr, $asked:expr, $words:expr, $condition:literal) => {
        sqlx::query_as!(
            Found,
            r#"WITH matching AS MATERIALIZED (
                SELECT s.id FROM (
                    SELECT * FROM chat.sessions WHERE "# + $condition + r#" AND ($1::text[] IS NULL OR channel = ANY($1))
                    ORDER BY id DESC LIMIT $5
                ) s
                WHERE position(lower($2) IN lower(concat_ws(' ', s.id, s.origin, s.referer, s.operator_name))) > 0
                    OR EXISTS (
                        SELECT FROM chat.entries e
                        WHERE e.session_id = s.id AND e.kind = 'message' AND position(lower($2) IN lower(e.body)) > 0
                    )
            )
            SELECT (SELECT count(*) FROM matching) AS "count!",
                ARRAY(SELECT id FROM matching WHERE id < $3 ORDER BY id DESC LIMIT $4) AS "ids!""#,
            $asked.channels,
            $words,
            $asked.before.unwrap_or(BEYOND),
            $asked.limit,
            SEARCHED
        )
        .fetch_one($conn)
        .await
    };
}

/// Finds the chats of a page.
pub(crate) async fn find(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<Found, sqlx::Error> {
    if let Some(words) = asked.words {
        return search(conn, asked, words).await;
    }
    match asked.which {
        Which::Connected => page!(conn, asked, "id IN (SELECT session_id FROM chat.holders)"),
        Which::All => page!(conn, asked, "true"),
        Which::Waiting => page!(conn, asked, "mode = 'operator' AND operator_id IS NULL"),
        Which::Operator => page!(conn, asked, "mode = 'operator' AND operator_id IS NOT NULL"),
        Which::Flagged => page!(conn, asked, "flagged_at IS NOT NULL"),
    }
}

async fn search(conn: &mut PgConnection, asked: &Asked<'_>, words: &str) -> Result<Found, sqlx::Error> {
    match asked.which {
        Which::Connected => search!(conn, asked, words, "id IN (SELECT session_id FROM chat.holders)"),
        Which::All => search!(conn, asked, words, "true"),
        Which::Waiting => search!(conn, asked, words, "mode = 'operator' AND operator_id IS NULL"),
        Which::Operator => search!(
            conn,
            asked,
            words,
            "mode = 'operator' AND operator_id IS NOT NULL"
        ),
        Which::Flagged => search!(conn, asked, words, "flagged_at IS NOT NULL"),
    }
}

/// What is shown of these chats, newest first. Those that are gone are left out.
pub(crate) async fn shown(conn: &mut PgConnection, ids: &[String]) -> Result<Vec<ShownSession>, sqlx::Error> {
    let rows = sqlx::query_as!(
        ShownRow,
        r#"SELECT s.id, s.channel, s.mode, s.operator_id, s.operator_name, s.flagged_at IS NOT NULL AS "flagged!",
            EXISTS (SELECT FROM chat.holders h WHERE h.session_id = s.id) AS "connected!",
            s.origin, s.user_agent, s.referer, s.created_at, s.updated_at,
            m.id AS "last_id?", m.seq AS "last_seq?", m.audience AS "last_audience?", m.sender AS "last_sender?",
            m.name AS "last_name?", m.body AS "last_body?", m.created_at AS "last_at?"
        FROM chat.sessions s LEFT JOIN LATERAL (
            SELECT * FROM chat.entries e WHERE e.session_id = s.id AND e.kind = 'message' ORDER BY e.seq DESC LIMIT 1
        ) m ON true
        WHERE s.id = ANY($1) ORDER BY s.id DESC"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ShownRow::into_shown).collect()
}
