//! Retell's stand-in: its API as far as Switchhook asks it, and the signed webhooks of the calls that it plays.
//!
//! Two ports. The control port is always up: `/_control`, `/_log`, `/_down`, `/_up`, what is below, and the API too. The
//! API port serves the API alone and can be taken down; `RETELL_API_URL` of a service under test points there.
//!
//! | request | does |
//! |---|---|
//! | `GET /get-agent/{agent_id}` | the agent, 401 for an unknown key, 404 for an agent that the key cannot see |
//! | `POST /_agents` `{"api_key"?,"agents":[…]}` | says which agents a key sees; of the first key when none is named |
//! | `POST /_call` [`Play`] | plays a whole call or chat; 202 with its id at once |
//! | `POST /_send` | signs the body as it is and sends it; 202 |
//! | `GET /recordings/{call_id}.wav` | what a played call's `recording_url` names |
//!
//! Webhooks go to the service as Retell sends them: a new signature with every try, 10 s for the answer, three tries
//! in all for anything but a 2xx. The events of one call are sent in their order; one that fails is tried again beside
//! the next ones. What was sent is in the log too, with `"direction":"sent"` and the answer.

mod agents;
mod api;
mod call;
mod chat;
mod control;
mod play;
mod recording;
mod scripts;
mod values;
mod webhooks;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::control::{Control, Orders, Refused};
use crate::doors::Doors;
use crate::log::{Direction, Entry, Log};
use agents::Workspaces;
pub use play::Play;
use webhooks::Webhooks;

/// Path of the service that takes the webhooks.
pub const WEBHOOK_PATH: &str = "/api/retell/webhook";
/// The API key of a stand-in that is started without one.
pub const DEFAULT_KEY: &str = "key_0123456789abcdef";
/// The agent that such a key sees.
pub const DEFAULT_AGENT: &str = "agent_demo";

/// How a stand-in is started.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; the loopback address by default.
    pub ip: IpAddr,
    /// The port that is always up; 0 takes a free one.
    pub control_port: u16,
    /// The port that can be taken down; 0 takes a free one.
    pub api_port: u16,
    /// API keys, each with the agents that it sees. The first one also signs for agents that no key sees.
    pub keys: Vec<(String, Vec<String>)>,
    /// Base URL of `retell-ingest-svc`. Without it nothing is sent.
    pub service_url: Option<String>,
    /// How long one webhook may take.
    pub webhook_timeout: Duration,
    /// How often an event is sent at most.
    pub tries: u32,
    /// Between two tries of an event.
    pub between_tries: Duration,
    /// Between two events of a played call.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            control_port: 0,
            api_port: 0,
            keys: vec![(DEFAULT_KEY.to_owned(), vec![DEFAULT_AGENT.to_owned()])],
            service_url: None,
            webhook_timeout: Duration::from_secs(10),
            tries: 3,
            between_tries: Duration::from_secs(1),
            pause: Duration::from_secs(1),
        }
    }
}

/// A running stand-in; it stops when this is dropped.
pub struct Retell {
    platform: Arc<Platform>,
    doors: Doors<Platform>,
}

impl Retell {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// A port that cannot be bound.
    pub fn start(options: Options) -> io::Result<Self> {
        let (ip, control_port, api_port) = (options.ip, options.control_port, options.api_port);
        let platform = Arc::new(Platform::new(options));
        let doors = Doors::open(&platform, ip, control_port, api_port)?;
        platform
            .webhooks
            .set_own_url(format!("http://{}", doors.control.address()));
        Ok(Self { platform, doors })
    }

    /// Base URL of the control port, which is always up.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.doors.control.address())
    }

    /// Base URL of the API on the port that can be taken down.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.doors.outer.address())
    }

    /// Tells where `retell-ingest-svc` is.
    pub fn set_service(&self, url: &str) {
        self.platform.webhooks.set_service(url);
    }

    /// Says which agents a key sees; a key that was unknown is known from now on.
    pub fn set_agents(&self, api_key: &str, agents: &[&str]) {
        let agents = agents.iter().map(|&agent| agent.to_owned()).collect();
        self.platform.workspaces.set(api_key, agents);
    }

    /// Makes a key unknown.
    pub fn remove_key(&self, api_key: &str) {
        self.platform.workspaces.remove(api_key);
    }

    /// Plays a call or a chat beside whatever runs; gives its id.
    ///
    /// # Errors
    /// The field that has no usable value.
    pub fn play(&self, play: &Play) -> Result<String, Refused> {
        self.platform.play(play)
    }

    /// Signs a webhook and sends it, with its tries; done when it is answered 2xx or given up. True for a 2xx.
    pub async fn send(&self, body: &Value) -> bool {
        let key = self.platform.key_for(body);
        self.platform
            .webhooks
            .deliver(&key, body.to_string().into())
            .await
    }

    /// Waits until every event of the call has been answered 2xx or given up; false when the time is up.
    pub async fn settled(&self, call_id: &str, within: Duration) -> bool {
        self.platform.webhooks.settled(call_id, within).await
    }

    /// Adds an order for a coming request; false when too many wait already.
    pub fn push(&self, control: Control) -> bool {
        self.platform.orders.push(control)
    }

    /// Removes all orders.
    pub fn clear(&self) {
        self.platform.orders.clear(None, &serde_json::Map::new());
    }

    /// Everything that came, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.of_direction(Direction::Received)
    }

    /// Every try of every webhook, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Entry> {
        self.of_direction(Direction::Sent)
    }

    fn of_direction(&self, direction: Direction) -> Vec<Entry> {
        let mut entries = self.platform.log.list(None, None);
        entries.retain(|entry| entry.direction == direction);
        entries
    }

    /// Waits until `count` requests came to the path, and gives what came by then or when the time is up.
    pub async fn wait_for(&self, path: &str, count: usize, within: Duration) -> Vec<Entry> {
        self.platform.log.wait_for(Some(path), count, within).await
    }

    /// Forgets what came and went.
    pub fn clear_log(&self) {
        self.platform.log.clear();
    }

    /// Breaks the API port's connections and refuses new ones.
    ///
    /// # Errors
    /// The port could not be kept.
    pub async fn down(&self) -> io::Result<()> {
        self.doors.outer.down().await
    }

    /// Accepts on the API port again.
    ///
    /// # Errors
    /// The port could not be opened.
    pub async fn up(&self) -> io::Result<()> {
        self.doors.outer.up().await
    }
}

impl Drop for Retell {
    fn drop(&mut self) {
        self.platform.webhooks.stop();
    }
}

/// What both doors share.
pub(crate) struct Platform {
    workspaces: Workspaces,
    orders: Orders,
    log: Arc<Log>,
    webhooks: Arc<Webhooks>,
    pause: Duration,
}

impl Platform {
    fn new(options: Options) -> Self {
        let log = Arc::new(Log::default());
        Self {
            webhooks: Arc::new(Webhooks::new(&options, Arc::clone(&log))),
            workspaces: Workspaces::new(options.keys),
            orders: Orders::default(),
            log,
            pause: options.pause,
        }
    }

    fn play(&self, play: &Play) -> Result<String, Refused> {
        play.check()?;
        let agent = play
            .agent_id
            .clone()
            .unwrap_or_else(|| self.workspaces.first_agent());
        let key = self.workspaces.key_of(&agent);
        let played = if play.chat {
            chat::events(play, &agent)
        } else {
            call::events(play, &agent, &self.webhooks.own_url())
        };
        let pause = play.pause.unwrap_or(self.pause);
        let id = played.id.clone();
        self.webhooks.play(played, key, pause);
        Ok(id)
    }

    /// The key that signs a webhook: of the agent that it names, wherever it names it.
    fn key_for(&self, body: &Value) -> String {
        let agent = ["/call/agent_id", "/chat/agent_id", "/data/agent_id", "/agent_id"]
            .iter()
            .find_map(|place| body.pointer(place)?.as_str())
            .unwrap_or_default();
        self.workspaces.key_of(agent)
    }
}
