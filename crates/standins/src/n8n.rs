//! n8n's stand-in: production webhooks, and the workflow behind them that makes a session's calls.
//!
//! Two ports. The control port is always up: `/_control`, `/_log`, `/_down`, `/_up`, and the webhooks too. The webhook
//! port serves the webhooks alone and can be taken down, as n8n is when it is stopped; `N8N_WEBHOOK_URL` of a service
//! under test points there.
//!
//! | request | does |
//! |---|---|
//! | `POST /webhook/ai-session` | answers `{"message":"Workflow was started"}`, makes the calls, reports by callback |
//! | `POST /webhook/ai-session-respond` | makes the calls, answers the waiting request at the end |
//! | `POST /webhook/task-agent` | answers `{"message":"Workflow was started"}`, and the user by `callbackUrl` a little later |
//! | `POST /webhook/task-agent-respond` | answers the user in the waiting request |
//! | `POST /webhook/chat` | answers `{"text":"You said: …"}`; a Chat Trigger's request with `output` |
//! | `POST /webhook/chat-stream` | the same, streamed token by token |
//! | `POST /webhook/call-result` | answers `{"message":"Workflow was started"}` and does nothing more |
//! | any other path | n8n's 404, unless an order says otherwise |
//!
//! The bodies, labels and headers are those of n8n 2.41.

mod agent;
mod answers;
mod campaign;
mod chat;
mod request;
mod routes;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::control::{Control, Orders, has_values};
use crate::doors::Doors;
use crate::log::{Entry, Log};

/// Path of the workflow that answers at once and reports by callback.
pub const CALLBACK_PATH: &str = "/webhook/ai-session";
/// Path of the workflow that answers the waiting request at the end.
pub const RESPOND_PATH: &str = "/webhook/ai-session-respond";
/// Path of the agent that answers by webhook.
pub const AGENT_PATH: &str = "/webhook/task-agent";
/// Path of the agent that answers the waiting request.
pub const AGENT_RESPOND_PATH: &str = "/webhook/task-agent-respond";
/// Path of the bot that answers a visitor as a whole.
pub const CHAT_PATH: &str = "/webhook/chat";
/// Path of the bot that streams its answer.
pub const CHAT_STREAM_PATH: &str = "/webhook/chat-stream";
/// Path of the workflow that takes the results of calls.
pub const CALL_RESULT_PATH: &str = "/webhook/call-result";
/// Paths of all workflows.
const PATHS: [&str; 7] = [
    CALL_RESULT_PATH,
    CALLBACK_PATH,
    RESPOND_PATH,
    AGENT_PATH,
    AGENT_RESPOND_PATH,
    CHAT_PATH,
    CHAT_STREAM_PATH,
];
/// A streamed answer's lines come this many times as fast as a whole one.
const LINES_WHILE_THINKING: u32 = 10;
/// Requests that the workflows of all sessions make at a time.
const MAX_REQUESTS: usize = 64;

/// How a stand-in is started.
#[derive(Clone)]
pub struct Options {
    /// Where it listens; the loopback address by default.
    pub ip: IpAddr,
    /// The port that is always up; 0 takes a free one.
    pub control_port: u16,
    /// The port that can be taken down; 0 takes a free one.
    pub webhook_port: u16,
    /// What `x-n8n-webhook-secret` must hold; none admits everybody.
    pub secret: Option<String>,
    /// Base URL of `session-svc`. Without it the workflow counts calls without claiming or reporting them.
    pub session_url: Option<String>,
    /// What the workflows themselves present to our services.
    pub machine_secret: Option<String>,
    /// How long an agent or a bot thinks before it answers.
    pub thinking: Duration,
    /// Time between two calls of a session.
    pub call_interval: Duration,
    /// A session's calls are made faster when they would take longer than this.
    pub longest_run: Duration,
    /// Most calls of one run.
    pub max_calls: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            control_port: 0,
            webhook_port: 0,
            secret: None,
            session_url: None,
            machine_secret: None,
            thinking: Duration::from_millis(1200),
            call_interval: Duration::from_millis(300),
            longest_run: Duration::from_secs(10),
            max_calls: 10_000,
        }
    }
}

/// A running stand-in; it stops when this is dropped.
pub struct N8n {
    workflows: Arc<Workflows>,
    doors: Doors<Workflows>,
}

impl N8n {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// A port that cannot be bound.
    pub fn start(options: Options) -> io::Result<Self> {
        let (ip, control_port, webhook_port) = (options.ip, options.control_port, options.webhook_port);
        let workflows = Arc::new(Workflows::new(options));
        let doors = Doors::open(&workflows, ip, control_port, webhook_port)?;
        Ok(Self { workflows, doors })
    }

    /// Base URL of the control port, which is always up.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.doors.control.address())
    }

    /// URL of a webhook on the port that can be taken down: `webhook_url("ai-session")`.
    #[must_use]
    pub fn webhook_url(&self, path: &str) -> String {
        format!("http://{}/webhook/{path}", self.doors.outer.address())
    }

    /// Tells the workflow where `session-svc` is and what to present there.
    pub fn set_session(&self, url: &str, machine_secret: Option<&str>) {
        let target = Target {
            url: Some(url.to_owned()),
            secret: machine_secret.map(str::to_owned),
        };
        *self
            .workflows
            .target
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(target);
    }

    /// Tells the workflows what to present to our services, wherever those are.
    pub fn set_secret(&self, machine_secret: &str) {
        let mut target = self
            .workflows
            .target
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *target = Arc::new(Target {
            url: target.url.clone(),
            secret: Some(machine_secret.to_owned()),
        });
    }

    /// Adds an order for a coming request; false when too many wait already.
    pub fn push(&self, control: Control) -> bool {
        self.workflows.orders.push(control)
    }

    /// Removes all orders and releases every held request.
    pub fn clear(&self) {
        self.workflows.clear_and_release(None, &Map::new());
    }

    /// Everything that came, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.workflows.log.list(None, None)
    }

    /// What came to one path, oldest first.
    #[must_use]
    pub fn log_of(&self, path: &str) -> Vec<Entry> {
        self.workflows.log.list(Some(path), None)
    }

    /// Waits until `count` requests came to the path, and gives what came by then or when the time is up.
    pub async fn wait_for(&self, path: &str, count: usize, within: Duration) -> Vec<Entry> {
        self.workflows.log.wait_for(Some(path), count, within).await
    }

    /// Forgets what came.
    pub fn clear_log(&self) {
        self.workflows.log.clear();
    }

    /// How many requests are held at the moment.
    #[must_use]
    pub fn held(&self) -> usize {
        self.workflows
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            .len()
    }

    /// Breaks the webhook port's connections and refuses new ones.
    ///
    /// # Errors
    /// The port could not be kept.
    pub async fn down(&self) -> io::Result<()> {
        self.doors.outer.down().await
    }

    /// Accepts on the webhook port again.
    ///
    /// # Errors
    /// The port could not be opened.
    pub async fn up(&self) -> io::Result<()> {
        self.doors.outer.up().await
    }
}

impl Drop for N8n {
    fn drop(&mut self) {
        self.workflows
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

/// Where the workflow's own requests go.
struct Target {
    url: Option<String>,
    secret: Option<String>,
}

/// What both doors share.
pub(crate) struct Workflows {
    options: Options,
    target: Mutex<Arc<Target>>,
    orders: Orders,
    log: Log,
    held: Mutex<Held>,
    runs: Mutex<JoinSet<()>>,
    requests: Semaphore,
}

/// Requests that wait to be released.
#[derive(Default)]
struct Held {
    next: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    number: u64,
    path: String,
    body: Option<Value>,
    release: oneshot::Sender<()>,
}

impl Workflows {
    fn new(options: Options) -> Self {
        let target = Target {
            url: options.session_url.clone(),
            secret: options.machine_secret.clone(),
        };
        Self {
            options,
            target: Mutex::new(Arc::new(target)),
            orders: Orders::default(),
            log: Log::default(),
            held: Mutex::new(Held::default()),
            runs: Mutex::new(JoinSet::new()),
            requests: Semaphore::new(MAX_REQUESTS),
        }
    }

    fn target(&self) -> Arc<Target> {
        Arc::clone(&self.target.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the request is released; the place is given up when the caller hangs up meanwhile.
    async fn hold(&self, path: &str, body: Option<&Value>) {
        let (release, released) = oneshot::channel();
        let number = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.next += 1;
            let number = held.next;
            held.waiting.push(Waiting {
                number,
                path: path.to_owned(),
                body: body.cloned(),
                release,
            });
            number
        };
        let _place = Place {
            workflows: self,
            number,
        };
        // An error means that the sender is gone, which releases as well.
        let _ = released.await;
    }

    /// Removes the orders that the filter names and releases the held requests it names.
    fn clear_and_release(&self, path: Option<&str>, values: &Map<String, Value>) {
        self.orders.clear(path, values);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |waiting: &Waiting| {
            path.is_none_or(|path| waiting.path == path) && has_values(waiting.body.as_ref(), values)
        };
        let (released, kept) = held.waiting.drain(..).partition(named);
        held.waiting = kept;
        drop(held);
        release_all(released);
    }
}

fn release_all(waiting: Vec<Waiting>) {
    for request in waiting {
        // The caller may have hung up; then there is nobody to release.
        let _ = request.release.send(());
    }
}

/// Takes a held request off the list when its caller goes away.
struct Place<'a> {
    workflows: &'a Workflows,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.workflows.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = held
            .waiting
            .binary_search_by_key(&self.number, |waiting| waiting.number)
        {
            held.waiting.remove(at);
        }
    }
}
