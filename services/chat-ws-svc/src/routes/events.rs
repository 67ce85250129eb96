//! The operators' stream.

use actix_web::HttpResponse;
use actix_web::web::Data;
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::sse::{self, LastEventId};

use super::caller::Operator;
use crate::app::AppState;
use crate::domain::snapshot::Snapshot;

/// What is new in the chats, as it happens
///
/// `session`: a chat as it stands now (an item of `/api/sessions`); `message`: an item of a transcript with its `sessionId`;
/// `erased`: a `sessionId`; `typing`: `sessionId`, `from`, `active`. At once the chats that are connected, wait for an
/// operator, are held by one or flagged; with `Last-Event-ID` what came after it.
#[utoipa::path(
    get,
    path = "/api/operator/events",
    tag = "chats",
    operation_id = "operatorEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Server-Sent Events", body = String, content_type = "text/event-stream"),
        Guarded, Always
    )
)]
pub(crate) async fn events(
    state: Data<AppState>,
    operator: Operator,
    last: LastEventId,
) -> Result<HttpResponse, Failure> {
    let last = last.0.as_deref().and_then(Snapshot::parse);
    let stream = state.operators.stream(operator.reach, last).await?;
    Ok(sse::respond(
        &state.kit,
        operator.user.expires_at,
        stream.events(),
    ))
}
