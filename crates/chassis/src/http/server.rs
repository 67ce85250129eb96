//! The HTTP server: its bounds, the stack around every request, and the addresses that every service has.

use std::net::TcpListener;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, PathConfig};
use actix_web::{App, HttpServer};
use switchhook_core::problem::Problem;

use super::docs::{self, Description};
use super::health::{self, Readiness, ShownOutbox, ShownStanding};
use super::observe::observe;
use super::page::{self, Files};
use super::{Failure, resource, sign_in};
use crate::config::{CommonSettings, Origins};
use crate::kit::Kit;

/// Longer than proxies keep an idle connection (60 s): it is they who close, never a request that crosses with us.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Longest a request's head may take: a client that trickles costs a connection this long, no longer.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Longest a client may take to leave after an answer that came before its body was read.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// Connections of one worker, streams and waiting requests included.
const MAX_CONNECTIONS_PER_WORKER: usize = 10_000;
const MAX_WORKERS: usize = 2;

/// What the server shows besides the service's own routes.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) readiness: Readiness,
    pub(crate) outbox: ShownOutbox,
    pub(crate) standing: ShownStanding,
    pub(crate) files: Files,
    /// Where the page stands besides `/`.
    pub(crate) views: &'static [&'static str],
    pub(crate) description: Description,
}

/// Starts serving on the listener. `routes` is the service's URL table, `state` its state.
pub(crate) fn serve<S: Clone + Send + 'static>(
    listener: TcpListener,
    kit: &Kit,
    state: S,
    shown: Shown,
    routes: fn(&mut web::ServiceConfig),
) -> std::io::Result<Server> {
    let shutdown_s = kit.settings.shutdown_timeout.0.as_secs().max(1);
    let workers = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(MAX_WORKERS);
    let kit = kit.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(kit.clone()))
            .app_data(Data::new(state.clone()))
            .app_data(Data::new(shown.readiness.clone()))
            .app_data(Data::new(shown.outbox.clone()))
            .app_data(Data::new(shown.standing.clone()))
            .app_data(Data::new(shown.files.clone()))
            .app_data(Data::new(shown.description.clone()))
            .app_data(PathConfig::default().error_handler(|error, _| {
                tracing::debug!(%error, "address refused");
                nothing_here().into()
            }))
            .wrap(Condition::new(
                has_foreign_origins(&kit.settings),
                cors(&kit.settings),
            ))
            .wrap(from_fn(observe))
            // First the service's own: one that has a list at its prefix has no redirect to its page there.
            .configure(routes)
            .configure(|app| common(app, kit.service.path_prefix, shown.views))
            .default_service(web::to(|| async { Err::<web::Bytes, _>(nothing_here()) }))
    });
    let server = server
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_LIMIT)
        .client_disconnect_timeout(LEAVE_LIMIT)
        .max_connections(MAX_CONNECTIONS_PER_WORKER)
        .shutdown_timeout(shutdown_s)
        .disable_signals();
    Ok(server.listen(listener)?.run())
}

fn nothing_here() -> Failure {
    Failure(Problem::not_found("There is nothing at this address"))
}

/// The addresses that every service has; page and documents also under the service's prefix.
fn common(app: &mut web::ServiceConfig, prefix: &str, views: &[&str]) {
    app.service(resource("/healthz").get(health::healthz))
        .service(resource("/readyz").get(health::readyz))
        .service(resource("/metrics").get(health::figures))
        .service(resource(&format!("/{prefix}")).get(page::to_folder));
    for folder in [String::new(), format!("/{prefix}")] {
        app.service(resource(&format!("{folder}/")).get(page::index))
            .service(resource(&format!("{folder}/page.json")).get(page::page_json))
            .service(resource(&format!("{folder}/assets/{{path:.*}}")).get(page::asset))
            .service(resource(&format!("{folder}/sign-in")).post(sign_in::sign_in))
            .service(resource(&format!("{folder}/sign-out")).post(sign_in::sign_out))
            .service(resource(&format!("{folder}/openapi.json")).get(docs::openapi))
            .service(resource(&format!("{folder}/docs")).get(page::to_folder))
            .service(resource(&format!("{folder}/docs/{{path:.*}}")).get(docs::docs));
        for view in views {
            app.service(resource(&format!("{folder}/{view}")).get(page::index));
        }
    }
}

fn has_foreign_origins(settings: &CommonSettings) -> bool {
    settings.cors_allowed_origins != Origins::These(Vec::new())
}

/// Other sites' scripts may call with a token of their own; cookies never cross.
fn cors(settings: &CommonSettings) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers([
            header::RETRY_AFTER,
            HeaderName::from_static(super::trace::REQUEST_ID),
        ])
        .max_age(3600);
    match &settings.cors_allowed_origins {
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::These(origins) => origins
            .iter()
            .fold(cors, |cors, origin| cors.allowed_origin(origin)),
    }
}
