//! What a service is given to work with. Built once at start, cheap to clone.

use std::sync::Arc;

use sqlx::PgPool;

use crate::clock::Clock;
use crate::config::CommonSettings;
use crate::db;
use crate::http::Failure;
use crate::http::auth::Authenticator;
use crate::lifecycle::Tasks;
use crate::outbound::Outbound;
use crate::replicas::Replica;
use crate::service::Service;
use crate::wake::Wake;

/// The parts that every service shares.
#[derive(Clone)]
pub struct Kit {
    /// Which service this is.
    pub service: &'static Service,
    /// The settings every service has.
    pub settings: Arc<CommonSettings>,
    /// The port that it listens on.
    pub port: u16,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// PostgreSQL.
    pub pool: PgPool,
    /// This process among its siblings.
    pub replica: Replica,
    /// Wakes waiters on every replica.
    pub wake: Wake,
    /// Makes HTTP clients.
    pub outbound: Outbound,
    /// Knows users and machines.
    pub auth: Arc<Authenticator>,
    /// Work in flight.
    pub tasks: Tasks,
}

impl Kit {
    /// Runs a handler's work on the service's runtime, to its end even when the client hangs up, within
    /// [`db::WORK_LIMIT`]: a database that hangs costs a 503, not a worker.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let bounded = async move { tokio::time::timeout(db::WORK_LIMIT, work).await };
        match self.tasks.run(bounded).await {
            Ok(Ok(outcome)) => outcome.map_err(Into::into),
            Ok(Err(_elapsed)) => Err(db::unavailable().into()),
            Err(lost) => Err(Failure::internal(&lost)),
        }
    }
}
