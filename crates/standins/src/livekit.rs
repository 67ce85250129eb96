//! LiveKit's stand-in: rooms, agents that take jobs and dial, calls that ring and end, recordings, signed webhooks.
//!
//! Two ports. The control port is always up: `/_control`, `/_log`, `/_down`, `/_up`, what `control` adds, and the API too.
//! The API port serves the API alone and can be taken down; `LIVEKIT_URL` of a service under test points there.
//!
//! The API is Twirp, over protobuf and JSON: `livekit.RoomService`, `livekit.AgentDispatchService`, `livekit.SIP` and
//! `livekit.Egress` as far as Switchhook and LiveKit's own clients ask them. Tokens and grants are judged, and
//! refusals worded, as LiveKit's source has them: an unknown key is told in plain text, not in Twirp's JSON; a room
//! that is not there answers as a server that is away does (`unavailable`).
//!
//! A dispatch finds a worker that takes the job, whose agent dials the `destination` of the dispatch's metadata; how the
//! call goes is a [`Plan`]. Every job that a worker took is kept in a book ([`Acted`]), so that a test can prove that a
//! number was dialled at most once.
//!
//! Reading order: `api` (URL table), `wire` (Twirp), `token`, `room` and `world` (what there is), `rooms`, `dispatches`, `calls`,
//! `recordings` (what is done), `webhooks` (what is told), `control`.

mod api;
mod calls;
mod control;
mod delivery;
mod dispatches;
mod plan;
mod recordings;
mod room;
mod rooms;
mod token;
mod values;
mod webhooks;
mod wire;
mod world;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::control::Control;
use crate::doors::Doors;
use crate::log::{Direction, Entry};
pub use delivery::{Delivery, InWhichOrder};
pub use plan::{Ending, Plan, RecordingEnding};
pub use room::{Acted, RoomSeen};
use world::Platform;

/// Path of the service that takes the webhooks.
pub const WEBHOOK_PATH: &str = "/livekit/webhook";
/// The API key of a stand-in that is started without one.
pub const DEFAULT_KEY: &str = "APIswitchhook";
/// Its secret.
pub const DEFAULT_SECRET: &str = "a-secret-that-is-long-enough-to-sign-with";

/// How a stand-in is started.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; the loopback address by default.
    pub ip: IpAddr,
    /// The port that is always up; 0 takes a free one.
    pub control_port: u16,
    /// The port that can be taken down; 0 takes a free one.
    pub api_port: u16,
    /// API keys with their secrets. The first one signs the webhooks.
    pub keys: Vec<(String, String)>,
    /// Base URL of `dispatch-bridge-svc`. Without it no webhook is sent.
    pub service_url: Option<String>,
    /// How long one webhook may take.
    pub webhook_timeout: Duration,
    /// How often a webhook is sent at most.
    pub tries: u32,
    /// Before the second try of a webhook; doubles with each further one.
    pub between_tries: Duration,
    /// Whether a dispatch makes a room that is not there.
    pub auto_create: bool,
    /// How long LiveKit looks for a room before it says that nobody answers.
    pub unheard: Duration,
    /// Workers that take jobs.
    pub workers: usize,
    /// How a call goes that no other plan fits.
    pub plan: Plan,
    /// How long a recording takes to start, and to be finished.
    pub recording_starts: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            control_port: 0,
            api_port: 0,
            keys: vec![(DEFAULT_KEY.to_owned(), DEFAULT_SECRET.to_owned())],
            service_url: None,
            webhook_timeout: Duration::from_secs(10),
            tries: 5,
            between_tries: Duration::from_secs(1),
            auto_create: true,
            unheard: Duration::from_secs(1),
            workers: 1,
            plan: Plan::default(),
            recording_starts: Duration::from_millis(200),
        }
    }
}

/// A running stand-in; it stops when this is dropped.
pub struct LiveKit {
    platform: Arc<Platform>,
    doors: Doors<Platform>,
}

impl LiveKit {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// A port that cannot be bound.
    pub fn start(options: Options) -> io::Result<Self> {
        let (ip, control_port, api_port) = (options.ip, options.control_port, options.api_port);
        let platform = Arc::new(Platform::new(options));
        let doors = Doors::open(&platform, ip, control_port, api_port)?;
        platform.close_idle_rooms();
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

    /// Tells where `dispatch-bridge-svc` is.
    pub fn set_service(&self, url: &str) {
        self.platform.webhooks.set_service(url);
    }

    /// How many workers take jobs; with none, dispatches wait for nobody.
    pub fn set_workers(&self, workers: usize) {
        self.platform.set_workers(workers);
    }

    /// Says how coming calls go. The first plan that fits a call is used.
    pub fn plan(&self, plan: Plan) {
        self.platform.add_plan(plan);
    }

    /// Forgets all plans but the one that the stand-in was started with.
    pub fn clear_plans(&self) {
        self.platform.clear_plans();
    }

    /// Says how coming recordings go.
    pub fn record(&self, ending: RecordingEnding) {
        self.platform.set_recording(ending);
    }

    /// Says how webhooks arrive from now on.
    pub fn set_delivery(&self, delivery: Delivery) {
        self.platform.webhooks.set_delivery(delivery);
    }

    /// Sends the webhooks that are held back to come in reverse order.
    pub fn flush_webhooks(&self) {
        self.platform.webhooks.flush();
    }

    /// Signs a webhook and sends it, with its tries; true for a 2xx.
    pub async fn send(&self, body: &Value) -> bool {
        self.platform.webhooks.deliver(body.to_string().into()).await
    }

    /// The `Authorization` of a webhook with this body.
    #[must_use]
    pub fn signed(&self, body: &str) -> String {
        self.platform.webhooks.signed(body.as_bytes())
    }

    /// Every job that a worker took, in their order.
    #[must_use]
    pub fn acted(&self) -> Vec<Acted> {
        self.platform.world().acted.clone()
    }

    /// How many workers came for a job and found the dispatch or its room gone.
    #[must_use]
    pub fn turned_away(&self) -> usize {
        self.platform.world().turned_away
    }

    /// Every room that is open, and those that were, as far as they are remembered.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomSeen> {
        self.platform.world().seen()
    }

    /// The names of the rooms that are open.
    #[must_use]
    pub fn open_rooms(&self) -> Vec<String> {
        self.platform.world().rooms.keys().cloned().collect()
    }

    /// Lets a call ring that is being dialled; false when there is none.
    pub fn ring(&self, room: &str) -> bool {
        self.platform.ring(room)
    }

    /// Answers the call of a room; false when none waits for that.
    pub fn answer(&self, room: &str) -> bool {
        self.platform.answer_call(room)
    }

    /// The callee hangs up, or declines; false when there is no call.
    pub fn hang_up(&self, room: &str) -> bool {
        self.platform.hang_up(room)
    }

    /// Closes a room as when its time is up; false when it is not there.
    pub fn close_room(&self, room: &str) -> bool {
        self.platform.close_as_idle(room)
    }

    /// Adds an order for a coming request; false when too many wait already.
    pub fn push(&self, control: Control) -> bool {
        self.platform.orders.push(control)
    }

    /// Removes all orders.
    pub fn clear(&self) {
        self.platform.orders.clear(None, &Map::new());
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

    /// Whether requests are written down from now on. For load programs: that costs more than to answer them.
    pub fn set_logging(&self, on: bool) {
        self.platform.log.set_open(on);
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

impl Drop for LiveKit {
    fn drop(&mut self) {
        self.platform.stop();
    }
}
