//! How the service fits together: its state, and what it is to the chassis.

use std::sync::Arc;

use actix_web::web;
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use switchhook_chassis::app::{Program, ServiceSettings};
use switchhook_chassis::config::{CommonSettings, SettingError};
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_chassis::service::Service;
use switchhook_chassis::wake::Revisions;
use switchhook_core::ids::UserId;
use switchhook_pages::Page;

use crate::clients::n8n::{self, Starts};
use crate::commits::{Acceptances, Commits};
use crate::config::{SessionSettings, validate};
use crate::domain::day::day_of;
use crate::{jobs, migrations, page, routes, store};

/// What handlers and jobs work with.
#[derive(Clone)]
pub struct AppState {
    pub(crate) kit: Kit,
    pub(crate) settings: Arc<SessionSettings>,
    pub(crate) outbox: Outbox,
    pub(crate) commits: Commits,
}

impl AppState {
    /// Now, and which day that is.
    pub(crate) fn moment(&self) -> (DateTime<Utc>, NaiveDate) {
        let now = self.kit.clock.now();
        (now, day_of(now, self.kit.settings.day_timezone))
    }

    /// Wakes the streams of a user, after the commit.
    pub(crate) fn announce(&self, user: &UserId) {
        self.kit.wake.announce([user.as_str().to_owned()]);
    }
}

/// The service, to the chassis.
pub struct SessionSvc;

impl Program for SessionSvc {
    const SERVICE: Service = Service {
        name: "session-svc",
        env_prefix: "SESSION",
        schema: "session",
        port: 3000,
        path_prefix: "sessions",
        title: "AI Control Panel",
        retention_days: 365,
        version: env!("CARGO_PKG_VERSION"),
    };
    type Own = SessionSettings;
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

    fn page_settings(own: &SessionSettings, common: &CommonSettings) -> Map<String, Value> {
        let settings = json!({
            "maxDailyCallLimit": own.max_daily_call_limit.get(),
            "dayTimezone": common.day_timezone.name(),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        routes::openapi()
    }

    fn validate(settings: &ServiceSettings<SessionSettings>) -> Result<(), SettingError> {
        validate(settings)
    }

    fn state(kit: Kit, own: SessionSettings) -> Result<AppState, SettingError> {
        let acceptances = Acceptances::new(&kit);
        let owner = Starts::new(&kit, &own, acceptances.clone());
        let outbox = Outbox::new(&kit, &n8n::TOPICS, Arc::new(owner));
        Ok(AppState {
            commits: Commits::new(&kit, &outbox, acceptances),
            kit,
            settings: Arc::new(own),
            outbox,
        })
    }

    fn outbox(state: &AppState) -> Option<&Outbox> {
        Some(&state.outbox)
    }

    fn start(state: &AppState) {
        let kit = &state.kit;
        kit.wake
            .start(&kit.tasks, Arc::new(UserRevisions(kit.pool.clone())));
        state.commits.start(kit);
        state.outbox.start();
        jobs::start(state);
    }

    fn routes(api: &mut web::ServiceConfig) {
        routes::table(api);
    }

    async fn erase(state: &AppState, user: &UserId) -> Result<u64, sqlx::Error> {
        let mut tx = state.kit.pool.begin().await?;
        let sessions = store::erasure::erase(&mut tx, user, state.kit.clock.now()).await?;
        tx.commit().await?;
        Ok(sessions)
    }
}

/// How far each user's view has come.
struct UserRevisions(PgPool);

#[async_trait]
impl Revisions for UserRevisions {
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        store::users::revisions(&mut *self.0.acquire().await?, ids).await
    }
}
