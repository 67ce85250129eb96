//! What every test needs: a replica, LiveKit's stand-in with an agent, n8n's stand-in for the results, and short words for
//! requests.

use std::sync::Arc;
use std::time::Duration;

use dispatch_bridge_svc::app::DispatchBridgeSvc;
use reqwest::Response;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::clock::{Clock, SystemClock};
pub(crate) use switchhook_chassis::testing::failed;
use switchhook_chassis::testing::{TestApp, eventually, json_of};
use switchhook_standins::control::{Break, Mode};
use switchhook_standins::livekit::{self, Acted, Plan};
use switchhook_standins::{Control, LiveKit, N8n, Options};

/// Longest that anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Where n8n takes results.
pub(crate) const RESULTS: &str = "/webhook/call-result";
/// The account of most tests.
pub(crate) const ACCOUNT: &str = "em-tech-01";
pub(crate) const CREATE_ROOM: &str = "/twirp/livekit.RoomService/CreateRoom";
pub(crate) const DELETE_ROOM: &str = "/twirp/livekit.RoomService/DeleteRoom";
pub(crate) const LIST_DISPATCH: &str = "/twirp/livekit.AgentDispatchService/ListDispatch";
pub(crate) const CREATE_DISPATCH: &str = "/twirp/livekit.AgentDispatchService/CreateDispatch";

/// One replica, one LiveKit, one n8n.
pub(crate) struct World {
    pub(crate) app: TestApp<DispatchBridgeSvc>,
    pub(crate) livekit: LiveKit,
    pub(crate) n8n: N8n,
}

impl World {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        Self::with(pool, &[]).await
    }

    /// With other settings.
    pub(crate) async fn with(pool: &PgPool, settings: &[(&str, &str)]) -> Self {
        let (livekit, n8n) = (livekit(), n8n());
        let app = replica(pool, &livekit, &n8n, settings).await;
        livekit.set_service(&app.url(""));
        Self { app, livekit, n8n }
    }

    /// With a clock that the test moves.
    pub(crate) async fn at(pool: &PgPool, clock: Arc<dyn Clock>) -> Self {
        let (livekit, n8n) = (livekit(), n8n());
        let app = replica_at(pool, &livekit, &n8n, &[], clock).await;
        livekit.set_service(&app.url(""));
        Self { app, livekit, n8n }
    }

    /// A replica that takes the place of one that was killed: nobody waits until its row is old.
    pub(crate) async fn reborn(self, pool: &PgPool) -> Self {
        let Self { app, livekit, n8n } = self;
        app.kill();
        sqlx::query("UPDATE dispatch.replicas SET beat_at = now() - interval '1 minute'")
            .execute(pool)
            .await
            .unwrap();
        let app = replica(pool, &livekit, &n8n, &[]).await;
        livekit.set_service(&app.url(""));
        Self { app, livekit, n8n }
    }

    /// What the worker took.
    pub(crate) fn acted(&self) -> Vec<Acted> {
        self.livekit.acted()
    }

    /// How LiveKit answers the next request to a path.
    pub(crate) fn on(&self, path: &str, control: Control) {
        let path = Some(path.to_owned());
        assert!(self.livekit.push(Control { path, ..control }));
    }

    /// Waits until LiveKit got so many requests to a path.
    pub(crate) async fn until_asked(&self, path: &str, count: usize) {
        self.livekit.wait_for(path, count, SOON).await;
    }

    /// Waits until LiveKit has no room of ours.
    pub(crate) async fn until_no_room(&self) {
        let look = || async { self.livekit.open_rooms().is_empty().then_some(()) };
        eventually(look, SOON).await;
    }

    /// The answer to a dial that goes well.
    pub(crate) async fn dialled(&self, body: Value) -> Value {
        json_of(self.app.dispatch(body).await, 200).await
    }
}

/// A LiveKit whose calls ring until they are told otherwise.
pub(crate) fn livekit() -> LiveKit {
    let livekit = LiveKit::start(livekit::Options::default()).unwrap();
    livekit.plan(Plan {
        ending: livekit::Ending::Never,
        job_after: Duration::from_millis(1),
        dial_after: Duration::from_millis(1),
        dials: Duration::from_millis(1),
        ..Plan::default()
    });
    livekit
}

/// An n8n that takes every result and does nothing.
pub(crate) fn n8n() -> N8n {
    let n8n = N8n::start(Options::default()).unwrap();
    n8n.push(Control {
        mode: Some(Mode::Silent),
        times: 0,
        ..Control::default()
    });
    n8n
}

/// One more replica on the same database.
pub(crate) async fn replica(
    pool: &PgPool,
    livekit: &LiveKit,
    n8n: &N8n,
    settings: &[(&str, &str)],
) -> TestApp<DispatchBridgeSvc> {
    replica_at(pool, livekit, n8n, settings, Arc::new(SystemClock)).await
}

async fn replica_at(
    pool: &PgPool,
    livekit: &LiveKit,
    n8n: &N8n,
    settings: &[(&str, &str)],
    clock: Arc<dyn Clock>,
) -> TestApp<DispatchBridgeSvc> {
    let (url, results) = (livekit.api_url(), n8n.webhook_url("call-result"));
    let mut all = vec![
        ("LIVEKIT_URL", url.as_str()),
        ("LIVEKIT_API_KEY", livekit::DEFAULT_KEY),
        ("LIVEKIT_API_SECRET", livekit::DEFAULT_SECRET),
        ("N8N_WEBHOOK_URL", results.as_str()),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(given, _)| given == name));
    all.extend(settings);
    TestApp::start_at(pool, &all, clock).await
}

/// A call to a number.
pub(crate) fn call(destination: &str) -> Value {
    json!({"destination": destination, "account_code": ACCOUNT})
}

/// The same with more fields.
pub(crate) fn call_with(destination: &str, more: Value) -> Value {
    let mut body = call(destination);
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// LiveKit's error, or a proxy's.
pub(crate) fn says(status: u16, body: Value) -> Control {
    Control {
        status: Some(status),
        body: Some(body),
        ..Control::default()
    }
}

/// The connection breaks.
pub(crate) fn breaks(at: Break) -> Control {
    Control {
        drop: Some(at),
        ..Control::default()
    }
}

/// LiveKit does it, and answers too late.
pub(crate) fn late() -> Control {
    Control {
        delay: SOON,
        ..Control::default()
    }
}

/// LiveKit does nothing, and answers too late.
pub(crate) fn lost() -> Control {
    Control {
        delay: SOON,
        ..says(500, json!({"code": "internal", "msg": "lost"}))
    }
}

/// Short words for requests to one replica.
pub(crate) trait Ask {
    fn app(&self) -> &TestApp<DispatchBridgeSvc>;

    /// What n8n posts, and as long as it waits.
    async fn dispatch(&self, body: Value) -> Response {
        self.keyed(None, body).await
    }

    /// The same with a key.
    async fn keyed(&self, key: Option<&str>, body: Value) -> Response {
        let app = self.app();
        let request = app.client().post(app.url("/dispatch")).timeout(2 * SOON);
        let request = request.header("x-n8n-webhook-secret", app.secret()).json(&body);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// What a machine reads.
    async fn read(&self, path: &str) -> Value {
        let asked = self.app().as_machine(reqwest::Method::GET, path, None).await;
        json_of(asked, 200).await
    }

    /// A dispatch as it stands.
    async fn shown(&self, dispatch: &str) -> Value {
        self.read(&format!("/dispatch/{dispatch}")).await
    }

    /// Waits until a dispatch is as described.
    async fn until(&self, dispatch: &str, described: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let shown = self.shown(dispatch).await;
            described(&shown).then_some(shown)
        };
        eventually(look, SOON).await
    }

    /// Waits until the list has a call that is as described.
    async fn until_listed(&self, described: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let list = self.read("/dispatches").await;
            let items = list["items"].as_array().unwrap().clone();
            items.into_iter().find(|item| described(item))
        };
        eventually(look, SOON).await
    }

    /// Takes a call back.
    async fn cancel(&self, dispatch: &str) -> Response {
        let path = format!("/dispatch/{dispatch}");
        self.app().as_machine(reqwest::Method::DELETE, &path, None).await
    }
}

impl Ask for TestApp<DispatchBridgeSvc> {
    fn app(&self) -> &TestApp<DispatchBridgeSvc> {
        self
    }
}

/// The id in an answer.
pub(crate) fn id_of(shown: &Value) -> String {
    shown["dispatch_id"].as_str().unwrap().to_owned()
}
