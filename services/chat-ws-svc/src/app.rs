//! How the service fits together: its state, and what it is to the chassis.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use actix_web::web;
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sqlx::migrate::Migrator;
use switchhook_chassis::app::{Program, ServiceSettings};
use switchhook_chassis::config::{CommonSettings, SettingError};
use switchhook_chassis::http::auth::ScopedSecret;
use switchhook_chassis::idempotency::Keys;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::Outbox;
use switchhook_chassis::service::Service;
use switchhook_chassis::wake::Revisions;
use switchhook_core::ids::UserId;
use switchhook_pages::Page;

use crate::clients::bot::{Bots, TOPICS};
use crate::config::{Channel, ChannelTable, Channels, ChatSettings, validate};
use crate::domain::channel::ChannelName;
use crate::domain::entry::Entry;
use crate::domain::ids::SessionId;
use crate::hub::Hub;
use crate::log::{Log, Replies};
use crate::operators::Operators;
use crate::registry::Registry;
use crate::warm::Warm;
use crate::{jobs, migrations, page, routes, store, ws};

/// What handlers, sockets and jobs work with.
#[derive(Clone)]
pub struct AppState {
    pub(crate) kit: Kit,
    pub(crate) settings: Arc<ChatSettings>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) outbox: Outbox,
    /// Writes what visitors and bots say.
    pub(crate) log: Log,
    pub(crate) keys: Keys,
    /// A connection for `send-message`.
    pub(crate) warm: Warm,
    /// The sockets of this process.
    pub(crate) hub: Hub,
    /// Who holds which chat, and how to reach him.
    pub(crate) registry: Registry,
    /// The operators who listen at this process.
    pub(crate) operators: Operators,
    /// When the process began.
    pub(crate) begun: Instant,
    /// Bound where the process serves.
    pub(crate) ws: Arc<OnceLock<ws::Listener>>,
}

impl AppState {
    /// Where visitors connect, once that is bound.
    pub fn ws_addr(&self) -> Option<SocketAddr> {
        self.ws.get().map(ws::Listener::addr)
    }

    /// Shows an entry that was committed to everybody who reads the chat, without waiting for them.
    pub(crate) fn announce(&self, session: &SessionId, entry: &Entry) {
        self.hub.publish(session, entry);
        self.registry.announce(session, entry.seq, true);
    }
}

/// The service, to the chassis.
pub struct ChatWsSvc;

impl Program for ChatWsSvc {
    const SERVICE: Service = Service {
        name: "chat-ws-svc",
        env_prefix: "CHAT",
        schema: "chat",
        port: 3001,
        path_prefix: "chats",
        title: "Switchhook ChatBot WebSocket Server",
        retention_days: 180,
        version: env!("CARGO_PKG_VERSION"),
    };
    type Own = ChatSettings;
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

    fn page_settings(own: &ChatSettings, common: &CommonSettings) -> Map<String, Value> {
        let channels = Channels::of(own, common).ok();
        let names: Vec<String> = channels
            .iter()
            .flat_map(|all| all.all().map(|(name, _)| name.to_string()))
            .collect();
        let settings = json!({
            "channels": names,
            "wsUrl": own.ws_public_url.as_ref().map(|url| url.0.as_str()),
            "wsPort": own.ws_bind_addr.0.port(),
            "maxTextChars": own.message_chars.get(),
            "retentionDays": common.retention_days.get(),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        routes::openapi()
    }

    fn validate(settings: &ServiceSettings<ChatSettings>) -> Result<(), SettingError> {
        validate(settings)
    }

    fn scoped_secrets(own: &ChatSettings) -> Vec<ScopedSecret> {
        let channels = own.chat_channels.iter().flat_map(ChannelTable::channels);
        let secret = |(name, channel): (&ChannelName, &Channel)| {
            Some(ScopedSecret {
                scope: name.to_string(),
                secrets: channel.secret.clone()?,
                variable: "CHAT_CHANNELS",
            })
        };
        channels.filter_map(secret).collect()
    }

    fn state(kit: Kit, own: ChatSettings) -> Result<AppState, SettingError> {
        let channels = Arc::new(Channels::of(&own, &kit.settings)?);
        let settings = Arc::new(own);
        let operators = Operators::new(&kit);
        let hub = Hub::new();
        let registry = Registry::new(&kit, &hub, &operators);
        let replies = Replies::new(&kit);
        let bots = Bots::new(&kit, &settings, &channels, &hub, &registry, replies.clone());
        let outbox = Outbox::new(&kit, &TOPICS, Arc::new(bots));
        Ok(AppState {
            log: Log::new(&kit, &outbox, replies, settings.visitor_rate.get()),
            outbox,
            keys: Keys::new(kit.service),
            warm: Warm::new(&kit.pool),
            begun: Instant::now(),
            ws: Arc::default(),
            settings,
            channels,
            hub,
            registry,
            operators,
            kit,
        })
    }

    fn bind(state: &AppState) -> Result<(), SettingError> {
        let listener = ws::Listener::bind(state.settings.ws_bind_addr.0)?;
        // Bound once: nobody else has set it.
        let _ = state.ws.set(listener);
        Ok(())
    }

    fn outbox(state: &AppState) -> Option<&Outbox> {
        Some(&state.outbox)
    }

    fn start(state: &AppState) {
        let kit = &state.kit;
        kit.wake.start(&kit.tasks, Arc::new(NoRevisions));
        state.log.start(kit);
        state.outbox.start();
        jobs::start(state);
        ws::serve(state);
    }

    fn routes(api: &mut web::ServiceConfig) {
        routes::table(api);
    }

    /// A user is an operator, whose name is taken from what he wrote and held; or a visitor, whose id is his chat's.
    async fn erase(state: &AppState, user: &UserId) -> Result<u64, sqlx::Error> {
        let mut tx = state.kit.pool.begin().await?;
        let mut rows = match SessionId::parse(user.as_str()) {
            Some(chat) => {
                u64::from(store::erasure::erase(&mut tx, &chat, None, state.kit.clock.now()).await?)
            }
            None => {
                store::sessions::forget_operator(&mut tx, user.as_str()).await?
                    + store::entries::forget_author(&mut tx, user.as_str()).await?
            }
        };
        rows += state
            .keys
            .erase(&mut tx, &routes::user_caller(user.as_str()))
            .await?;
        tx.commit().await?;
        Ok(rows)
    }
}

/// Sockets have a safety poll of their own, and operators' streams read on a clock: nobody waits for a revision.
struct NoRevisions;

#[async_trait]
impl Revisions for NoRevisions {
    async fn of(&self, _: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        Ok(Vec::new())
    }
}
