//! One running replica of a service under test, on a thread and a runtime of its own, so that it can be killed like a
//! process.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{TokenSpec, prepare};
use crate::app::{Application, Program, RunError, ServiceSettings, service};
use crate::clock::{Clock, SystemClock};
use crate::config::Source;
use crate::kit::Kit;
use crate::outbound::Outbound;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
const DEAD_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a user of [`TestApp::user`] stays signed in.
const SIGNED_IN_S: i64 = 3600;

/// A running replica. Several on one database are replicas of one service: they share the secrets of the test process.
pub struct TestApp<P: Program> {
    ended: Option<oneshot::Receiver<Result<(), RunError>>>,
    end: CancellationToken,
    kill: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
    address: SocketAddr,
    kit: Kit,
    state: P::State,
    client: reqwest::Client,
    jwt_secret: String,
    webhook_secret: String,
}

impl<P: Program> TestApp<P> {
    /// Starts a replica on the database of a test and waits until it is ready. `overrides` are settings.
    ///
    /// # Panics
    /// When it does not start: the test cannot go on.
    pub async fn start(pool: &PgPool, overrides: &[(&str, &str)]) -> Self {
        Self::start_at(pool, overrides, Arc::new(SystemClock)).await
    }

    /// As [`TestApp::start`], with another clock.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_at(pool: &PgPool, overrides: &[(&str, &str)], clock: Arc<dyn Clock>) -> Self {
        let url = pool.connect_options().to_url_lossy().to_string();
        let app = Self::start_unready(&url, overrides, clock).await;
        let started = tokio::time::timeout(READY_WITHIN, app.1.cancelled()).await;
        started.expect("the service is ready within its time");
        app.0
    }

    /// Starts a replica that may never become ready (its database may be away); also gives what is done once it is.
    ///
    /// # Panics
    /// When its settings are wrong, or its address cannot be bound.
    pub async fn start_unready(
        database_url: &str,
        overrides: &[(&str, &str)],
        clock: Arc<dyn Clock>,
    ) -> (Self, CancellationToken) {
        prepare();
        static SECRETS: LazyLock<[String; 2]> = LazyLock::new(|| [random_secret(), random_secret()]);
        let [jwt_secret, webhook_secret] = SECRETS.each_ref();
        let jwt_secret = given(overrides, "JWT_SECRET").unwrap_or(jwt_secret).to_owned();
        let webhook_secret = given(overrides, "WEBHOOK_SECRETS")
            .unwrap_or(webhook_secret)
            .to_owned();
        let settings = settings::<P>(database_url, &jwt_secret, &webhook_secret, overrides);
        let (end, kill) = (CancellationToken::new(), CancellationToken::new());
        let (tell_built, built) = oneshot::channel();
        let (tell_ended, ended) = oneshot::channel();
        let (ending, killed) = (end.clone(), kill.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime for the service");
            runtime.block_on(killed.run_until_cancelled_owned(async move {
                let application = build::<P>(&settings, clock).expect("the service can be built");
                let seen = (
                    application.addr(),
                    application.started(),
                    application.kit().clone(),
                    application.state().clone(),
                );
                let _ = tell_built.send(seen);
                let _ = tell_ended.send(application.run(ending.cancelled_owned()).await);
            }));
            runtime.shutdown_timeout(DEAD_WITHIN);
        });
        let (address, started, kit, state) = built.await.expect("the service can be built");
        let app = Self {
            ended: Some(ended),
            end,
            kill,
            thread: Some(thread),
            address,
            kit,
            state,
            client: client(),
            jwt_secret,
            webhook_secret,
        };
        (app, started)
    }

    /// An absolute URL of this replica.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// A client whose every request has a deadline, and which follows no redirect.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The token of a user.
    pub fn user(&self, sub: &str) -> String {
        self.token(&TokenSpec::user(
            sub,
            self.kit.clock.now().timestamp() + SIGNED_IN_S,
        ))
    }

    /// The token of an operator.
    pub fn operator(&self, sub: &str) -> String {
        let spec = TokenSpec::user(sub, self.kit.clock.now().timestamp() + SIGNED_IN_S);
        self.token(&spec.with("role", "operator"))
    }

    /// Any token, signed as this replica expects it.
    pub fn token(&self, spec: &TokenSpec) -> String {
        spec.sign(&self.jwt_secret)
    }

    /// The secret of machines; the whole list where a test has given one.
    pub fn secret(&self) -> &str {
        &self.webhook_secret
    }

    /// The service's state.
    pub fn state(&self) -> &P::State {
        &self.state
    }

    /// What the service was given.
    pub fn kit(&self) -> &Kit {
        &self.kit
    }

    /// Begins an orderly stop, as SIGTERM does, without waiting for it.
    pub fn begin_stop(&self) {
        self.end.cancel();
    }

    /// Stops it in order, as SIGTERM does.
    ///
    /// # Panics
    /// When the stop fails or takes too long.
    pub async fn stop(mut self) {
        self.end.cancel();
        if let Some(ended) = self.ended.take() {
            let outcome = tokio::time::timeout(STOPPED_WITHIN, ended).await;
            outcome
                .expect("the stop ends in time")
                .expect("the stop does not panic")
                .expect("the stop is orderly");
        }
    }

    /// Ends it where it stands, as `kill -9` does: nothing is finished, recorded or said. It is dead when this returns.
    pub fn kill(mut self) {
        self.kill.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<P: Program> Drop for TestApp<P> {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

fn build<P: Program>(
    settings: &ServiceSettings<P::Own>,
    clock: Arc<dyn Clock>,
) -> Result<Application<P>, RunError> {
    let outbound = Outbound::new(&settings.common, service::<P>())?;
    Application::<P>::build(settings, outbound, clock)
}

fn settings<P: Program>(
    database_url: &str,
    jwt_secret: &str,
    webhook_secret: &str,
    overrides: &[(&str, &str)],
) -> ServiceSettings<P::Own> {
    let mut variables = vec![
        ("DATABASE_URL", database_url),
        ("BIND_ADDR", "127.0.0.1:0"),
        ("JWT_SECRET", jwt_secret),
        ("WEBHOOK_SECRETS", webhook_secret),
        ("MIGRATE_ON_START", "false"),
    ];
    variables.retain(|(name, _)| !overrides.iter().any(|(given, _)| given == name));
    variables.extend(overrides);
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let specs = ServiceSettings::<P::Own>::specs();
    let source =
        Source::from_variables(service::<P>(), &specs, variables).expect("the test's settings can be read");
    ServiceSettings::read(&source).expect("the test's settings are right")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the client of a test is no client of the service"
)]
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client for the test")
}

fn given<'a>(overrides: &[(&str, &'a str)], variable: &str) -> Option<&'a str> {
    overrides
        .iter()
        .find(|(name, _)| *name == variable)
        .map(|(_, value)| *value)
}

fn random_secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The JSON of an answer with the expected status.
///
/// # Panics
/// When the status is another, or the body no JSON.
pub async fn json_of(response: reqwest::Response, status: u16) -> Value {
    let actual = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert_eq!(actual, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
