//! A call is taken back.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde_json::Value;
use switchhook_chassis::db;
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::failures::{Always, Guarded};

use super::caller::Operator;
use super::dispatch_named;
use crate::app::AppState;
use crate::dial;
use crate::domain::dispatch::{Call, EndReason, Status};
use crate::domain::ids::DispatchId;
use crate::domain::shown::ShownDispatch;
use crate::ending;
use crate::error::{Error, Stage};
use crate::jobs::follow;
use crate::store::{calls, closings};

/// Cancels a dispatch
///
/// Deletes the dispatch and hangs up. What is over already is answered unchanged.
#[utoipa::path(
    delete,
    path = "/dispatch/{dispatch_id}",
    tag = "dispatches",
    operation_id = "cancelDispatch",
    params(("dispatch_id" = String, Path, description = "LiveKit's id")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "It is over", body = ShownDispatch),
        (status = 404, description = "Dispatch not found", body = ref("#/components/schemas/Problem")),
        (status = 502, description = "livekit_error or livekit_unreachable: it is hung up as soon as LiveKit answers",
            body = ref("#/components/schemas/Problem")),
        (status = 504, description = "LiveKit did not answer in time; it is tried again",
            body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn cancel(
    state: Data<AppState>,
    _operator: Operator,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let id = dispatch_named(&id)?;
    let work = Box::pin(take_back(state.as_ref().clone(), id));
    let done = state.kit.tasks.run(work).await;
    let answer = done.map_err(|lost| Failure::internal(&lost))??;
    Ok(HttpResponse::Ok().json(answer))
}

/// What was asked is committed before LiveKit is told, so that it is carried out even if this process dies.
async fn take_back(state: AppState, id: DispatchId) -> Result<Value, Error> {
    let call = bounded(intend(&state, &id)).await?;
    if call.status.is_final() {
        return dial::shown(call);
    }
    let failed = |trouble| Error::LiveKit {
        trouble,
        stage: Stage::HangUp,
    };
    if let Err(trouble) = state.livekit.delete_dispatch(&id, &call.room).await {
        // The room's end is the dispatch's too.
        tracing::info!(dispatch = %id, %trouble, "the dispatch was not deleted; its room is");
    }
    state.livekit.delete_room(&call.room).await.map_err(failed)?;
    let call = bounded(over(&state, &id)).await?;
    tracing::info!(dispatch = %id, room = %call.room, "cancelled");
    dial::shown(call)
}

async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let outcome = tokio::time::timeout(db::WORK_LIMIT, work).await;
    outcome.unwrap_or_else(|_elapsed| Err(sqlx::Error::PoolTimedOut.into()))
}

async fn intend(state: &AppState, id: &DispatchId) -> Result<Call, Error> {
    let mut tx = state.kit.pool.begin().await?;
    let mut call = calls::lock_dispatch(&mut tx, id)
        .await?
        .ok_or(Error::UnknownDispatch)?;
    if call.status.is_final() {
        return Ok(call);
    }
    // It was hung up before it was taken back; only the reason was waited for.
    if let Some(ended) = follow::end_as_known(state, &mut tx, &mut call).await? {
        tx.commit().await?;
        ended.tell(state, &call);
        return Ok(call);
    }
    let now = state.now();
    call.cancel_at.get_or_insert(now);
    calls::save(&mut tx, &call, now).await?;
    closings::owe(&mut tx, &call.room, &[]).await?;
    tx.commit().await?;
    Ok(call)
}

async fn over(state: &AppState, id: &DispatchId) -> Result<Call, Error> {
    let mut tx = state.kit.pool.begin().await?;
    let mut call = calls::lock_dispatch(&mut tx, id)
        .await?
        .ok_or(Error::UnknownDispatch)?;
    // Whoever follows the call may have seen its room go.
    if call.status.is_final() {
        return Ok(call);
    }
    let before = call.status;
    call.status = Status::Ended;
    call.end_reason = Some(EndReason::Cancelled);
    call.call_end = Some(call.call_end.unwrap_or_else(|| state.now()));
    let after = ending::save(state, &mut tx, &mut call, before).await?;
    tx.commit().await?;
    after.done(state);
    Ok(call)
}
