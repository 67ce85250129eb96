//! Tasks: begun, locked, saved, read.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use super::rows::{ShownRow, StateColumns, TaskRow, select_shown};
use crate::domain::history::Cursor;
use crate::domain::ids::{ResponseId, TaskId};
use crate::domain::shown::{ShownTask, TaskState};
use crate::domain::task::Task;

/// Selects tasks as the domain knows them.
macro_rules! select_tasks {
    ($tail:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            TaskRow,
            r#"SELECT task_id, user_id, user_email, agent_id, title, state, waiting_since, failure_code,
                failure_message, messages, responses, last_seq, state_seq, created_at
            FROM task_chat.tasks "# + $tail,
            $($argument),+
        )
    };
}

/// Stores a task that begins.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let state = StateColumns::of(&task.state);
    sqlx::query!(
        "INSERT INTO task_chat.tasks (task_id, user_id, user_email, agent_id, title, state, waiting_since,
            failure_code, failure_message, messages, responses, last_seq, state_seq, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        task.id.as_str(),
        task.user_id.as_str(),
        task.user_email,
        task.agent.as_str(),
        task.title,
        state.state,
        state.waiting_since,
        state.code(),
        state.message(),
        task.messages,
        task.responses,
        task.last_seq,
        task.state_seq,
        task.created_at,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks a task of anybody: for machines, jobs and the outbox.
pub(crate) async fn lock(conn: &mut PgConnection, id: &TaskId) -> Result<Option<Task>, sqlx::Error> {
    let row = select_tasks!("WHERE task_id = $1 FOR UPDATE", id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(TaskRow::into_task).transpose()
}

/// Locks a task of one user.
pub(crate) async fn lock_own(
    conn: &mut PgConnection,
    id: &TaskId,
    owner: &UserId,
) -> Result<Option<Task>, sqlx::Error> {
    let row = select_tasks!(
        "WHERE task_id = $1 AND user_id = $2 FOR UPDATE",
        id.as_str(),
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(TaskRow::into_task).transpose()
}

/// Saves a locked task.
pub(crate) async fn save(
    conn: &mut PgConnection,
    task: &Task,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let state = StateColumns::of(&task.state);
    sqlx::query!(
        "UPDATE task_chat.tasks SET state = $2, waiting_since = $3, failure_code = $4, failure_message = $5,
            messages = $6, responses = $7, last_seq = $8, state_seq = $9, updated_at = $10
        WHERE task_id = $1",
        task.id.as_str(),
        state.state,
        state.waiting_since,
        state.code(),
        state.message(),
        task.messages,
        task.responses,
        task.last_seq,
        task.state_seq,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is shown of these tasks changed, by a try or its outcome. Gives those that exist and that nobody else changes at
/// this moment: he raises the position himself, and whoever holds outbox rows must not wait for a task.
pub(crate) async fn touch(conn: &mut PgConnection, ids: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE task_chat.tasks SET last_seq = last_seq + 1, state_seq = last_seq + 1
        WHERE task_id IN (SELECT task_id FROM task_chat.tasks WHERE task_id = ANY($1) FOR UPDATE SKIP LOCKED)
        RETURNING task_id",
        ids
    )
    .fetch_all(conn)
    .await
}

/// A task of anybody, as it is shown, and the position of its last change and of its newest entry.
pub(crate) async fn shown(
    conn: &mut PgConnection,
    id: &TaskId,
) -> Result<Option<(ShownTask, i64, i64)>, sqlx::Error> {
    let row = select_shown!("WHERE t.task_id = $1", id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let (state_seq, last_seq) = (row.state_seq, row.last_seq);
        Ok((row.into_shown()?, state_seq, last_seq))
    })
    .transpose()
}

/// A task of one user, as it is shown.
pub(crate) async fn shown_own(
    conn: &mut PgConnection,
    id: &TaskId,
    owner: &UserId,
) -> Result<Option<ShownTask>, sqlx::Error> {
    let row = select_shown!(
        "WHERE t.task_id = $1 AND t.user_id = $2",
        id.as_str(),
        owner.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(ShownRow::into_shown).transpose()
}

/// A page of a user's tasks, newest first.
pub(crate) async fn history(
    conn: &mut PgConnection,
    owner: &UserId,
    state: Option<TaskState>,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<ShownTask>, sqlx::Error> {
    let rows = select_shown!(
        "WHERE t.user_id = $1 AND ($2::text IS NULL OR t.state = $2)
            AND ($3::timestamptz IS NULL OR (t.created_at, t.task_id) < ($3, $4))
        ORDER BY t.created_at DESC, t.task_id DESC LIMIT $5",
        owner.as_str(),
        state.map(TaskState::word),
        after.map(|cursor| cursor.created_at),
        after.map(|cursor| cursor.id.as_str()),
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ShownRow::into_shown).collect()
}

/// Where a reader of a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The position of the newest entry.
    pub(crate) last: i64,
    /// The position of the answer that was named; nought where none was.
    pub(crate) seen: i64,
    /// Whether there are answers after it.
    pub(crate) newer: bool,
}

/// Where a reader stands who has seen `after`; a user sees his own tasks only. `Some(None)`: the task has no such answer.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    id: &TaskId,
    owner: Option<&UserId>,
    after: Option<ResponseId>,
) -> Result<Option<Option<Standing>>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT t.last_seq, c.seq AS "seen?", EXISTS (
            SELECT FROM task_chat.communications n WHERE n.task_id = t.task_id AND n.seq > COALESCE(c.seq, 0)
        ) AS "newer!"
        FROM task_chat.tasks t LEFT JOIN task_chat.communications c ON c.task_id = t.task_id AND c.id = $3
        WHERE t.task_id = $1 AND ($2::text IS NULL OR t.user_id = $2)"#,
        id.as_str(),
        owner.map(UserId::as_str),
        after.map(|after| after.0)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let known = after.is_none() || row.seen.is_some();
        known.then_some(Standing {
            last: row.last_seq,
            seen: row.seen.unwrap_or(0),
            newer: row.newer,
        })
    }))
}

/// The newest positions of many tasks.
pub(crate) async fn positions(
    conn: &mut PgConnection,
    ids: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT task_id, last_seq FROM task_chat.tasks WHERE task_id = ANY($1)",
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.task_id, row.last_seq)).collect())
}
