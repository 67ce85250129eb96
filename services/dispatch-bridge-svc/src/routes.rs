//! The URL table: the whole API in one place, and its description.

pub(crate) mod call_summary;
pub(crate) mod caller;
pub(crate) mod cancel;
pub(crate) mod dispatch;
pub(crate) mod dispatches;
pub(crate) mod events;
pub(crate) mod livekit_webhook;
pub(crate) mod standing;

use actix_web::web::ServiceConfig;
use switchhook_chassis::http::resource;
use utoipa::OpenApi;

use crate::domain::ids::DispatchId;
use crate::domain::summary;
use crate::error::Error;

/// Every address of the API. Fixed words stand before `{dispatch_id}`.
pub(crate) fn table(api: &mut ServiceConfig) {
    api.service(resource("/dispatch").post(dispatch::dispatch))
        .service(
            resource("/dispatch/{dispatch_id}")
                .get(dispatches::detail)
                .delete(cancel::cancel),
        )
        .service(resource("/dispatches").get(dispatches::list))
        .service(resource("/dispatches/events").get(events::stream))
        .service(resource("/livekit/webhook").post(livekit_webhook::livekit_webhook))
        .service(
            resource("/agent/call-summary")
                .max_body(summary::MAX_BYTES)
                .post(call_summary::call_summary),
        );
}

/// The description of the table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "dispatch-bridge-svc",
        description = "Outbound calls from n8n through LiveKit: one simple request dials once, and the result comes back."
    ),
    paths(
        dispatch::dispatch,
        dispatches::detail,
        cancel::cancel,
        dispatches::list,
        events::stream,
        livekit_webhook::livekit_webhook,
        call_summary::call_summary
    ),
    tags(
        (name = "dispatches", description = "Calls, for n8n and for the page"),
        (name = "agent", description = "What agents report"),
        (name = "livekit", description = "What LiveKit tells")
    )
)]
struct Description;

/// The description as data.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The dispatch that a text names; one that cannot be an id names none.
pub(crate) fn dispatch_named(text: &str) -> Result<DispatchId, Error> {
    DispatchId::parse(text).ok_or(Error::UnknownDispatch)
}
