//! Probes and metrics: whether the process lives, whether it can do its work, and its figures.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::{Map, Value, json};
use sqlx::migrate::Migrator;
use switchhook_core::problem::Problem;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::db;
use crate::kit::Kit;
use crate::outbox::Outbox;
use crate::telemetry;

const DATABASE_LIMIT: Duration = Duration::from_secs(2);
/// Longest that is waited for how what lies behind the service stands.
const STANDING_LIMIT: Duration = Duration::from_secs(2);

/// How far the start has come.
#[derive(Clone)]
pub(crate) struct Readiness {
    versions: Arc<BTreeSet<i64>>,
    started: CancellationToken,
}

impl Readiness {
    pub(crate) fn new(migrator: &Migrator) -> Self {
        let up = migrator
            .iter()
            .filter(|migration| migration.migration_type.is_up_migration());
        Self {
            versions: Arc::new(up.map(|migration| migration.version).collect()),
            started: CancellationToken::new(),
        }
    }

    /// Done once the service's own work runs.
    pub(crate) fn started(&self) -> &CancellationToken {
        &self.started
    }

    /// Whether every migration that this program knows is in the database.
    pub(crate) async fn migrated(&self, kit: &Kit) -> Result<bool, sqlx::Error> {
        let applied = db::applied_migrations(&kit.pool, kit.service).await?;
        Ok(self.versions.is_subset(&applied))
    }

    /// Why the service cannot do its work, if it cannot.
    async fn obstacle(&self, kit: &Kit) -> Option<&'static str> {
        if kit.tasks.draining().is_cancelled() {
            return Some("draining");
        }
        match tokio::time::timeout(DATABASE_LIMIT, self.migrated(kit)).await {
            Err(_elapsed) => Some("the database does not answer"),
            Ok(Err(error)) => {
                tracing::debug!(%error, "not ready");
                Some("the database cannot be reached")
            }
            Ok(Ok(false)) => Some("migrations are not applied"),
            Ok(Ok(true)) if !self.started.is_cancelled() => Some("starting"),
            Ok(Ok(true)) if kit.replica.is_refused() || db::had_no_room() => {
                Some("the database cannot be written")
            }
            Ok(Ok(true)) => None,
        }
    }
}

/// `GET /healthz`: the process lives. Touches nothing else.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// How what lies behind the service stands, as the service tells it.
#[derive(Clone)]
pub(crate) struct ShownStanding(pub(crate) Arc<dyn Fn() -> Told + Send + Sync>);

type Told = Pin<Box<dyn Future<Output = Map<String, Value>> + Send>>;

/// `GET /readyz`: it can do its work, or why not; and how what lies behind it stands, which decides nothing.
pub(super) async fn readyz(
    kit: Data<Kit>,
    readiness: Data<Readiness>,
    standing: Data<ShownStanding>,
) -> Result<HttpResponse, Failure> {
    let (asked, readiness, standing) = (kit.clone(), readiness.clone(), standing.clone());
    // On the service's runtime, as every use of the pool: a connection must not end with a worker of the server.
    let looked = kit.tasks.run(async move {
        let told = tokio::time::timeout(STANDING_LIMIT, (standing.0)());
        let (obstacle, told) = tokio::join!(readiness.obstacle(&asked), told);
        (obstacle, told.unwrap_or_default())
    });
    let (obstacle, told) = looked.await.map_err(|lost| Failure::internal(&lost))?;
    match obstacle {
        None => {
            let mut body = told;
            body.insert("status".into(), "ok".into());
            Ok(HttpResponse::Ok().json(body))
        }
        Some(why) => {
            let mut problem = Problem::unavailable(format!("Not ready: {why}")).with("reason", why);
            problem.extras.extend(told);
            Err(problem.into())
        }
    }
}

/// The outbox whose figures are shown, where the service has one.
#[derive(Clone)]
pub(crate) struct ShownOutbox(pub(crate) Option<Outbox>);

/// `GET /metrics`: the figures of this process as Prometheus reads them.
pub(super) async fn figures(kit: Data<Kit>, outbox: Data<ShownOutbox>) -> HttpResponse {
    let (open, idle) = (kit.pool.size(), kit.pool.num_idle());
    metrics::gauge!("db_pool_connections", "state" => "idle").set(idle as f64);
    metrics::gauge!("db_pool_connections", "state" => "used").set(f64::from(open) - idle as f64);
    metrics::gauge!("db_pool_max_connections").set(f64::from(kit.pool.options().get_max_connections()));
    metrics::gauge!("build_info", "service" => kit.service.name, "version" => kit.service.version).set(1.0);
    if let ShownOutbox(Some(outbox)) = outbox.as_ref() {
        metrics::gauge!("outbox_in_flight").set(outbox.in_flight() as f64);
        // Without the database the last known figures stay: better old than none while something is wrong.
        let outbox = outbox.clone();
        let owed = async move { tokio::time::timeout(DATABASE_LIMIT, outbox.owed()).await };
        if let Ok(Ok(Ok(owed))) = kit.tasks.run(owed).await {
            metrics::gauge!("outbox_owed").set(owed.rows as f64);
            metrics::gauge!("outbox_oldest_owed_age_seconds").set(owed.oldest_age_s);
        }
    }
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(telemetry::figures().render())
}
