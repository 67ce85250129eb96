//! How the service fits together: its state, and what it is to the chassis.

use std::sync::Arc;

use actix_web::web;
use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
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
use uuid::Uuid;

use crate::clients::livekit::{LiveKit, Server};
use crate::clients::n8n::{Results, TOPICS};
use crate::config::{DispatchSettings, WebhookKeys, validate};
use crate::dial::{Commits, InHand};
use crate::domain::ids::CallId;
use crate::domain::number::Number;
use crate::jobs::follow::Following;
use crate::routes::events::Changes;
use crate::routes::standing::Standing;
use crate::{jobs, migrations, page, routes, store};

/// What streams of all calls wait for, on every replica.
pub(crate) const EVERY_CALL: &str = "dispatches";

/// What handlers and jobs work with.
#[derive(Clone)]
pub struct AppState {
    pub(crate) kit: Kit,
    pub(crate) settings: Arc<DispatchSettings>,
    /// The keys that LiveKit's webhooks are signed with.
    pub(crate) webhook_keys: Arc<WebhookKeys>,
    pub(crate) livekit: Arc<dyn LiveKit>,
    pub(crate) outbox: Outbox,
    /// The dials that this process works on.
    pub(crate) dials: InHand,
    /// What they commit.
    pub(crate) commits: Commits,
    /// The calls that this process follows.
    pub(crate) following: Following,
    pub(crate) changes: Feed<Changes>,
    pub(crate) standing: Standing,
}

impl AppState {
    /// How many read the stream of calls at this replica.
    pub fn readers(&self) -> usize {
        self.changes.readers()
    }

    /// The time, as exactly as PostgreSQL keeps it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.kit.clock.now().trunc_subsecs(6)
    }

    /// Wakes whoever waits for news of a call, after the commit.
    pub(crate) fn announce(&self, id: CallId) {
        self.kit.wake.announce([id.to_string(), EVERY_CALL.to_owned()]);
    }
}

/// The service, to the chassis.
pub struct DispatchBridgeSvc;

impl Program for DispatchBridgeSvc {
    const SERVICE: Service = Service {
        name: "dispatch-bridge-svc",
        env_prefix: "DISPATCH",
        schema: "dispatch",
        port: 8000,
        path_prefix: "dispatches",
        title: "Dispatches",
        retention_days: 365,
        version: env!("CARGO_PKG_VERSION"),
    };
    type Own = DispatchSettings;
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

    fn page_settings(own: &DispatchSettings, common: &CommonSettings) -> Map<String, Value> {
        let settings = json!({
            "agentName": own.agent_name,
            "records": own.recording_provider.is_some(),
            "tellsResults": own.result_url().is_some(),
            "duplicateDialWindowSeconds": own.duplicate_dial_window.0.as_secs_f64(),
            "workerWaitSeconds": own.worker_wait.0.as_secs_f64(),
            "retentionDays": common.retention_days.get(),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        routes::openapi()
    }

    fn validate(settings: &ServiceSettings<DispatchSettings>) -> Result<(), SettingError> {
        validate(settings)
    }

    fn state(kit: Kit, own: DispatchSettings) -> Result<AppState, SettingError> {
        let keys = own.livekit_webhook_keys.clone();
        let keys = keys.unwrap_or_else(|| WebhookKeys::one(&own.livekit_api_key, &own.livekit_api_secret));
        let livekit: Arc<dyn LiveKit> = Arc::new(Server::new(&own, &kit.outbound));
        let owner = Results::new(own.result_url().cloned(), Arc::clone(&kit.clock));
        Ok(AppState {
            outbox: Outbox::new(&kit, &TOPICS, Arc::new(owner)),
            changes: Feed::new(&kit.wake, &kit.tasks, Changes::new(kit.pool.clone())),
            standing: Standing::new(Arc::clone(&livekit)),
            dials: InHand::default(),
            commits: Commits::new(&kit, own.duplicate_dial_window.0),
            following: Following::default(),
            webhook_keys: Arc::new(keys),
            settings: Arc::new(own),
            livekit,
            kit,
        })
    }

    fn outbox(state: &AppState) -> Option<&Outbox> {
        Some(&state.outbox)
    }

    fn standing(state: &AppState) -> impl Future<Output = Map<String, Value>> + Send + 'static {
        let standing = state.standing.clone();
        async move { Map::from_iter([("livekit".to_owned(), standing.word().await.into())]) }
    }

    fn start(state: &AppState) {
        if state.settings.result_url().is_none() {
            tracing::warn!("N8N_WEBHOOK_URL is not set: results and summaries of calls go nowhere");
        }
        let kit = &state.kit;
        kit.wake.start(&kit.tasks, Arc::new(Positions(kit.pool.clone())));
        state.outbox.start();
        state.commits.start(kit);
        jobs::start(state);
    }

    fn routes(api: &mut web::ServiceConfig) {
        routes::table(api);
    }

    /// A person is an account, or the number that was called.
    async fn erase(state: &AppState, user: &UserId) -> Result<u64, sqlx::Error> {
        let number = Number::read(&Value::from(user.as_str())).ok();
        let digits = number.as_ref().map(Number::digits);
        let mut tx = state.kit.pool.begin().await?;
        let calls = store::erasure::erase(&mut tx, user.as_str(), digits, state.now()).await?;
        tx.commit().await?;
        Ok(calls)
    }
}

/// How far each call, and the stream of all of them, has come.
struct Positions(PgPool);

#[async_trait]
impl Revisions for Positions {
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let mut conn = self.0.acquire().await?;
        let calls: Vec<Uuid> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let mut found = store::calls::revisions(&mut conn, &calls).await?;
        if ids.iter().any(|id| id == EVERY_CALL) {
            found.push((EVERY_CALL.to_owned(), store::changes::newest(&mut conn).await?));
        }
        Ok(found)
    }
}
