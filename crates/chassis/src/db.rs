//! PostgreSQL: the pool, the migrations, and what a database error means to a caller.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use switchhook_core::problem::Problem;

use crate::config::{CommonSettings, SettingError};
use crate::service::Service;

/// Longest wait for a free connection.
pub const ACQUIRE_LIMIT: Duration = Duration::from_secs(3);
/// Longest a handler may work before its caller gets a 503.
pub const WORK_LIMIT: Duration = Duration::from_secs(10);
/// Longest a connection may take to show that it works, once it is given back. Longer than what its last statement may
/// still take, shorter than the quarter of an hour in which TCP finds a lost peer: until then it occupies its place.
const RETURN_LIMIT: Duration = Duration::from_secs(30);
/// Longest a statement may run in PostgreSQL.
const STATEMENT_LIMIT: &str = "8s";
/// How long a write that found no room keeps the service from being ready: while writes come, each says so anew.
const NO_ROOM_SHOWN: Duration = Duration::from_secs(4);
/// When a write of this process found no room last. The process has one database, and what tells an error's meaning has no
/// other place to say so.
static NO_ROOM_AT: Mutex<Option<Instant>> = Mutex::new(None);
/// Longest wait for a lock during a migration; it is tried again.
const MIGRATION_LOCK_LIMIT: &str = "5s";
const MIGRATION_TRIES: u32 = 12;

/// Connection options from the setting, or the setting's fault.
pub fn options(
    url: &SecretString,
    variable: &str,
    service: &Service,
) -> Result<PgConnectOptions, SettingError> {
    let url = url.expose_secret();
    // sqlx takes any scheme, and would look for a server at whatever follows.
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    let options = PgConnectOptions::from_str(url).ok().filter(|_| is_postgres);
    let options = options.ok_or_else(|| SettingError {
        variable: variable.to_owned(),
        // sqlx's own words may quote the URL and its password.
        problem: "is not a PostgreSQL URL".to_owned(),
        example: "postgres://user:password@host:5432/database".to_owned(),
    })?;
    Ok(options.application_name(service.name))
}

/// Options of the connection that listens: direct, where the others go through a pooler.
pub(crate) fn listen_options(
    settings: &CommonSettings,
    service: &Service,
) -> Result<PgConnectOptions, SettingError> {
    match &settings.database_listen_url {
        Some(url) => options(url, "DATABASE_LISTEN_URL", service),
        None => options(&settings.database_url, "DATABASE_URL", service),
    }
}

/// The pool that the whole service shares; of the connections that it may have, one is left to the replica's heartbeat.
/// It connects when it is first used, so that a service can start while PostgreSQL is away.
pub fn pool(settings: &CommonSettings, service: &Service) -> Result<PgPool, SettingError> {
    let options = options(&settings.database_url, "DATABASE_URL", service)?.options([
        ("statement_timeout", STATEMENT_LIMIT),
        ("idle_in_transaction_session_timeout", "15s"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(settings.database_max_connections.get().saturating_sub(1).max(1))
        .acquire_timeout(ACQUIRE_LIMIT)
        // A round trip per checkout would cost more than the rare failed request after a cut connection.
        .test_before_acquire(false)
        .max_lifetime(Duration::from_secs(30 * 60))
        // sqlx asks the same itself, but waits for the answer as long as TCP does; an error makes it close hard.
        .after_release(|connection, _| Box::pin(answers_within(RETURN_LIMIT, connection)))
        .connect_lazy_with(options))
}

async fn answers_within(limit: Duration, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(limit, connection.ping())
        .await
        .map_err(silent)??;
    Ok(true)
}

/// The versions of the migrations that the database has; none where it has no schema yet.
pub(crate) async fn applied_migrations(
    pool: &PgPool,
    service: &Service,
) -> Result<BTreeSet<i64>, sqlx::Error> {
    let schema = service.schema;
    let sql = format!("SELECT version FROM {schema}._sqlx_migrations WHERE success");
    let applied: Result<Vec<i64>, _> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await;
    match applied {
        Ok(applied) => Ok(applied.into_iter().collect()),
        // No such table, or no such schema.
        Err(sqlx::Error::Database(error))
            if error
                .code()
                .is_some_and(|code| code == "42P01" || code == "3F000") =>
        {
            Ok(BTreeSet::new())
        }
        Err(error) => Err(error),
    }
}

/// Applies the migrations on a connection of its own, with a bounded wait for locks, again and again until it works
/// or the tries are used up. Two replicas that migrate at once take turns.
pub async fn migrate(options: &PgConnectOptions, migrator: &Migrator) -> Result<(), MigrateError> {
    let options = options.clone().options([("lock_timeout", MIGRATION_LOCK_LIMIT)]);
    let mut tried = 1;
    loop {
        match migrate_once(&options, migrator).await {
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
                if tried < MIGRATION_TRIES && is_passing(&error) =>
            {
                tracing::warn!(%error, tried, "migration did not get through, trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
                tried += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn migrate_once(options: &PgConnectOptions, migrator: &Migrator) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(options).await?;
    let outcome = migrator.run(&mut connection).await;
    let _ = connection.close().await;
    outcome
}

/// Whether a later try may succeed: the server is away, starting, full, or somebody holds a lock.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// SQLSTATE classes: connection (08), resources (53), operator intervention (57), system (58); single codes: lock and
/// deadlock, read-only server, and a schema that is not migrated yet.
fn is_passing_code(code: &str) -> bool {
    const PASSING: [&str; 8] = [
        "55P03", "40P01", "40001", "25006", "3F000", "42P01", "25P03", "3D000",
    ];
    ["08", "53", "57", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || PASSING.contains(&code)
}

/// SQLSTATE of a disk that is full.
const DISK_FULL: &str = "53100";

/// Whether the database answered that it takes no writes: it is read-only, or has no room.
pub(crate) fn takes_no_writes(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.as_ref(), "25006" | DISK_FULL))
}

/// Whether writes of this process have lately found no room. The small row of a sign of life fits where nothing else
/// does, so that it is no witness.
pub(crate) fn had_no_room() -> bool {
    let last = *NO_ROOM_AT.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|at| at.elapsed() < NO_ROOM_SHOWN)
}

fn remember_no_room(error: &sqlx::Error) {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| code == DISK_FULL) {
        *NO_ROOM_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Whether two transactions got in each other's way: each by itself gets through.
pub fn is_clash(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(code.as_ref(), "40P01" | "40001"))
}

/// The 503 of a database that is away or cannot write.
pub fn unavailable() -> Problem {
    Problem::unavailable("The database cannot be reached or cannot write; try again shortly")
}

/// What a caller is told about a database error, and the log about its cause.
pub fn problem(error: &sqlx::Error) -> Problem {
    if is_passing(error) {
        remember_no_room(error);
        tracing::warn!(%error, "database unavailable");
        unavailable()
    } else {
        tracing::error!(%error, "database error");
        Problem::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_pass_and_defects_stay() {
        for code in ["08006", "53100", "53300", "57P01", "57014", "25006", "42P01"] {
            assert!(is_passing_code(code), "{code}");
        }
        for code in ["23505", "42703", "22001"] {
            assert!(!is_passing_code(code), "{code}");
        }
    }
}
