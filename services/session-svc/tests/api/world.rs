//! What every test needs: a replica, n8n's stand-in, and short words for requests.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use session_svc::app::SessionSvc;
use sqlx::PgPool;
pub(crate) use switchhook_chassis::testing::failed;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_standins::control::{Break, Mode};
use switchhook_standins::log::Entry;
use switchhook_standins::{Control, N8n, Options};

/// Longest that anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Path of the webhook that starts a session.
pub(crate) const WEBHOOK: &str = "/webhook/ai-session";
/// The user of most tests.
pub(crate) const ADA: &str = "ada";

/// One replica and one n8n.
pub(crate) struct World {
    pub(crate) app: TestApp<SessionSvc>,
    pub(crate) n8n: N8n,
}

impl World {
    /// With an n8n that answers at once and does nothing more.
    pub(crate) async fn new(pool: &PgPool) -> Self {
        let world = Self::with(pool, &[]).await;
        world.n8n.push(Control {
            mode: Some(Mode::Silent),
            times: 0,
            ..Control::default()
        });
        world
    }

    /// With an n8n that was told nothing, and other settings.
    pub(crate) async fn with(pool: &PgPool, settings: &[(&str, &str)]) -> Self {
        let n8n = N8n::start(Options::default()).unwrap();
        let app = replica(pool, &n8n, settings).await;
        n8n.set_session(&app.url(""), Some(app.secret()));
        Self { app, n8n }
    }

    /// With an n8n that answers the next start like this.
    pub(crate) async fn answering(pool: &PgPool, control: Control) -> Self {
        let world = Self::with(pool, &[]).await;
        world.n8n.push(control);
        world.n8n.push(Control {
            mode: Some(Mode::Silent),
            times: 0,
            ..Control::default()
        });
        world
    }

    /// Starts a session of Ada.
    pub(crate) async fn begin(&self, limit: i64) -> Value {
        self.app.begin(ADA, limit).await
    }

    /// Waits until n8n has received a number of starts.
    pub(crate) async fn received(&self, count: usize) -> Vec<Entry> {
        let entries = self.n8n.wait_for(WEBHOOK, count, SOON).await;
        assert_eq!(entries.len(), count, "starts that n8n received");
        entries
    }
}

/// One more replica on the same database.
pub(crate) async fn replica(pool: &PgPool, n8n: &N8n, settings: &[(&str, &str)]) -> TestApp<SessionSvc> {
    let url = n8n.webhook_url("ai-session");
    let mut all = vec![("N8N_WEBHOOK_URL", url.as_str())];
    all.extend(settings);
    TestApp::start(pool, &all).await
}

/// Short words for requests to one replica.
pub(crate) trait Ask {
    fn app(&self) -> &TestApp<SessionSvc>;

    /// A report by webhook.
    async fn report(&self, body: Value) -> Response {
        self.app().as_n8n("/api/ai-session/webhook", body).await
    }

    /// A claim.
    async fn claim(&self, id: &str, body: Value) -> Value {
        json_of(
            self.app()
                .as_n8n(&format!("/api/ai-session/{id}/calls"), body)
                .await,
            200,
        )
        .await
    }

    /// Starts a session.
    async fn begin(&self, user: &str, limit: i64) -> Value {
        let body = json!({"dailyCallLimit": limit});
        json_of(self.app().post(user, "/api/ai-session/start", body).await, 201).await["session"].clone()
    }

    /// A session as a machine sees it.
    async fn session(&self, id: &str) -> Value {
        let app = self.app();
        let url = app.url(&format!("/api/ai-session/{id}"));
        let asked = app
            .client()
            .get(url)
            .header("x-n8n-webhook-secret", app.secret())
            .send();
        json_of(asked.await.unwrap(), 200).await["session"].clone()
    }

    /// Waits until a session is as described.
    async fn until(&self, id: &str, described: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let session = self.session(id).await;
            described(&session).then_some(session)
        };
        eventually(look, SOON).await
    }

    /// Waits until the delivery of a session is in a state.
    async fn until_delivery(&self, id: &str, state: &str) -> Value {
        self.until(id, |session| session["delivery"]["state"] == state)
            .await
    }
}

impl Ask for TestApp<SessionSvc> {
    fn app(&self) -> &TestApp<SessionSvc> {
        self
    }
}

/// n8n takes the start and the connection breaks before its answer; the workflow does nothing.
pub(crate) fn lost_answer() -> Control {
    Control {
        mode: Some(Mode::Silent),
        drop: Some(Break::After),
        ..Control::default()
    }
}

/// The id of a session.
pub(crate) fn id(session: &Value) -> String {
    session["id"].as_str().unwrap().to_owned()
}
