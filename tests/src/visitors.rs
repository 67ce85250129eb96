//! Visitors of `chat-ws-svc`, each as the widget is one: connects, writes, comes back to whichever replica is there,
//! resumes after what it saw last, and resends what has no ack.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Longest that a connection, or its first frame, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small: there are thousands of them in one process.
const BUFFER_BYTES: usize = 512;

/// Replicas of the service, as `host:port` of their WebSockets.
pub type Replicas = Vec<String>;

/// One visitor, connected or not.
#[derive(Default)]
pub struct Visitor {
    /// His name in the test.
    pub name: String,
    /// His chat.
    pub session: String,
    token: String,
    /// The messages that he saw, in that order: others' and, by their acks, his own.
    pub seen: Vec<String>,
    known: BTreeSet<String>,
    /// The texts that others sent him.
    pub texts: Vec<String>,
    /// His own messages that are stored: his name for each, and its id.
    pub acked: BTreeMap<String, String>,
    unacked: BTreeMap<u32, String>,
    written: u32,
    /// When he came, the first time included: as he began to connect.
    pub connected_at: Vec<Instant>,
    /// When he was sent away.
    pub ended_at: Vec<Instant>,
    /// Frames that said that something was wrong.
    pub errors: Vec<Value>,
    socket: Option<WebSocketStream<TcpStream>>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A frame.
    Frame,
    /// The connection ended, with this code where it was closed in order.
    Ended(Option<u16>),
}

impl Visitor {
    /// Somebody who has never been here.
    pub fn new(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// What he resumes with; empty before he was let in.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether he is connected.
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether everything that he wrote has its ack.
    pub fn is_all_acked(&self) -> bool {
        self.unacked.is_empty()
    }

    /// Connects to a replica, reads which chat it is, and resends what has no ack.
    ///
    /// # Errors
    /// It is not there, or does not let him in.
    pub async fn connect(&mut self, replica: &str) -> Result<()> {
        let entering = tokio::time::timeout(PATIENCE, self.enter(replica));
        entering.await.context("it took too long to get in")?
    }

    async fn enter(&mut self, replica: &str) -> Result<()> {
        let begun = Instant::now();
        let after = self
            .seen
            .last()
            .map(|id| format!("?after={id}"))
            .unwrap_or_default();
        let mut request = format!("ws://{replica}/ws{after}").into_client_request()?;
        if !self.token.is_empty() {
            let protocols = format!("switchhook.v1, resume.{}", self.token).parse()?;
            request.headers_mut().insert("sec-websocket-protocol", protocols);
        }
        let tcp = TcpStream::connect(replica).await?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0);
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, tcp, Some(config)).await?;
        self.socket = Some(socket);
        let greeting = match self.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str::<Value>(&text)?,
            other => {
                self.socket = None;
                bail!("not let in: {other:?}")
            }
        };
        let field = |name: &str| {
            greeting[name]
                .as_str()
                .map(str::to_owned)
                .context("a greeting has it")
        };
        let (session, token) = (field("sessionId")?, field("resumeToken")?);
        if !self.session.is_empty() && self.session != session {
            bail!("the chat {} was not resumed but {session} begun", self.session);
        }
        (self.session, self.token) = (session, token);
        self.connected_at.push(begun);
        for (nth, text) in self.unacked.clone() {
            self.put(nth, &text).await;
        }
        Ok(())
    }

    /// Writes; where he is not connected, or is not any more, he resends it later. Gives his name for the message.
    pub async fn say(&mut self, text: &str) -> String {
        let nth = self.written;
        self.written += 1;
        self.unacked.insert(nth, text.to_owned());
        self.put(nth, text).await;
        format!("{}-{nth}", self.name)
    }

    async fn put(&mut self, nth: u32, text: &str) {
        let frame = json!({"type": "message", "text": text, "clientId": format!("{}-{nth}", self.name)});
        if let Some(socket) = &mut self.socket
            && socket.send(Message::text(frame.to_string())).await.is_err()
        {
            self.socket = None;
        }
    }

    /// Reads what comes next. Nothing is lost when this is dropped.
    ///
    /// # Panics
    /// On a frame that breaks what the service promises: an id that was seen before.
    pub async fn read(&mut self) -> Came {
        let came = self.take().await;
        if matches!(came, Came::Ended(_)) {
            self.ended_at.push(Instant::now());
        }
        came
    }

    async fn take(&mut self) -> Came {
        match self.next().await {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(&text).unwrap_or_default();
                self.note(&frame);
                Came::Frame
            }
            Some(Ok(Message::Close(close))) => {
                // The end of the handshake.
                let _ = tokio::time::timeout(PATIENCE, self.next()).await;
                self.socket = None;
                Came::Ended(close.map(|close| close.code.into()))
            }
            Some(Ok(_)) => Came::Frame,
            Some(Err(_)) | None => {
                self.socket = None;
                Came::Ended(None)
            }
        }
    }

    async fn next(&mut self) -> Option<Result<Message, tokio_tungstenite::tungstenite::Error>> {
        match &mut self.socket {
            Some(socket) => socket.next().await,
            None => None,
        }
    }

    /// Leaves without a word.
    pub fn vanish(&mut self) {
        self.socket = None;
    }

    fn note(&mut self, frame: &Value) {
        let id = || frame["messageId"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str() {
            Some("message") => {
                let is_new = self.known.insert(id());
                // His own ones come again where their ack was lost on its way.
                assert!(
                    is_new || frame["from"] == "user",
                    "{} got a message twice: {frame}",
                    self.name
                );
                if is_new {
                    self.seen.push(id());
                }
                if frame["from"] != "user" {
                    self.texts
                        .push(frame["text"].as_str().unwrap_or_default().to_owned());
                }
            }
            Some("ack") => {
                if self.known.insert(id()) {
                    self.seen.push(id());
                }
                let name = frame["clientId"].as_str().unwrap_or_default().to_owned();
                let nth = name.rsplit('-').next().and_then(|nth| nth.parse().ok());
                nth.and_then(|nth: u32| self.unacked.remove(&nth));
                let before = self.acked.insert(name, id());
                assert!(
                    before.is_none_or(|before| before == id()),
                    "{} has two acks: {frame}",
                    self.name
                );
            }
            Some("error") => self.errors.push(frame.clone()),
            _ => {}
        }
    }
}
