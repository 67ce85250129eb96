//! What the tests of the HTTP side need: a replica, a bot, operators, and short words for requests.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::PgPool;
pub(crate) use switchhook_chassis::testing::failed;
use switchhook_chassis::testing::{TokenSpec, eventually, json_of};
use switchhook_standins::control::Mode;
use switchhook_standins::{Control, N8n, Options};

use crate::ws_client::{App, SOON, Visitor, replica};

/// Where machines and operators write to visitors.
pub(crate) const SEND: &str = "/api/send-message";
/// The operator of most tests.
pub(crate) const SAM: &str = "sam";

/// One replica and one bot, which answers at once.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) n8n: N8n,
}

impl World {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        Self::with(pool, &[]).await
    }

    pub(crate) async fn with(pool: &PgPool, settings: &[(&str, &str)]) -> Self {
        let n8n = n8n();
        let app = replica(pool, &n8n, settings).await;
        Self { app, n8n }
    }

    /// With a bot that takes every message and says nothing.
    pub(crate) async fn silent(pool: &PgPool) -> Self {
        let world = Self::new(pool).await;
        world.n8n.push(silent());
        world
    }
}

/// An n8n whose bots do not think long.
pub(crate) fn n8n() -> N8n {
    N8n::start(Options {
        thinking: std::time::Duration::from_millis(1),
        ..Options::default()
    })
    .unwrap()
}

/// The bot takes every message and says nothing.
pub(crate) fn silent() -> Control {
    Control {
        mode: Some(Mode::Silent),
        times: 0,
        ..Control::default()
    }
}

/// The next message waits until it is released; then the bot says this.
pub(crate) fn held(body: Value) -> Control {
    Control {
        mode: Some(Mode::Hold),
        body: Some(body),
        ..Control::default()
    }
}

/// The next message is answered like this.
pub(crate) fn says(status: u16, body: Value) -> Control {
    Control {
        status: Some(status),
        body: Some(body),
        ..Control::default()
    }
}

/// An operator of some channels, or of all (`"*"`).
pub(crate) fn operator_of(app: &App, sub: &str, channels: Value) -> String {
    let exp = app.kit().clock.now().timestamp() + 3600;
    app.token(
        &TokenSpec::user(sub, exp)
            .with("role", "operator")
            .with("name", sub.to_uppercase())
            .with("channels", channels),
    )
}

/// Short words for requests to a replica.
pub(crate) trait Ask {
    fn app(&self) -> &App;

    /// A request with any token or secret.
    async fn bearing(&self, bearer: &str, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self
            .app()
            .client()
            .request(method, self.app().url(path))
            .bearer_auth(bearer);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// A request of an operator of the default channel.
    async fn as_operator(&self, sub: &str, method: Method, path: &str, body: Option<Value>) -> Response {
        self.bearing(&self.app().operator(sub), method, path, body).await
    }

    /// What a machine reads.
    async fn read(&self, path: &str) -> Value {
        json_of(self.app().as_machine(Method::GET, path, None).await, 200).await
    }

    /// A chat as lists show it.
    async fn chat(&self, session: &str) -> Value {
        self.read(&format!("/api/sessions/{session}")).await["session"].clone()
    }

    /// Waits until a chat is as described.
    async fn until(&self, session: &str, described: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let chat = self.chat(session).await;
            described(&chat).then_some(chat)
        };
        eventually(look, SOON).await
    }

    /// What was said in a chat.
    async fn transcript(&self, session: &str) -> Vec<Value> {
        let path = format!("/api/sessions/{session}/messages");
        self.read(&path).await["items"].as_array().unwrap().clone()
    }

    /// Waits until so many messages are in a chat.
    async fn until_said(&self, session: &str, count: usize) -> Vec<Value> {
        let look = || async {
            let said = self.transcript(session).await;
            (said.len() >= count).then_some(said)
        };
        eventually(look, SOON).await
    }

    /// Takes a chat over or hands it back.
    async fn hand_over(&self, bearer: &str, session: &str, what: &str, body: Value) -> Response {
        let path = format!("/api/sessions/{session}/{what}");
        self.bearing(bearer, Method::POST, &path, Some(body)).await
    }
}

impl Ask for App {
    fn app(&self) -> &App {
        self
    }
}

/// The answer to a message that is stored; on a busy machine it may be flushed too late for a 200.
pub(crate) async fn stored(response: Response) -> Value {
    let status = response.status().as_u16();
    assert!(status == 200 || status == 202, "{status}");
    json_of(response, status).await
}

/// A visitor who has left.
pub(crate) async fn gone(app: &App) -> (String, String) {
    let visitor = Visitor::new(app).await;
    let (session, token) = (visitor.session.clone(), visitor.token.clone());
    visitor.leave().await;
    app.until(&session, |chat| chat["connected"] == false).await;
    (session, token)
}

/// What messages say.
pub(crate) fn texts(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect()
}

/// A message to a visitor.
pub(crate) fn to(session: &str, text: &str) -> Value {
    json!({"sessionId": session, "text": text})
}
