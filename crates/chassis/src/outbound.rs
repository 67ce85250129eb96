//! The one way to make an HTTP client: bounded connects, no redirects (they carry secrets elsewhere and turn a POST into a GET), no
//! hidden retries, and the headers that every request of ours carries.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use switchhook_core::webhook::standard::Signer;
use tower::{Layer, Service as TowerService};

use crate::config::{CommonSettings, SettingError};
use crate::service::Service;

/// Longest time a connection may take to come about.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The clients of one service.
#[derive(Clone)]
pub struct Outbound {
    general: reqwest::Client,
    once: reqwest::Client,
    secret: Option<SecretString>,
    signer: Option<Arc<Signer>>,
}

/// Asked after a connection stands and before its first byte: `false` gives it up unused.
pub type Gate = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

tokio::task_local! {
    static GATE: Gate;
}

impl Outbound {
    /// Builds the clients. Needs the process's rustls provider to be installed.
    pub fn new(settings: &CommonSettings, service: &Service) -> Result<Self, SettingError> {
        let unusable = |error: reqwest::Error| SettingError {
            variable: "SSL_CERT_FILE".into(),
            problem: format!("or the system has no usable CA certificates ({error})"),
            example: "/etc/ssl/certs/ca-certificates.crt".into(),
        };
        let signer = match &settings.n8n_signing_secret {
            None => None,
            Some(secret) => Some(Arc::new(Signer::new(secret.expose_secret()).map_err(
                |error| SettingError {
                    variable: "N8N_SIGNING_SECRET".into(),
                    problem: error.to_string(),
                    example: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into(),
                },
            )?)),
        };
        // hyper connects inside the request's own task only while no idle connections are kept; the gate relies on it.
        let once = base(service)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connector_layer(GateLayer);
        Ok(Self {
            general: base(service).build().map_err(unusable)?,
            once: once.build().map_err(unusable)?,
            secret: settings.n8n_outbound_secret.clone(),
            signer,
        })
    }

    /// For requests that may be repeated.
    pub fn client(&self) -> &reqwest::Client {
        &self.general
    }

    /// Sends a request whose first byte is written only after the gate said yes, on a connection of its own.
    pub(crate) async fn send_gated(
        &self,
        request: reqwest::Request,
        gate: Gate,
    ) -> Result<reqwest::Response, reqwest::Error> {
        GATE.scope(gate, self.once.execute(request)).await
    }

    /// The headers of a JSON request to n8n.
    pub fn headers(&self, id: &str, traceparent: &str, now: DateTime<Utc>, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut add = |name: &'static str, value: &str, sensitive: bool| {
            if let Ok(mut value) = HeaderValue::from_str(value) {
                value.set_sensitive(sensitive);
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        add("idempotency-key", id, false);
        add("traceparent", traceparent, false);
        if let Some(secret) = &self.secret {
            add("x-n8n-webhook-secret", secret.expose_secret(), true);
        }
        for (name, value) in self
            .signer
            .iter()
            .flat_map(|signer| signer.headers(id, now.timestamp(), body))
            .flatten()
        {
            add(name, &value, false);
        }
        headers
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that builds clients")]
fn base(service: &Service) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(format!("switchhook/{} ({})", service.version, service.name))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_LIMIT)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .tcp_keepalive_retries(3)
}

#[derive(Clone)]
struct GateLayer;

impl<S> Layer<S> for GateLayer {
    type Service = GatedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        GatedConnector(connector)
    }
}

#[derive(Clone)]
struct GatedConnector<S>(S);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The connection was given up before its first byte.
#[derive(Debug, thiserror::Error)]
#[error("the request was called off before its first byte")]
struct CalledOff;

impl<S, R> TowerService<R> for GatedConnector<S>
where
    S: TowerService<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let connecting = self.0.call(destination);
        Box::pin(async move {
            let connection = connecting.await?;
            match GATE.try_with(Arc::clone) {
                Ok(gate) if gate().await => Ok(connection),
                _ => Err(CalledOff.into()),
            }
        })
    }
}
