//! How the service fits together: its state, and what it is to the chassis.

use std::sync::Arc;

use actix_web::web;
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use switchhook_chassis::app::{Program, ServiceSettings};
use switchhook_chassis::config::{CommonSettings, SettingError};
use switchhook_chassis::feed::Feed;
use switchhook_chassis::idempotency::Keys;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_chassis::service::Service;
use switchhook_chassis::wake::Revisions;
use switchhook_core::ids::UserId;
use switchhook_pages::Page;

use crate::clients::agent::{Agents, TOPICS};
use crate::config::{TaskChatSettings, validate};
use crate::domain::ids::TaskId;
use crate::routes::stream::Conversations;
use crate::routes::user_caller;
use crate::{jobs, migrations, page, routes, store};

/// Where agents send their answers.
const CALLBACK_PATH: &str = "/api/communications/webhook-response";

/// What handlers and jobs work with.
#[derive(Clone)]
pub struct AppState {
    pub(crate) kit: Kit,
    pub(crate) settings: Arc<TaskChatSettings>,
    pub(crate) outbox: Outbox,
    pub(crate) keys: Keys,
    pub(crate) conversations: Feed<Conversations>,
    pub(crate) callback_url: Arc<str>,
}

impl AppState {
    /// How many wait for news at this replica: streams and long polls.
    pub fn readers(&self) -> usize {
        self.conversations.readers()
    }

    /// Wakes whoever waits for news of a task, after the commit.
    pub(crate) fn announce(&self, task: &TaskId) {
        self.kit.wake.announce([task.to_string()]);
    }
}

/// The service, to the chassis.
pub struct TaskChatSvc;

impl Program for TaskChatSvc {
    const SERVICE: Service = Service {
        name: "task-chat-svc",
        env_prefix: "TASK_CHAT",
        schema: "task_chat",
        port: 3002,
        path_prefix: "tasks",
        title: "Tasks",
        retention_days: 180,
        version: env!("CARGO_PKG_VERSION"),
    };
    const VIEWS: &'static [&'static str] = &["chat"];
    type Own = TaskChatSettings;
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

    fn page_settings(own: &TaskChatSettings, common: &CommonSettings) -> Map<String, Value> {
        let settings = json!({
            "agents": own.agent_webhooks.named().collect::<Vec<_>>(),
            "hasDefault": own.agent_webhooks.has_default(),
            "testEndpoints": own.enable_test_endpoints,
            "retentionDays": common.retention_days.get(),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        routes::openapi()
    }

    fn validate(settings: &ServiceSettings<TaskChatSettings>) -> Result<(), SettingError> {
        validate(settings)
    }

    fn state(kit: Kit, own: TaskChatSettings) -> Result<AppState, SettingError> {
        let owner = Agents::new(
            own.agent_webhooks.clone(),
            own.agent_timeout.0,
            Arc::clone(&kit.clock),
        );
        Ok(AppState {
            outbox: Outbox::new(&kit, &TOPICS, Arc::new(owner)),
            keys: Keys::new(kit.service),
            conversations: Feed::new(&kit.wake, &kit.tasks, Conversations::new(kit.pool.clone())),
            callback_url: callback_url(&kit).into(),
            settings: Arc::new(own),
            kit,
        })
    }

    fn outbox(state: &AppState) -> Option<&Outbox> {
        Some(&state.outbox)
    }

    fn start(state: &AppState) {
        if state.settings.enable_test_endpoints {
            tracing::warn!(
                "ENABLE_TEST_ENDPOINTS is on: users can simulate agents' answers in their own tasks"
            );
        }
        let kit = &state.kit;
        kit.wake.start(&kit.tasks, Arc::new(Positions(kit.pool.clone())));
        state.outbox.start();
        jobs::start(state);
    }

    fn routes(api: &mut web::ServiceConfig) {
        routes::table(api);
    }

    async fn erase(state: &AppState, user: &UserId) -> Result<u64, sqlx::Error> {
        let mut tx = state.kit.pool.begin().await?;
        let tasks = store::erasure::erase(&mut tx, user, state.kit.clock.now()).await?;
        state.keys.erase(&mut tx, &user_caller(user)).await?;
        tx.commit().await?;
        Ok(tasks)
    }
}

fn callback_url(kit: &Kit) -> String {
    let base = match &kit.settings.public_url {
        Some(public) => public.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://localhost:{}", kit.port),
    };
    base + CALLBACK_PATH
}

/// How far each task has come.
struct Positions(PgPool);

#[async_trait]
impl Revisions for Positions {
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        store::tasks::positions(&mut *self.0.acquire().await?, ids).await
    }
}
