//! The URL table: the whole API in one place, and its description.

pub(crate) mod claims;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod webhook;

use actix_web::web::ServiceConfig;
use switchhook_chassis::http::resource;
use utoipa::OpenApi;

/// Every address of the API. Fixed words stand before `{id}`.
pub(crate) fn table(api: &mut ServiceConfig) {
    api.service(resource("/api/ai-session").get(sessions::history))
        .service(resource("/api/ai-session/start").post(control::start))
        .service(resource("/api/ai-session/stop").post(control::stop))
        .service(resource("/api/ai-session/status").get(sessions::status))
        .service(resource("/api/ai-session/stats").get(stats::stats))
        .service(resource("/api/ai-session/events").get(events::events))
        .service(
            resource("/api/ai-session/webhook")
                .get(webhook::info)
                .post(webhook::report),
        )
        .service(resource("/api/ai-session/{id}").get(sessions::detail))
        .service(resource("/api/ai-session/{id}/resend").post(control::resend))
        .service(resource("/api/ai-session/{id}/calls").post(claims::claim));
}

/// The description of the table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "session-svc",
        description = "AI calling sessions: a user sets a daily limit and starts, n8n makes the calls and reports."
    ),
    paths(
        sessions::history,
        sessions::status,
        sessions::detail,
        control::start,
        control::stop,
        control::resend,
        stats::stats,
        events::events,
        webhook::report,
        webhook::info,
        claims::claim
    ),
    tags(
        (name = "sessions", description = "For the user's dashboard"),
        (name = "n8n", description = "For the workflow")
    )
)]
struct Description;

/// The description as data.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
