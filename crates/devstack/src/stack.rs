//! One running stack: its database, its services, its stand-ins, from start to stop.
//!
//! Tests start one, break it and look what happens; `make up` starts one and keeps it running ([`crate::upkeep`]).
//! A stack that is dropped takes its processes along.

mod builder;
mod database;
mod replica;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use switchhook_standins::{LiveKit, N8n, Retell};
use tokio::task::JoinSet;

pub use builder::{Builder, DatabaseChoice, Ports};
use database::Database;
pub use replica::{Intent, Replica};

use crate::guard::Guard;
use crate::postgres::Postgres;
use crate::probe;
use crate::services::SERVICES;
use crate::settings::{Keys, Surroundings};

/// How long a service may take until it is ready: migrations included.
const READY_TIME: Duration = Duration::from_secs(90);
/// Between two looks at a service that is starting.
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// A running stack.
pub struct Stack {
    // Dropped in this order: services before the database, the guard last.
    replicas: Vec<Arc<Replica>>,
    n8n: N8n,
    retell: Retell,
    livekit: LiveKit,
    database: Database,
    around: Surroundings,
    guard: Arc<Guard>,
    temporary: Option<tempfile::TempDir>,
}

impl Stack {
    /// A stack of all services, one process each, on free ports, with nothing left behind afterwards.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Base URL of a service's process; replicas count from 0.
    ///
    /// # Panics
    /// The stack has no such process.
    #[must_use]
    pub fn url(&self, service: &str, replica: usize) -> &str {
        self.replica(service, replica).url()
    }

    /// One process of a service; replicas count from 0.
    ///
    /// # Panics
    /// The stack has no such process.
    #[must_use]
    pub fn replica(&self, service: &str, number: usize) -> &Replica {
        let found = self
            .replicas
            .iter()
            .find(|one| one.service().name == service && one.number() == number);
        found.unwrap_or_else(|| panic!("the stack has no replica {number} of {service}"))
    }

    /// All processes of services.
    #[must_use]
    pub fn replicas(&self) -> &[Arc<Replica>] {
        &self.replicas
    }

    /// The number of a running process.
    pub async fn pid(&self, service: &str, replica: usize) -> Option<i32> {
        self.replica(service, replica).pid().await
    }

    /// Kills a process; it stays dead until [`Stack::restart`].
    pub async fn kill9(&self, service: &str, replica: usize) {
        self.replica(service, replica).kill9().await;
    }

    /// Freezes a process.
    pub async fn pause(&self, service: &str, replica: usize) {
        self.replica(service, replica).pause().await;
    }

    /// Lets a frozen process go on.
    pub async fn resume(&self, service: &str, replica: usize) {
        self.replica(service, replica).resume().await;
    }

    /// Stops a process in an orderly way if it runs, starts it again on the same port and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn restart(&self, service: &str, replica: usize) -> Result<()> {
        let replica = self.replica(service, replica);
        replica.stop().await;
        replica.start(&self.guard).await?;
        self.wait_until_ready(replica).await
    }

    /// The private PostgreSQL.
    ///
    /// # Panics
    /// The stack uses a server of the caller's ([`Builder::private_postgres`] makes sure of an own one).
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        self.database
            .private()
            .expect("the stack uses a server of the caller's")
    }

    pub(crate) fn private_postgres(&self) -> Option<&Postgres> {
        self.database.private()
    }

    /// n8n's stand-in.
    #[must_use]
    pub fn n8n(&self) -> &N8n {
        &self.n8n
    }

    /// Retell's stand-in.
    #[must_use]
    pub fn retell(&self) -> &Retell {
        &self.retell
    }

    /// LiveKit's stand-in.
    #[must_use]
    pub fn livekit(&self) -> &LiveKit {
        &self.livekit
    }

    /// The database that the services share.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.around.database_url
    }

    /// The stack's secrets.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.around.keys
    }

    /// What the services have around them.
    #[must_use]
    pub fn surroundings(&self) -> &Surroundings {
        &self.around
    }

    pub(crate) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// What the env file holds: names and values.
    ///
    /// # Errors
    /// A token cannot be signed.
    pub async fn env(&self) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        for replica in &self.replicas {
            let key = match replica.number() {
                0 => replica.service().key.to_owned(),
                number => format!("{}_{}", replica.service().key, number + 1),
            };
            pairs.push((format!("{key}_URL"), replica.url().to_owned()));
            pairs.extend(
                replica
                    .ws_url()
                    .map(|url| (format!("{key}_WS_URL"), url.to_owned())),
            );
            pairs.extend(
                replica
                    .pid()
                    .await
                    .map(|pid| (format!("{key}_PID"), pid.to_string())),
            );
        }
        pairs.push(("DATABASE_URL".to_owned(), self.around.database_url.clone()));
        pairs.push(("WEBHOOK_SECRET".to_owned(), self.keys().webhook_secret.clone()));
        pairs.extend(
            self.keys()
                .jwt_secret
                .clone()
                .map(|secret| ("JWT_SECRET".to_owned(), secret)),
        );
        pairs.extend(
            self.keys()
                .tokens()?
                .into_iter()
                .map(|(name, token)| (name.to_owned(), token)),
        );
        pairs.push(("STANDIN_N8N_URL".to_owned(), self.n8n.url()));
        pairs.push(("STANDIN_RETELL_URL".to_owned(), self.retell.url()));
        pairs.push(("RETELL_API_KEY".to_owned(), self.keys().retell_key.clone()));
        let (key, secret) = self.keys().livekit_key.clone();
        pairs.push(("STANDIN_LIVEKIT_URL".to_owned(), self.livekit.url()));
        pairs.push(("LIVEKIT_API_KEY".to_owned(), key));
        pairs.push(("LIVEKIT_API_SECRET".to_owned(), secret));
        Ok(pairs)
    }

    /// Waits until a process is ready.
    ///
    /// # Errors
    /// It ended, or took too long; with its last words.
    pub async fn wait_until_ready(&self, replica: &Replica) -> Result<()> {
        replica.wait_until_ready(READY_TIME, PROBE_EVERY).await
    }

    /// Whether every process is ready at this moment.
    ///
    /// # Errors
    /// Which one is not, and why.
    pub async fn all_ready(&self) -> Result<()> {
        for replica in &self.replicas {
            probe::ready(replica.url())
                .await
                .with_context(|| replica.name().to_owned())?;
        }
        Ok(())
    }

    /// Stops everything in order and removes what does not stay.
    ///
    /// # Errors
    /// Something could not be removed.
    pub async fn stop(self) -> Result<()> {
        let mut stopping = JoinSet::new();
        for replica in &self.replicas {
            let replica = Arc::clone(replica);
            stopping.spawn(async move { replica.stop().await });
        }
        stopping.join_all().await;
        let removed = self.database.finish().await;
        self.guard.done();
        if let Some(temporary) = self.temporary {
            temporary.close().context("cannot remove the stack's directory")?;
        }
        removed
    }
}

/// The names of all services.
#[must_use]
pub fn service_names() -> Vec<&'static str> {
    SERVICES.iter().map(|service| service.name).collect()
}
