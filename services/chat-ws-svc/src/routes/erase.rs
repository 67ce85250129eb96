//! Erases a chat.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Serialize;
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::failures::{Always, Guarded};
use utoipa::ToSchema;

use super::caller::Operator;
use super::session_named;
use crate::app::AppState;
use crate::domain::ids::SessionId;
use crate::error::Error;
use crate::store::erasure;

/// The chat is gone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasedOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Always true.
    #[schema(default = true)]
    erased: bool,
    /// Which one.
    #[schema(value_type = String)]
    session_id: SessionId,
}

/// Erases a chat and its transcript, and closes its sockets
#[utoipa::path(
    delete,
    path = "/api/sessions/{id}",
    tag = "chats",
    operation_id = "eraseSession",
    params(("id" = String, Path, description = "The chat")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "It is gone", body = ErasedOut),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn erase(
    state: Data<AppState>,
    operator: Operator,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let session = session_named(&id)?;
    let work = gone(state.as_ref().clone(), session.clone(), operator.reach.names());
    state.kit.run(work).await?;
    tracing::info!(session = %session, operator = %operator.user.id, "a chat was erased");
    Ok(HttpResponse::Ok().json(ErasedOut {
        success: true,
        erased: true,
        session_id: session,
    }))
}

async fn gone(state: AppState, session: SessionId, channels: Option<Vec<String>>) -> Result<(), Error> {
    let mut tx = state.kit.pool.begin().await?;
    if !erasure::erase(&mut tx, &session, channels.as_deref(), state.kit.clock.now()).await? {
        return Err(Error::UnknownSession);
    }
    tx.commit().await?;
    state.registry.erased(&session);
    state.operators.changed();
    Ok(())
}
