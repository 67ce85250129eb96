//! A visitor's browser: a WebSocket, the frames that it was sent, and what brings the chat back.

use std::time::Duration;

use chat_ws_svc::app::ChatWsSvc;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::TestApp;
use switchhook_standins::control::Mode;
use switchhook_standins::{Control, N8n, Options};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longest that anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A replica.
pub(crate) type App = TestApp<ChatWsSvc>;

/// A bot that takes every message and says nothing.
pub(crate) fn silent_bot() -> N8n {
    let n8n = N8n::start(Options::default()).unwrap();
    n8n.push(Control {
        times: 0,
        status: Some(200),
        mode: Some(Mode::Silent),
        body: Some(json!({"message": "Workflow was started"})),
        ..Control::default()
    });
    n8n
}

/// A replica whose bot this is. Siblings reach it: they are told the machine's name.
pub(crate) async fn replica(pool: &PgPool, n8n: &N8n, settings: &[(&str, &str)]) -> App {
    let webhook = n8n.webhook_url("chat");
    let mut all = vec![
        ("BIND_ADDR", "0.0.0.0:0"),
        ("WS_BIND_ADDR", "127.0.0.1:0"),
        ("N8N_WEBHOOK_URL", webhook.as_str()),
        ("CONNECTIONS_PER_ADDRESS", "10000"),
        // Everybody goes at once when a test is over.
        ("SHUTDOWN_TIMEOUT", "2s"),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(given, _)| given == name));
    all.extend(settings);
    TestApp::start(pool, &all).await
}

/// How a visitor connects.
#[derive(Debug, Default, Clone)]
pub(crate) struct Door {
    /// Behind `/ws`.
    pub(crate) query: String,
    /// Protocols that are offered.
    pub(crate) protocols: Option<String>,
    /// Further headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Door {
    /// Without anything.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = query.to_owned();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn resume(mut self, token: &str) -> Self {
        self.protocols = Some(format!("switchhook.v1, resume.{token}"));
        self
    }

    /// Connects; what comes first is left to be read.
    pub(crate) async fn open(&self, app: &App) -> Visitor {
        let address = app.state().ws_addr().expect("the WebSocket is bound");
        let mut request = format!("ws://{address}/ws{}", self.query)
            .into_client_request()
            .unwrap();
        if let Some(protocols) = &self.protocols {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocols.parse().unwrap());
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(address).await.unwrap();
        let shaken = tokio::time::timeout(SOON, tokio_tungstenite::client_async(request, tcp)).await;
        let (socket, response) = shaken.expect("the handshake ends in time").unwrap();
        let selected = response.headers().get("sec-websocket-protocol");
        let selected = selected.map(|protocol| protocol.to_str().unwrap().to_owned());
        assert_eq!(
            selected.as_deref(),
            self.protocols.as_ref().map(|_| "switchhook.v1")
        );
        Visitor {
            socket,
            session: String::new(),
            token: String::new(),
            greeting: Value::Null,
        }
    }

    /// Connects and reads the first frame.
    pub(crate) async fn enter(&self, app: &App) -> Visitor {
        let mut visitor = self.open(app).await;
        let greeting = visitor.frame().await;
        assert_eq!(greeting["type"], "session", "{greeting}");
        visitor.session = greeting["sessionId"].as_str().unwrap().to_owned();
        visitor.token = greeting["resumeToken"].as_str().unwrap().to_owned();
        visitor.greeting = greeting;
        visitor
    }
}

/// A connected visitor.
pub(crate) struct Visitor {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) session: String,
    pub(crate) token: String,
    pub(crate) greeting: Value,
}

impl Visitor {
    /// A new one.
    pub(crate) async fn new(app: &App) -> Self {
        Door::new().enter(app).await
    }

    /// Another connection of the same chat, which has seen this message last.
    pub(crate) async fn again(&self, app: &App, after: &str) -> Self {
        let query = if after.is_empty() {
            String::new()
        } else {
            format!("?after={after}")
        };
        Door::new().query(&query).resume(&self.token).enter(app).await
    }

    /// Sends anything.
    pub(crate) async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Writes, and waits until it is stored. Gives the message's id.
    pub(crate) async fn say(&mut self, text: &str, client_id: &str) -> String {
        self.send(&json!({"type": "message", "text": text, "clientId": client_id}))
            .await;
        let ack = self.frame_of("ack").await;
        assert_eq!(ack["clientId"], client_id, "{ack}");
        ack["messageId"].as_str().unwrap().to_owned()
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        match self.next().await {
            Ok(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no frame came but {other:?}"),
        }
    }

    /// The next frame of a kind; others are passed over.
    pub(crate) async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code that it is closed with; frames before that are passed over.
    pub(crate) async fn closed(mut self) -> u16 {
        loop {
            match self.next().await {
                Ok(Message::Close(Some(close))) => {
                    // The end of the handshake: the server hangs up.
                    let ended = tokio::time::timeout(SOON, self.socket.next())
                        .await
                        .expect("it hangs up");
                    assert!(
                        matches!(ended, None | Some(Err(Error::ConnectionClosed))),
                        "{ended:?}"
                    );
                    return close.code.into();
                }
                Ok(Message::Text(_)) => {}
                other => panic!("no Close came but {other:?}"),
            }
        }
    }

    /// Says goodbye and waits until that is answered.
    pub(crate) async fn leave(mut self) {
        let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.socket.close(Some(close)).await.unwrap();
        while let Ok(Some(Ok(_))) = tokio::time::timeout(SOON, self.socket.next()).await {}
    }

    /// The next message, pings aside.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let next = tokio::time::timeout_at(deadline, self.socket.next()).await;
            let next = next.expect("something comes in time");
            match next.expect("the connection is open") {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => return other,
            }
        }
    }
}
