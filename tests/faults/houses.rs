//! One write and one read of each service, and how the database tells what came of the writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use devstack::{Builder, Stack};
use e2e::people::{CallOwner, client, now};
use e2e::visitors::Visitor;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use switchhook_standins::Control;
use switchhook_standins::control::Mode;
use switchhook_standins::livekit::Plan;

const AGENT: &str = "agent_of_the_faults";
const SECRET_HEADER: &str = "x-n8n-webhook-secret";
/// Chats that are written to in turn: one alone would reach its rate.
const CHATS: usize = 8;
/// Whoever reads.
const READER: &str = "reader";

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum House {
    Session,
    Chat,
    Retell,
    Dispatch,
    Tasks,
}

pub(crate) const HOUSES: [House; 5] = [
    House::Session,
    House::Chat,
    House::Retell,
    House::Dispatch,
    House::Tasks,
];

/// What an answer to a write means to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// It is done.
    Done,
    /// Nobody knows whether somebody was dialled, and nobody will try.
    Unknown,
    /// It was not done, or may not have been: try again.
    Again,
    /// Nothing that may be answered.
    Wrong,
}

impl House {
    /// The name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session-svc",
            Self::Chat => "chat-ws-svc",
            Self::Retell => "retell-ingest-svc",
            Self::Dispatch => "dispatch-bridge-svc",
            Self::Tasks => "task-chat-svc",
        }
    }

    /// Every write that is stored, by its number, and how often.
    fn stored_sql(self) -> &'static str {
        match self {
            Self::Session => {
                "SELECT user_id, count(*) FROM session.ai_sessions WHERE user_id LIKE 'w-%' GROUP BY 1"
            }
            Self::Chat => {
                "SELECT body, count(*) FROM chat.entries WHERE kind = 'message' AND body LIKE 'w-%' GROUP BY 1"
            }
            Self::Retell => {
                "SELECT c.call_id, count(*) FROM retell.events e JOIN retell.calls c ON c.id = e.call GROUP BY 1"
            }
            Self::Dispatch => {
                "SELECT idempotency_key, count(*) FROM dispatch.dispatches WHERE idempotency_key LIKE 'w-%' GROUP BY 1"
            }
            Self::Tasks => {
                "SELECT message, count(*) FROM task_chat.messages WHERE message LIKE 'w-%' GROUP BY 1"
            }
        }
    }

    /// What an answer says.
    pub(crate) fn means(self, status: u16, body: &Value) -> Means {
        match (self, status, body["code"].as_str()) {
            (_, 200..=299, _) => Means::Done,
            // The start whose answer was lost.
            (Self::Session, 409, Some("session_already_active")) => Means::Done,
            (Self::Dispatch, 502 | 504, Some("outcome_unknown")) => Means::Unknown,
            (_, 503, _) => Means::Again,
            _ => Means::Wrong,
        }
    }
}

/// Everybody who writes and reads.
#[derive(Clone)]
pub(crate) struct Desk {
    client: Client,
    urls: BTreeMap<House, String>,
    secret: String,
    jwt: Arc<dyn Fn(&str) -> String + Send + Sync>,
    chats: Vec<String>,
    start_ms: i64,
}

/// A stack of all services whose stand-ins answer at once and whose calls are over soon.
pub(crate) fn street() -> Builder {
    Stack::builder()
        .set("SEND_MESSAGE_RATE", "6000")
        .set("VISITOR_RATE", "6000")
        .set("CONNECTIONS_PER_ADDRESS", "100000")
        .set("RUST_LOG", "warn")
}

impl Desk {
    /// Prepares what the writes need.
    pub(crate) async fn open(stack: &Stack) -> Self {
        stack.n8n().push(Control {
            path: Some(switchhook_standins::n8n::CALLBACK_PATH.to_owned()),
            times: 0,
            mode: Some(Mode::Silent),
            ..Control::default()
        });
        stack.livekit().plan(Plan {
            rings: Duration::from_millis(50),
            talks: Duration::from_millis(200),
            ..Plan::default()
        });
        CallOwner::of(stack, 0, READER).connect(AGENT).await;
        let sockets = stack.replica(House::Chat.name(), 0).ws_url().unwrap();
        let replica = sockets.trim_start_matches("ws://").split('/').next().unwrap();
        let mut chats = Vec::new();
        for nth in 0..CHATS {
            let mut visitor = Visitor::new(format!("chat-{nth}"));
            visitor.connect(replica).await.unwrap();
            chats.push(visitor.session.clone());
        }
        let urls = HOUSES.map(|house| (house, stack.url(house.name(), 0).to_owned()));
        let keys = stack.keys().clone();
        let signed = move |sub: &str| e2e::people::token_with(&keys, sub, &json!({}));
        Self {
            client: client(),
            urls: urls.into(),
            secret: stack.keys().webhook_secret.clone(),
            jwt: Arc::new(signed),
            chats,
            start_ms: now().timestamp_millis(),
        }
    }

    pub(crate) fn url(&self, house: House, path: &str) -> String {
        format!("{}{path}", self.urls[&house])
    }

    /// The same people with connections of their own.
    pub(crate) fn with_client(&self, client: Client) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    fn machine(&self, house: House, path: &str) -> RequestBuilder {
        let request = self.client.post(self.url(house, path));
        request.header(SECRET_HEADER, &self.secret)
    }

    fn user(&self, house: House, path: &str, sub: &str) -> RequestBuilder {
        self.client
            .post(self.url(house, path))
            .bearer_auth((self.jwt)(sub))
    }

    /// The write of this number; the same again is the same write.
    pub(crate) fn write(&self, house: House, nth: usize) -> RequestBuilder {
        let name = name(nth);
        match house {
            House::Session => self
                .user(house, "/api/ai-session/start", &name)
                .json(&json!({"dailyCallLimit": 5})),
            House::Chat => {
                let chat = &self.chats[nth % self.chats.len()];
                self.machine(house, "/api/send-message").json(
                    &json!({"sessionId": chat, "text": name, "whenOffline": "store", "idempotencyKey": name}),
                )
            }
            House::Retell => self.machine(house, "/api/n8n/retell-webhook").json(
                &json!({"event": "call_started", "call": {"call_id": name, "agent_id": AGENT,
                    "start_timestamp": self.start_ms}}),
            ),
            House::Dispatch => self
                .machine(house, "/dispatch")
                .header("Idempotency-Key", &name)
                .json(
                    &json!({"destination": format!("6140{nth:07}"), "account_code": "faults",
                    "metadata": {"ticket_id": name}}),
                ),
            House::Tasks => self
                .user(house, "/api/tasks/assign-user-task", READER)
                .header("Idempotency-Key", &name)
                .json(&json!({"agentId": "echo", "message": name})),
        }
    }

    /// A read that needs the database.
    pub(crate) fn read(&self, house: House) -> RequestBuilder {
        let get = |path: &str| self.client.get(self.url(house, path));
        match house {
            House::Session => get("/api/ai-session/status").bearer_auth((self.jwt)(READER)),
            House::Chat => get("/api/sessions?state=all").header(SECRET_HEADER, &self.secret),
            House::Retell => get("/api/retell/calls?limit=5").bearer_auth((self.jwt)(READER)),
            House::Dispatch => get("/dispatches?limit=5").header(SECRET_HEADER, &self.secret),
            House::Tasks => get("/api/tasks?limit=5").bearer_auth((self.jwt)(READER)),
        }
    }

    /// Whether a probe says yes, and the reason where it does not; nothing where there is no answer at all.
    pub(crate) async fn probe(&self, house: House, path: &str) -> Option<(u16, Option<String>)> {
        let asked = self
            .client
            .get(self.url(house, path))
            .timeout(Duration::from_secs(10));
        let answer = asked.send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        Some((status, body["reason"].as_str().map(str::to_owned)))
    }
}

/// What the write of this number is called everywhere.
pub(crate) fn name(nth: usize) -> String {
    format!("w-{nth}")
}

/// How often each write is stored.
pub(crate) async fn stored(database: &str, house: House) -> BTreeMap<String, i64> {
    let mut conn = PgConnection::connect(database).await.unwrap();
    let rows: Vec<(String, i64)> = sqlx::query_as(house.stored_sql())
        .fetch_all(&mut conn)
        .await
        .unwrap();
    rows.into_iter().collect()
}

/// Everything acknowledged is stored, and nothing is stored twice.
pub(crate) fn judge(house: House, acknowledged: &[usize], stored: &BTreeMap<String, i64>) -> Result<()> {
    for nth in acknowledged {
        let count = stored.get(&name(*nth)).copied();
        ensure!(
            count == Some(1),
            "{house:?}: write {nth} was acknowledged and is stored {count:?} times"
        );
    }
    let twice: Vec<_> = stored.iter().filter(|(_, count)| **count != 1).collect();
    ensure!(twice.is_empty(), "{house:?}: stored more than once: {twice:?}");
    Ok(())
}

/// The numbers that LiveKit acted on, each once.
pub(crate) fn nobody_is_dialled_twice(stack: &Stack) -> usize {
    let mut tickets = BTreeSet::new();
    for one in stack.livekit().acted() {
        let metadata: Value = serde_json::from_str(&one.metadata).unwrap();
        let ticket = metadata["ticket_id"].as_str().unwrap().to_owned();
        assert!(tickets.insert(ticket.clone()), "{ticket} was dialled twice");
    }
    tickets.len()
}
