//! What an operator can see and do about the outbox from the command line.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::service::Service;

/// A row as an operator sees it. Never its body or headers: they may hold personal data.
#[derive(Debug, Serialize, FromRow)]
pub struct Row {
    /// Id, the request's `Idempotency-Key`.
    pub id: Uuid,
    /// Topic.
    pub topic: String,
    /// Key.
    pub key: String,
    /// Name of the target.
    pub target: String,
    /// State.
    pub state: String,
    /// Tries.
    pub attempts: i32,
    /// When it was written down.
    pub created_at: DateTime<Utc>,
    /// When it is tried next.
    pub next_attempt_at: DateTime<Utc>,
    /// When it is given up.
    pub deadline: DateTime<Utc>,
    /// When the request was written.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// The last failure.
    pub last_error: Option<Json<serde_json::Value>>,
}

const COLUMNS: &str = "id, topic, key, target, state, attempts, created_at, next_attempt_at, deadline, sent_at, \
                       finished_at, last_error";

/// Whether the service has an outbox.
pub async fn exists(conn: &mut PgConnection, service: &Service) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL");
    query
        .bind(format!("{}.outbox", service.schema))
        .fetch_one(conn)
        .await
}

/// Rows that are not finished, oldest first, and those whose end is unknown.
pub async fn list(conn: &mut PgConnection, service: &Service, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {}.outbox WHERE state IN ('owed', 'sending', 'unknown') ORDER BY seq LIMIT $1",
        service.schema
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(limit)
        .fetch_all(conn)
        .await
}

/// One row.
pub async fn show(conn: &mut PgConnection, service: &Service, id: Uuid) -> Result<Option<Row>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM {}.outbox WHERE id = $1", service.schema);
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .fetch_optional(conn)
        .await
}

/// Makes an owed row due at once. `false`: it is not owed (what was sent, or is over, is never sent again from here).
pub async fn retry(conn: &mut PgConnection, service: &Service, id: Uuid) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "UPDATE {}.outbox SET next_attempt_at = now() WHERE id = $1 AND state = 'owed'",
        service.schema
    );
    let done = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an owed row's time: the next sweep gives it up, and its owner is told.
pub async fn discard(conn: &mut PgConnection, service: &Service, id: Uuid) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "UPDATE {}.outbox SET deadline = now(), next_attempt_at = now(), \
         last_error = '{{\"code\":\"discarded\",\"message\":\"An operator gave it up\"}}' \
         WHERE id = $1 AND state = 'owed'",
        service.schema
    );
    let done = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}
