//! A service as a program: what it must say about itself ([`Program`]), its settings, the kit it is given. How it is put
//! together, starts, drains and ends is [`Application`]'s.

mod advertised;
mod application;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::web;
use serde_json::{Map, Value};
use sqlx::migrate::{MigrateError, Migrator};
use switchhook_core::ids::UserId;

pub use application::Application;

use self::advertised::advertised;
use crate::clock::Clock;
use crate::config::{CommonSettings, SettingError, SettingSpec, SettingsBlock, Source};
use crate::db;
use crate::http::auth::{Authenticator, ScopedSecret};
use crate::kit::Kit;
use crate::lifecycle::Tasks;
use crate::outbound::Outbound;
use crate::outbox::Outbox;
use crate::replicas::{Pace, Replica};
use crate::service::Service;
use crate::wake::Wake;

/// The settings of one service: those of all, and its own.
#[derive(Debug, Clone)]
pub struct ServiceSettings<T> {
    /// Settings that every service has.
    pub common: CommonSettings,
    /// The service's own.
    pub own: T,
}

impl<T: SettingsBlock> ServiceSettings<T> {
    /// Every setting of the service, the common ones first.
    pub fn specs() -> Vec<SettingSpec> {
        CommonSettings::SPECS.iter().chain(T::SPECS).copied().collect()
    }

    /// Reads both blocks.
    pub fn read(source: &Source) -> Result<Self, SettingError> {
        Ok(Self {
            common: CommonSettings::read(source)?,
            own: T::read(source)?,
        })
    }
}

/// What one service is, to the chassis.
pub trait Program: Sized + Send + Sync + 'static {
    /// Its constants.
    const SERVICE: Service;
    /// Where its page stands besides `/`, such as `chat`; the page itself looks which one it is.
    const VIEWS: &'static [&'static str] = &[];
    /// Its own settings.
    type Own: SettingsBlock + Clone + Send + Sync + 'static;
    /// Its state; handlers get it as `web::Data<State>`, and the kit as `web::Data<Kit>`.
    type State: Clone + Send + Sync + 'static;

    /// Its migrations.
    fn migrator() -> Migrator;
    /// Its page.
    fn page() -> switchhook_pages::Page;
    /// What its page needs to know, besides what every page does.
    fn page_settings(own: &Self::Own, common: &CommonSettings) -> Map<String, Value>;
    /// The description of its own routes; those of every service are added.
    fn openapi() -> utoipa::openapi::OpenApi;
    /// Judges settings together, beyond what each says by itself.
    fn validate(settings: &ServiceSettings<Self::Own>) -> Result<(), SettingError>;
    /// Secrets of machines that reach a part of the service only.
    fn scoped_secrets(_: &Self::Own) -> Vec<ScopedSecret> {
        Vec::new()
    }
    /// Its state. Nothing runs yet.
    fn state(kit: Kit, own: Self::Own) -> Result<Self::State, SettingError>;
    /// Binds what it listens on besides HTTP. Only who serves does.
    fn bind(_: &Self::State) -> Result<(), SettingError> {
        Ok(())
    }
    /// Its outbox, where it owes anything to anybody.
    fn outbox(state: &Self::State) -> Option<&Outbox>;
    /// What `/readyz` tells besides: how what lies behind the service stands. Readiness does not depend on it.
    fn standing(_: &Self::State) -> impl Future<Output = Map<String, Value>> + Send + 'static {
        async { Map::new() }
    }
    /// Starts what runs beside the server, on the kit's tasks. The schema is there by then.
    fn start(state: &Self::State);
    /// Its URL table.
    fn routes(api: &mut web::ServiceConfig);
    /// Erases what is kept about a user, and says how many rows that were.
    fn erase(state: &Self::State, user: &UserId) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;
}

/// The constants of a program, for as long as the process lives.
pub fn service<P: Program>() -> &'static Service {
    const { &P::SERVICE }
}

/// Why a service does not start, or did not stay.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The address cannot be listened on.
    #[error("BIND_ADDR {address} cannot be used: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Migrations fail in a way that trying again does not heal.
    #[error("migrations cannot be applied: {0}")]
    Migration(#[from] MigrateError),
    /// The description of the API cannot be written.
    #[error("the API's description cannot be written: {0}")]
    Description(#[from] serde_json::Error),
    /// Work that runs as long as the service does ended before it; the log names it.
    #[error("work that the service cannot do without has ended")]
    WorkEnded,
    /// The server, or the signals, failed.
    #[error("the server failed: {0}")]
    Server(#[from] std::io::Error),
}

/// The kit of a service that listens on `port`, from its settings. Nothing runs and nothing is connected yet.
pub fn kit<P: Program>(
    settings: &ServiceSettings<P::Own>,
    port: u16,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
) -> Result<Kit, SettingError> {
    let service = service::<P>();
    let auth = authenticator::<P>(settings)?;
    let settings = &settings.common;
    let pool = db::pool(settings, service)?;
    let listens = SocketAddr::new(settings.bind_addr.0.ip(), port);
    let url = advertised(settings.advertise_url.clone(), listens);
    let replica = Replica::new(service, &pool, url, Pace::default());
    let wake = Wake::new(
        service,
        pool.clone(),
        db::listen_options(settings, service)?,
        replica.id(),
    );
    Ok(Kit {
        service,
        settings: Arc::new(settings.clone()),
        port,
        clock,
        pool,
        wake,
        replica,
        outbound,
        auth: Arc::new(auth),
        tasks: Tasks::on_current_runtime(),
    })
}

/// Who knows the callers of a service.
pub(crate) fn authenticator<P: Program>(
    settings: &ServiceSettings<P::Own>,
) -> Result<Authenticator, SettingError> {
    Authenticator::new(&settings.common)?.with_scoped(P::scoped_secrets(&settings.own))
}
