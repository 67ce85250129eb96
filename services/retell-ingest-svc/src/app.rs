//! How the service fits together: its state, and what it is to the chassis.

use std::sync::Arc;

use actix_web::web;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use switchhook_chassis::app::{Program, ServiceSettings};
use switchhook_chassis::config::{CommonSettings, SettingError};
use switchhook_chassis::feed::Feed;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_chassis::service::Service;
use switchhook_chassis::wake::Revisions;
use switchhook_core::ids::UserId;
use switchhook_pages::Page;

use crate::clients::retell::Retell;
use crate::clients::vault::Vault;
use crate::config::{RetellSettings, data_key, validate};
use crate::ledger::Ledger;
use crate::routes::events::Changes;
use crate::routes::signature::SigningKeys;
use crate::{jobs, migrations, page, routes, store};

/// What handlers and jobs work with.
#[derive(Clone)]
pub struct AppState {
    pub(crate) kit: Kit,
    pub(crate) settings: Arc<RetellSettings>,
    pub(crate) ledger: Ledger,
    pub(crate) retell: Retell,
    pub(crate) vault: Vault,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) changes: Feed<Changes>,
}

impl AppState {
    /// Wakes the streams of clients, after the commit.
    pub(crate) fn announce<'a>(&self, users: impl IntoIterator<Item = &'a UserId>) {
        let ids = users.into_iter().map(|user| user.as_str().to_owned());
        self.kit.wake.announce(ids);
    }

    /// Calls that were last heard of before this moment are held no longer.
    pub(crate) fn held_since(&self) -> DateTime<Utc> {
        let window = TimeDelta::from_std(self.settings.held_calls_window.0).unwrap_or(TimeDelta::MAX);
        let now = self.kit.clock.now();
        now.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

/// The service, to the chassis.
pub struct RetellIngestSvc;

impl Program for RetellIngestSvc {
    const SERVICE: Service = Service {
        name: "retell-ingest-svc",
        env_prefix: "RETELL",
        schema: "retell",
        port: 5000,
        path_prefix: "calls",
        title: "Calls",
        retention_days: 365,
        version: env!("CARGO_PKG_VERSION"),
    };
    type Own = RetellSettings;
    type State = AppState;

    fn migrator() -> Migrator {
        // An older release meets the migrations of a newer one in the middle of a roll-out.
        let mut migrator = migrations();
        migrator.set_ignore_missing(true);
        migrator
    }

    fn page() -> Page {
        page::PAGE
    }

    fn page_settings(own: &RetellSettings, common: &CommonSettings) -> Map<String, Value> {
        let settings = json!({
            "dayTimezone": common.day_timezone.name(),
            "requireProof": own.retell_require_proof,
            "adoptUnproven": own.retell_adopt_unproven,
            "retentionDays": common.retention_days.get(),
            "webhookUrl": common.public_url.as_ref().map(|url| {
                format!("{}/api/retell/webhook", url.as_str().trim_end_matches('/'))
            }),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        routes::openapi()
    }

    fn validate(settings: &ServiceSettings<RetellSettings>) -> Result<(), SettingError> {
        validate(settings)
    }

    fn state(kit: Kit, own: RetellSettings) -> Result<AppState, SettingError> {
        let vault = Vault::new(&data_key(&own)?);
        let retell = Retell::new(kit.outbound.client().clone(), own.retell_api_url.clone());
        Ok(AppState {
            ledger: Ledger::new(&kit, own.retell_adopt_unproven),
            signing_keys: SigningKeys::new(&own, kit.pool.clone(), vault.clone()),
            changes: Feed::new(&kit.wake, &kit.tasks, Changes::new(kit.pool.clone())),
            settings: Arc::new(own),
            retell,
            vault,
            kit,
        })
    }

    fn outbox(_: &AppState) -> Option<&Outbox> {
        None
    }

    fn start(state: &AppState) {
        if state.settings.retell_adopt_unproven {
            tracing::warn!(
                "RETELL_ADOPT_UNPROVEN is on: whoever connects an agent gets the calls that were held for it, without proof"
            );
        }
        let kit = &state.kit;
        kit.wake
            .start(&kit.tasks, Arc::new(ClientRevisions(kit.pool.clone())));
        state.ledger.start(kit);
        jobs::start(state);
    }

    fn routes(api: &mut web::ServiceConfig) {
        routes::table(api);
    }

    async fn erase(state: &AppState, user: &UserId) -> Result<u64, sqlx::Error> {
        let mut tx = state.kit.pool.begin().await?;
        let calls = store::erasure::erase_user(&mut tx, user, state.kit.clock.now()).await?;
        tx.commit().await?;
        Ok(calls)
    }
}

/// How far each client's view has come.
struct ClientRevisions(PgPool);

#[async_trait]
impl Revisions for ClientRevisions {
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        store::users::revisions(&mut *self.0.acquire().await?, ids).await
    }
}
