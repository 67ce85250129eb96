//! What every test needs: a replica, Retell's stand-in, and short words for events.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Response;
use retell_ingest_svc::app::RetellIngestSvc;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::{TestApp, json_of};
use switchhook_core::webhook::retell;
use switchhook_standins::Retell;
use switchhook_standins::retell::Options;

/// Longest that anything may take.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Where n8n forwards to.
pub(crate) const FORWARDED: &str = "/api/n8n/retell-webhook";
/// Where Retell sends to.
pub(crate) const SIGNED: &str = "/api/retell/webhook";
/// The user of most tests, and another client.
pub(crate) const ADA: &str = "ada";
pub(crate) const BOB: &str = "bob";
/// Agents.
pub(crate) const AGENT: &str = "agent_of_ada";
pub(crate) const OTHER_AGENT: &str = "agent_of_bob";
/// A key of Ada's workspace, one of Bob's, and one of the installation.
pub(crate) const ADAS_KEY: &str = "key_ada";
pub(crate) const BOBS_KEY: &str = "key_bob";
pub(crate) const SHARED_KEY: &str = "key_shared";
/// 32 bytes.
pub(crate) const DATA_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// One replica and one Retell.
pub(crate) struct World {
    pub(crate) app: TestApp<RetellIngestSvc>,
    pub(crate) retell: Retell,
    pub(crate) pool: PgPool,
}

impl World {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        Self::with(pool, &[]).await
    }

    pub(crate) async fn with(pool: &PgPool, settings: &[(&str, &str)]) -> Self {
        let retell = Retell::start(Options {
            keys: vec![
                (ADAS_KEY.into(), vec![AGENT.into(), "agent_second".into()]),
                (BOBS_KEY.into(), vec![OTHER_AGENT.into()]),
            ],
            ..Options::default()
        });
        let retell = retell.unwrap();
        let app = replica(pool, &retell, settings).await;
        Self {
            app,
            retell,
            pool: pool.clone(),
        }
    }

    /// With an agent of Ada's and one of Bob's, both without proof.
    pub(crate) async fn connected(pool: &PgPool) -> Self {
        let world = Self::new(pool).await;
        world.connect(ADA, AGENT).await;
        world.connect(BOB, OTHER_AGENT).await;
        world
    }

    pub(crate) async fn connect(&self, user: &str, agent: &str) -> Value {
        let body = json!({"agentId": agent});
        json_of(self.app.post(user, "/api/retell/connect-agent", body).await, 200).await
    }

    pub(crate) async fn prove(&self, user: &str, agent: &str, key: &str) -> Response {
        let body = json!({"agentId": agent, "apiKey": key});
        self.app.post(user, "/api/retell/connect-agent", body).await
    }

    /// n8n forwards an event; the answer must have this status.
    pub(crate) async fn forward(&self, event: Value, status: u16) -> Value {
        json_of(self.app.as_n8n(FORWARDED, event).await, status).await
    }

    /// Retell sends a body, signed with a key.
    pub(crate) async fn send(&self, body: &[u8], key: &str) -> Response {
        self.send_signed(body, &sign(body, key, now())).await
    }

    pub(crate) async fn send_signed(&self, body: &[u8], signature: &str) -> Response {
        let request = self.app.client().post(self.app.url(SIGNED));
        let request = request
            .header(retell::HEADER, signature)
            .header("content-type", "application/json");
        request.body(body.to_vec()).send().await.unwrap()
    }

    /// The calls of a user.
    pub(crate) async fn calls(&self, user: &str) -> Vec<Value> {
        let list = json_of(self.app.get(user, "/api/retell/calls").await, 200).await;
        list["items"].as_array().unwrap().clone()
    }

    /// One call of a user.
    pub(crate) async fn call(&self, user: &str, call: &str) -> Value {
        let path = format!("/api/retell/calls/{call}");
        json_of(self.app.get(user, &path).await, 200).await["call"].clone()
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM retell.{table}");
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
        count.fetch_one(&self.pool).await.unwrap()
    }
}

/// One more replica on the same database.
pub(crate) async fn replica(
    pool: &PgPool,
    retell: &Retell,
    settings: &[(&str, &str)],
) -> TestApp<RetellIngestSvc> {
    let url = retell.api_url();
    let mut all = vec![
        ("RETELL_API_URL", url.as_str()),
        ("RETELL_API_KEYS", SHARED_KEY),
        ("DATA_KEY", DATA_KEY),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(given, _)| given == name));
    all.extend(settings);
    TestApp::start(pool, &all).await
}

/// The time of the test.
#[allow(
    clippy::disallowed_methods,
    reason = "a test happens at the present: signatures are judged by it"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Milliseconds since 1970, so many seconds from now.
pub(crate) fn ms(seconds: i64) -> i64 {
    (now() + TimeDelta::seconds(seconds)).timestamp_millis()
}

pub(crate) fn sign(body: &[u8], key: &str, at: DateTime<Utc>) -> String {
    retell::sign(&SecretString::from(key), body, at)
}

/// An event of Ada's agent about a call, with what else it says.
pub(crate) fn event(name: &str, call: &str, more: Value) -> Value {
    event_of(AGENT, name, call, more)
}

/// An event about a call.
pub(crate) fn event_of(agent: &str, name: &str, call: &str, more: Value) -> Value {
    let mut about = json!({"call_id": call, "agent_id": agent});
    about
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"event": name, "call": about})
}

/// A recorded payload.
pub(crate) fn recorded(file: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/retell/");
    serde_json::from_slice(&std::fs::read(format!("{folder}{file}")).unwrap()).unwrap()
}
