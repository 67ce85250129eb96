//! Logs, traces, figures: where they go. What they say is said where it happens.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::runtime::TokioCurrentThread;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use switchhook_core::trace::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{CommonSettings, LogFormat, SettingError};
use crate::http::trace::random;
use crate::outbound::Outbound;
use crate::service::Service;

/// Upper bounds in seconds: fine where answers should be, coarse up to the longest wait.
const LATENCY_BUCKETS_S: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
const EXPORT_LIMIT: Duration = Duration::from_secs(10);

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTo {
    /// A server's log is its output.
    Stdout,
    /// A command's output is its answer; the log goes beside it.
    Stderr,
}

/// What has to be ended before the process ends.
#[derive(Debug, Default)]
pub struct Telemetry {
    exporter: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what is still waiting.
    pub async fn shutdown(self) {
        if let Some(provider) = self.exporter {
            // It blocks until the exporter's own thread is done.
            let _ = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        }
    }
}

/// Starts logs, and the export of traces where it is configured. Once in a process.
pub fn start(
    settings: &CommonSettings,
    service: &'static Service,
    outbound: &Outbound,
    to: LogTo,
) -> Result<Telemetry, SettingError> {
    let filter = filter(settings, service)?;
    let exporter = exporter(settings, service, outbound)?;
    let traces = exporter
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(service.name)));
    let lines = lines(settings.log_format, to);
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(traces)
        .with(filter)
        .try_init();
    if started.is_err() {
        tracing::debug!("logs were started before");
    }
    log_panics();
    figures();
    Ok(Telemetry { exporter })
}

/// What is logged: as configured, but for chatter of libraries, unless it is asked for by name.
pub(crate) fn filter(settings: &CommonSettings, service: &Service) -> Result<EnvFilter, SettingError> {
    let chatter = "actix_server=warn,sqlx::postgres::notice=warn";
    EnvFilter::builder()
        .parse(format!("{chatter},{}", settings.rust_log))
        .map_err(|error| SettingError {
            variable: "RUST_LOG".into(),
            problem: format!("is no filter ({error})"),
            example: format!("info,{}=debug", service.name.replace('-', "_")),
        })
}

fn lines(format: LogFormat, to: LogTo) -> Box<dyn Layer<Registry> + Send + Sync> {
    let (writer, colours) = match to {
        LogTo::Stdout => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        LogTo::Stderr => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Pretty => layer.with_target(false).boxed(),
    }
}

fn exporter(
    settings: &CommonSettings,
    service: &'static Service,
    outbound: &Outbound,
) -> Result<Option<SdkTracerProvider>, SettingError> {
    let Some(endpoint) = &settings.otel_exporter_otlp_endpoint else {
        return Ok(None);
    };
    let endpoint_of_traces = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(outbound.client().clone())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint_of_traces)
        .with_timeout(EXPORT_LIMIT)
        .build()
        .map_err(|error| SettingError {
            variable: "OTEL_EXPORTER_OTLP_ENDPOINT".into(),
            problem: format!("cannot be used ({error})"),
            example: "http://otel-collector:4318".into(),
        })?;
    let resource = Resource::builder()
        .with_service_name(service.name)
        .with_attribute(KeyValue::new("service.version", service.version))
        .build();
    let batches = BatchSpanProcessor::builder(exporter, TokioCurrentThread).build();
    Ok(Some(
        SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_resource(resource)
            .build(),
    ))
}

/// A panic is a defect; it belongs into the log like every other, with its place.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let what = payload.downcast_ref::<&str>().copied();
        let what = what
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("?");
        tracing::error!(place, what, "panicked");
    }));
}

/// Where a request stands in its trace: in the caller's where he sent one, else in a new one. Where traces are exported,
/// the exported span is that place.
pub(crate) fn position(span: &Span, inbound: Option<TraceContext>) -> TraceContext {
    if let Some(caller) = inbound {
        let remote = SpanContext::new(
            TraceId::from(caller.trace_id),
            SpanId::from(caller.span_id),
            TraceFlags::new(caller.flags),
            true,
            TraceState::default(),
        );
        // Fails where nothing is exported, and then has nothing to do.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    let exported = span.context().span().span_context().clone();
    if exported.is_valid() {
        return TraceContext {
            trace_id: u128::from_be_bytes(exported.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(exported.span_id().to_bytes()),
            flags: exported.trace_flags().to_u8(),
        };
    }
    inbound.map_or_else(
        || TraceContext::from_seed(random()),
        |caller| caller.child(random()),
    )
}

/// Names the exported span of a request after its route, which is known only now, and marks a failure of ours.
pub(crate) fn finish(span: &Span, name: String, failed: bool) {
    let context = span.context();
    let exported = context.span();
    exported.update_name(name);
    if failed {
        exported.set_status(Status::error("5xx"));
    }
}

/// The figures of this process. There is one recorder in a process, however many services a test starts in it.
pub(crate) fn figures() -> &'static PrometheusHandle {
    static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();
    FIGURES.get_or_init(|| {
        let latency = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(latency, &LATENCY_BUCKETS_S)
            .unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder has the figures of this process");
        }
        describe();
        handle
    })
}

fn describe() {
    metrics::describe_counter!("http_requests_total", "Requests by route, method and status.");
    metrics::describe_histogram!(
        "http_request_duration_seconds",
        "Time from a request's head to its answer's head."
    );
    metrics::describe_gauge!("db_pool_connections", "Connections to PostgreSQL by state.");
    metrics::describe_gauge!(
        "db_pool_max_connections",
        "Most connections of the shared pool to PostgreSQL."
    );
    metrics::describe_gauge!(
        "waiting_readers",
        "Streams and long polls that this process holds on its feeds."
    );
    metrics::describe_gauge!("build_info", "Always 1; the labels say what runs.");
    metrics::describe_gauge!(
        "outbox_in_flight",
        "Deliveries that this process is sending or waiting for."
    );
    metrics::describe_gauge!("outbox_owed", "Deliveries that were not sent yet.");
    metrics::describe_gauge!(
        "outbox_oldest_owed_age_seconds",
        "Age of the oldest delivery that was not sent yet."
    );
}
