//! One process of a service: put together, serving, draining, over.
//!
//! The server answers from the first moment, so that probes are heard; what needs the schema starts once it is there.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Program, RunError, ServiceSettings, kit};
use crate::clock::Clock;
use crate::db;
use crate::http::docs::Description;
use crate::http::door::Door;
use crate::http::health::{Readiness, ShownOutbox, ShownStanding};
use crate::http::page::Files;
use crate::http::peer;
use crate::http::server::{self, Shown};
use crate::kit::Kit;
use crate::outbound::Outbound;

/// Time between two looks at a database that is not migrated yet, or away.
const BOOT_RETRY: Duration = Duration::from_secs(1);
/// Part of `SHUTDOWN_TIMEOUT` that is left for goodbyes whatever the tasks do.
const GOODBYE: Duration = Duration::from_secs(2);

/// One process of a service: bound to its address, not yet serving.
pub struct Application<P: Program> {
    kit: Kit,
    state: P::State,
    shown: Shown,
    listener: TcpListener,
    address: SocketAddr,
    migrations: PgConnectOptions,
}

impl<P: Program> Application<P> {
    /// Puts everything together and binds the address. Needs a tokio runtime, and rustls' provider installed.
    pub fn build(
        settings: &ServiceSettings<P::Own>,
        outbound: Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RunError> {
        P::validate(settings)?;
        let common = &settings.common;
        let wanted = common.bind_addr.0;
        let cannot = |cause| RunError::Bind {
            address: wanted,
            cause,
        };
        let listener = TcpListener::bind(wanted).map_err(cannot)?;
        peer::notice_who_is_gone(&listener).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let kit = kit::<P>(settings, address.port(), outbound, clock)?;
        let state = P::state(kit.clone(), settings.own.clone())?;
        P::bind(&state)?;
        let shown = Shown {
            readiness: Readiness::new(&P::migrator()),
            outbox: ShownOutbox(P::outbox(&state).cloned()),
            standing: standing::<P>(&state),
            files: Files::new(&P::page(), P::page_settings(&settings.own, common)),
            views: P::VIEWS,
            description: Description::new(kit.service, &P::openapi())?,
        };
        let migrations = db::options(&common.database_url, "DATABASE_URL", kit.service)?;
        Ok(Self {
            kit,
            state,
            shown,
            listener,
            address,
            migrations,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What it was given.
    pub fn kit(&self) -> &Kit {
        &self.kit
    }

    /// The service's state.
    pub fn state(&self) -> &P::State {
        &self.state
    }

    /// Done once the service's own work runs.
    pub fn started(&self) -> CancellationToken {
        self.shown.readiness.started().clone()
    }

    /// Serves at once, so that probes are answered; migrates beside it, then starts the service's own work. Drains and
    /// ends when `end` does.
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            kit,
            state,
            shown,
            listener,
            address,
            migrations,
        } = self;
        kit.auth.announce();
        announce(&kit, address);
        let readiness = shown.readiness.clone();
        let door = Door::of(&listener)?;
        let server = server::serve(listener, &kit, state.clone(), shown, P::routes)?;
        let handle = server.handle();
        let mut serving = tokio::spawn(server);
        let boot = boot::<P>(&kit, &state, &readiness, &migrations);
        let upkeep = upkeep();
        tokio::pin!(boot, upkeep, end);
        let mut booted = false;
        let outcome = loop {
            tokio::select! {
                () = &mut end => break Ok(()),
                outcome = &mut boot, if !booted => match outcome {
                    Ok(()) => booted = true,
                    Err(error) => break Err(error),
                },
                () = &mut upkeep => {}
                () = kit.tasks.failed().cancelled() => break Err(RunError::WorkEnded),
                ended = &mut serving => {
                    let cause = ended.unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
                    break Err(cause.err().unwrap_or_else(|| std::io::Error::other("it ended by itself")).into());
                }
            }
        };
        let door = outcome.is_ok().then_some(door);
        shut_down(&kit, &readiness, door, handle, serving).await;
        outcome
    }
}

fn standing<P: Program>(state: &P::State) -> ShownStanding
where
    P::State: Sync,
{
    let state = state.clone();
    ShownStanding(Arc::new(move || Box::pin(P::standing(&state))))
}

fn announce(kit: &Kit, address: SocketAddr) {
    let days = kit.settings.retention_days.get();
    let kept = if days == 0 {
        "for ever".to_owned()
    } else {
        format!("for {days} days")
    };
    tracing::info!(
        service = kit.service.name,
        version = kit.service.version,
        %address,
        "listening; data is kept {kept}"
    );
}

/// From an empty or sleeping database to a service at work.
async fn boot<P: Program>(
    kit: &Kit,
    state: &P::State,
    readiness: &Readiness,
    migrations: &PgConnectOptions,
) -> Result<(), RunError> {
    if kit.settings.migrate_on_start {
        migrate_until_done(migrations, &P::migrator()).await?;
    }
    loop {
        match readiness.migrated(kit).await {
            Ok(true) => break,
            Ok(false) => tracing::info!("waiting for migrations"),
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        tokio::time::sleep(BOOT_RETRY).await;
    }
    kit.replica.start(&kit.tasks);
    P::start(state);
    readiness.started().cancel();
    tracing::info!("ready");
    Ok(())
}

/// Waits for a database that is away for as long as it takes; a migration that is wrong ends the start.
async fn migrate_until_done(options: &PgConnectOptions, migrator: &Migrator) -> Result<(), MigrateError> {
    loop {
        match db::migrate(options, migrator).await {
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
                if db::is_passing(&error) =>
            {
                tracing::warn!(%error, "waiting for the database");
                tokio::time::sleep(BOOT_RETRY).await;
            }
            outcome => return outcome,
        }
    }
}

/// Histograms collect raw values until somebody sums them up; a scrape may never come.
async fn upkeep() {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        crate::telemetry::figures().run_upkeep();
    }
}

async fn shut_down(
    kit: &Kit,
    readiness: &Readiness,
    // Of an orderly end.
    door: Option<Door>,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
) {
    let (delay, limit) = (kit.settings.drain_delay.0, kit.settings.shutdown_timeout.0);
    tracing::info!(?delay, "draining");
    kit.tasks.draining().cancel();
    if let Some(door) = door {
        tokio::time::sleep(delay).await;
        door.close().await;
    }
    let deadline = Instant::now() + limit;
    kit.tasks.stopping().cancel();
    tracing::info!(?limit, "stopping");
    let requests = tokio::time::timeout_at(deadline, handle.stop(true)).await;
    let left = deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(100));
    // Also after requests that did not end: it is what ends the replica's renewals, before the goodbye.
    let tasks = kit.tasks.finish(left).await;
    if requests.is_err() || !tasks {
        tracing::warn!("some work did not end in time");
    }
    serving.abort();
    let goodbye = async {
        if readiness.started().is_cancelled() {
            kit.replica.leave().await;
        }
        kit.pool.close().await;
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    tracing::info!("stopped");
}
