//! The URL table: the whole API in one place, and its description.

mod caller;
pub(crate) mod erase;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod internal;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod takeover;
pub(crate) mod transcript;
pub(crate) mod typing;

use actix_web::web::ServiceConfig;
use serde_json::Value;
use switchhook_chassis::http::resource;
use switchhook_core::lenient;
use utoipa::OpenApi;

use crate::domain::ids::SessionId;
use crate::error::Error;
use crate::page;

pub(crate) use caller::user_caller;

/// Every address of the API.
pub(crate) fn table(api: &mut ServiceConfig) {
    api.service(resource("/health").get(health::health))
        .service(resource("/api/send-message").post(send::send))
        .service(resource("/api/typing").post(typing::typing))
        .service(resource("/api/sessions").get(sessions::list))
        .service(
            resource("/api/sessions/{id}")
                .get(sessions::detail)
                .delete(erase::erase),
        )
        .service(resource("/api/sessions/{id}/messages").get(transcript::transcript))
        .service(resource("/api/sessions/{id}/takeover").post(takeover::take_over))
        .service(resource("/api/sessions/{id}/release").post(takeover::release))
        .service(resource("/api/operator/events").get(events::events))
        .service(resource("/internal/hints").post(internal::hint));
    page::table(api);
}

/// The description of the table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "chat-ws-svc",
        description = "Live chat: visitors write through a widget, a bot in n8n answers, a human operator can take over. \
            Visitors speak the WebSocket protocol of PROTOCOL.md."
    ),
    paths(
        send::send,
        typing::typing,
        sessions::list,
        sessions::detail,
        transcript::transcript,
        takeover::take_over,
        takeover::release,
        erase::erase,
        events::events,
        health::health
    ),
    components(schemas(sessions::Filter)),
    tags(
        (name = "messages", description = "For machines and operators: what is said"),
        (name = "chats", description = "For machines and operators: who speaks"),
        (name = "service", description = "For anyone")
    )
)]
struct Description;

/// The description as data.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The chat that a text names; one that cannot be an id names none.
fn session_named(text: &str) -> Result<SessionId, Error> {
    SessionId::parse(text).ok_or(Error::UnknownSession)
}

/// Reads the id of a chat; whether there is such a chat is another question.
fn session_text(value: &Value) -> Result<String, String> {
    const MAX_CHARS: usize = 255;
    lenient::text(value, 0, MAX_CHARS)
}
