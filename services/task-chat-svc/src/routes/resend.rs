//! Sends the last message of a failed task again.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, NoBody, RequestTrace, User};
use switchhook_core::trace::TraceContext;

use super::task_named;
use super::tasks::TaskOut;
use crate::app::AppState;
use crate::clients::agent;
use crate::domain::agents;
use crate::domain::ids::TaskId;
use crate::domain::shown::{ShownTask, TaskState};
use crate::domain::task::NotFailed;
use crate::error::Error;
use crate::store::{messages, tasks};

/// Sends the last message again
///
/// Only while the task is failed.
#[utoipa::path(
    post,
    path = "/api/tasks/{taskId}/resend",
    tag = "tasks",
    operation_id = "resendTask",
    params(("taskId" = String, Path, description = "The task")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The task waits again", body = TaskOut),
        (status = 400, description = "unknown_agent, or the body is no JSON object",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "task_not_failed (with its state)", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn resend(
    state: Data<AppState>,
    user: User,
    id: Path<String>,
    trace: RequestTrace,
    _body: NoBody,
) -> Result<HttpResponse, Failure> {
    let id = task_named(&id)?;
    let work = Box::pin(owe_again(state.as_ref().clone(), user, id, trace.0));
    let shown = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(TaskOut::of(shown)))
}

async fn owe_again(state: AppState, user: User, id: TaskId, trace: TraceContext) -> Result<ShownTask, Error> {
    let now = state.kit.clock.now();
    let mut tx = state.kit.pool.begin().await?;
    let found = tasks::lock_own(&mut tx, &id, &user.id).await?;
    let mut task = found.ok_or(Error::UnknownTask)?;
    if !agents::allows(&user.claims, &task.agent) {
        return Err(Error::AgentNotAllowed);
    }
    if let Err(NotFailed) = task.resend(now) {
        let state = if task.is_waiting() {
            TaskState::Waiting
        } else {
            TaskState::Answered
        };
        return Err(Error::NotFailed(state));
    }
    if state.settings.agent_webhooks.url(&task.agent).is_none() {
        return Err(Error::UnknownAgent);
    }
    let newest = messages::newest(&mut tx, &id).await?;
    let (message, text) = newest.ok_or(Error::UnknownTask)?;
    let owed = agent::owe(
        &state.outbox,
        &mut tx,
        &task,
        (message, &text),
        &state.callback_url,
        trace,
    )
    .await?;
    messages::send_again(&mut tx, message, owed.id()).await?;
    tasks::save(&mut tx, &task, now).await?;
    let shown = tasks::shown_own(&mut tx, &id, &user.id).await?;
    tx.commit().await?;
    state.outbox.send_now(owed);
    state.announce(&id);
    shown.ok_or(Error::UnknownTask)
}
