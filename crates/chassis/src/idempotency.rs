//! `Idempotency-Key`: a request that is repeated with its key gets the answer of the first, and is not done again.
//!
//! The key is claimed in the transaction that does the work, and the answer recorded before its commit: who comes at the
//! same time waits for that commit. A transaction that fails leaves nothing behind, so only what was done is replayed.
//!
//! The table is `<schema>.idempotency (caller, route, key, request bytea, status smallint, answer jsonb, created_at)` with
//! the primary key (caller, route, key) and an index on `created_at`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;

use crate::db;
use crate::http::Failure;
use crate::service::Service;

/// How long an answer is kept, in hours.
pub const KEPT_HOURS: i32 = 48;
/// Most characters of a key.
pub const KEY_MAX_CHARS: usize = 255;
/// Field of a body that holds a key, for callers that cannot set a header.
pub const FIELD: &str = "idempotencyKey";
/// Rows that are removed at a time.
const PRUNED: i64 = 1_000;

/// The header `Idempotency-Key`, where the request has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHeader(pub Option<String>);

impl FromRequest for KeyHeader {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_header(request).map(Self).map_err(Failure))
    }
}

fn read_header(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut given = request.headers().get_all("idempotency-key");
    let (Some(value), another) = (given.next(), given.next()) else {
        return Ok(None);
    };
    let key = match another {
        Some(_) => Err("is given more than once".to_owned()),
        None => value.to_str().map_err(|_| "must be printable ASCII".to_owned()),
    };
    let key = key.and_then(|key| lenient::text(&Value::from(key), 1, KEY_MAX_CHARS));
    key.map(Some)
        .map_err(|why| Problem::invalid_field("Idempotency-Key", why))
}

/// One request under a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// Who calls: keys of different callers never meet.
    pub caller: String,
    /// Which endpoint; keys of different endpoints never meet.
    pub route: &'static str,
    /// The key.
    pub key: String,
    request: Vec<u8>,
}

impl Keyed {
    /// A request with its key; `parts` are all of its values that matter: another value is another request.
    pub fn new(caller: &str, route: &'static str, key: String, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            caller: caller.to_owned(),
            route,
            key,
            request: hash.finalize().to_vec(),
        }
    }
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status, 2xx.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        Self::build(status).json(answer.body)
    }
}

/// Why a key was not claimed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key was used for another request.
    #[error("the key was used for another request")]
    Conflict,
    /// PostgreSQL.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl KeyError {
    /// What the caller is told.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Conflict => Problem::new(
                409,
                "idempotency_conflict",
                "This Idempotency-Key was used for another request: send a new key with a new request",
            ),
            Self::Database(error) => db::problem(error),
        }
    }
}

/// The keys of one service.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    schema: &'static str,
}

impl Keys {
    /// The keys in the service's schema.
    pub const fn new(service: &Service) -> Self {
        Self {
            schema: service.schema,
        }
    }

    /// Claims the key for this transaction, or gives the answer of the request that had it first.
    pub async fn claim(&self, conn: &mut PgConnection, keyed: &Keyed) -> Result<Option<Answer>, KeyError> {
        // An answer that is too old to be replayed makes place; of two who find it, one waits and then meets the other's.
        let insert = format!(
            "INSERT INTO {0}.idempotency AS i (caller, route, key, request) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (caller, route, key) DO UPDATE \
             SET request = excluded.request, status = NULL, answer = NULL, created_at = now() \
             WHERE i.created_at < now() - make_interval(hours => $5)",
            self.schema
        );
        let claimed = self.bound(insert, keyed).bind(&keyed.request).bind(KEPT_HOURS);
        if claimed.execute(&mut *conn).await?.rows_affected() == 1 {
            return Ok(None);
        }
        let select = format!(
            "SELECT request, status, answer FROM {}.idempotency WHERE caller = $1 AND route = $2 AND key = $3",
            self.schema
        );
        let first = self.bound(select, keyed).fetch_one(conn).await?;
        if first.try_get::<Vec<u8>, _>("request")? != keyed.request {
            return Err(KeyError::Conflict);
        }
        let status: i16 = first.try_get("status")?;
        Ok(Some(Answer {
            status: status.unsigned_abs(),
            body: first.try_get("answer")?,
        }))
    }

    /// Records the answer, in the transaction that claimed the key.
    pub async fn record(
        &self,
        conn: &mut PgConnection,
        keyed: &Keyed,
        answer: &Answer,
    ) -> Result<(), sqlx::Error> {
        let update = format!(
            "UPDATE {}.idempotency SET status = $4, answer = $5 WHERE caller = $1 AND route = $2 AND key = $3",
            self.schema
        );
        let status = i16::try_from(answer.status).unwrap_or(200);
        self.bound(update, keyed)
            .bind(status)
            .bind(&answer.body)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Forgets what a caller was answered.
    pub async fn erase(&self, conn: &mut PgConnection, caller: &str) -> Result<u64, sqlx::Error> {
        let delete = format!("DELETE FROM {}.idempotency WHERE caller = $1", self.schema);
        let done = sqlx::query(AssertSqlSafe(delete))
            .bind(caller)
            .execute(conn)
            .await?;
        Ok(done.rows_affected())
    }

    /// Removes answers that are replayed no longer, a bounded number of them; says how many.
    pub async fn prune(&self, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let delete = format!(
            "DELETE FROM {0}.idempotency WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0}.idempotency \
             WHERE created_at < now() - make_interval(hours => $1) LIMIT $2))",
            self.schema
        );
        let done = sqlx::query(AssertSqlSafe(delete))
            .bind(KEPT_HOURS)
            .bind(PRUNED)
            .execute(conn)
            .await?;
        Ok(done.rows_affected())
    }

    fn bound<'q>(
        &self,
        sql: String,
        keyed: &'q Keyed,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        let query = sqlx::query(AssertSqlSafe(sql));
        query.bind(&keyed.caller).bind(keyed.route).bind(&keyed.key)
    }
}
