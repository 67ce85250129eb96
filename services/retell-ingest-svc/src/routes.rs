//! The URL table: the whole API in one place, and its description.

pub(crate) mod agents;
pub(crate) mod analytics;
pub(crate) mod calls;
pub(crate) mod csv;
pub(crate) mod erase;
pub(crate) mod events;
pub(crate) mod signature;
pub(crate) mod webhooks;

use actix_web::web::ServiceConfig;
use switchhook_chassis::http::resource;
use utoipa::OpenApi;

/// Largest webhook, in bytes: n8n's own limit.
const WEBHOOK_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Every address of the API. Fixed words stand before `{callId}`; the busiest come first.
pub(crate) fn table(api: &mut ServiceConfig) {
    api.service(
        resource("/api/retell/webhook")
            .max_body(WEBHOOK_MAX_BYTES)
            .post(webhooks::from_retell),
    )
    .service(
        resource("/api/n8n/retell-webhook")
            .max_body(WEBHOOK_MAX_BYTES)
            .post(webhooks::from_n8n),
    )
    .service(resource("/api/retell/connect-agent").post(agents::connect))
    .service(resource("/api/retell/disconnect-agent").delete(agents::disconnect))
    .service(resource("/api/retell/agent-status").get(agents::status))
    .service(
        resource("/api/retell/calls")
            .get(calls::list)
            .delete(erase::erase),
    )
    .service(resource("/api/retell/calls.csv").get(csv::export))
    .service(resource("/api/retell/calls/{callId}").get(calls::detail))
    .service(resource("/api/retell/analytics").get(analytics::analytics))
    .service(resource("/api/retell/events").get(events::events));
}

/// The description of the table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "retell-ingest-svc",
        description = "Retell call events of many clients: a client connects an agent and sees exactly his own calls."
    ),
    paths(
        agents::connect,
        agents::disconnect,
        agents::status,
        calls::list,
        calls::detail,
        csv::export,
        analytics::analytics,
        events::events,
        erase::erase,
        webhooks::from_n8n,
        webhooks::from_retell
    ),
    tags(
        (name = "agent", description = "The client's agent"),
        (name = "calls", description = "The client's calls"),
        (name = "webhooks", description = "For n8n and Retell")
    )
)]
struct Description;

/// The description as data.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
