//! What is shown of tasks: the user's list, and one with its conversation.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Failure, Paging, Query, User, next_url};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::task_named;
use crate::app::AppState;
use crate::domain::history::Cursor;
use crate::domain::ids::TaskId;
use crate::domain::shown::{ShownEntry, ShownTask, TaskState};
use crate::error::Error;
use crate::store::{entries, tasks};

/// Entries of a conversation that are shown at once: the last ones.
const SHOWN_ENTRIES: i64 = 1_000;

/// Which tasks are asked for.
pub(crate) struct Filter {
    state: Option<TaskState>,
}

impl FromFields for Filter {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let state = fields.optional("state", |value: &Value| {
            serde_json::from_value(value.clone())
                .map_err(|_| "must be waiting, answered or failed".to_owned())
        });
        fields.finish()?;
        Ok(Self { state })
    }
}

/// One task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The task.
    task: ShownTask,
}

impl TaskOut {
    pub(crate) fn of(task: ShownTask) -> Self {
        Self { success: true, task }
    }
}

/// One task with its conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The task.
    task: ShownTask,
    /// Messages and answers in their order, oldest first; the last 1000 of them.
    messages: Vec<ShownEntry>,
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Newest first.
    items: Vec<ShownTask>,
    /// The absolute URL of the next page, or null.
    next: Option<String>,
}

impl HistoryOut {
    /// From the tasks of a page, and one more where there is a next page.
    fn of(mut tasks: Vec<ShownTask>, limit: i64, request: &HttpRequest) -> Self {
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = tasks.len() > shown;
        tasks.truncate(shown);
        let next = tasks.last().filter(|_| more).map(|last| {
            let cursor = Cursor {
                created_at: last.created_at.0,
                id: last.task_id.clone(),
            };
            next_url(request, &cursor.to_string())
        });
        Self {
            success: true,
            items: tasks,
            next,
        }
    }
}

/// Tasks of the user, newest first
#[utoipa::path(
    get,
    path = "/api/tasks",
    tag = "tasks",
    operation_id = "listTasks",
    params(
        ("state" = Option<TaskState>, Query, description = "Only those in this state"),
        ("limit" = Option<i64>, Query, description = "Entries of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = HistoryOut),
        (status = 400, description = "state, limit or cursor is wrong", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn history(
    state: Data<AppState>,
    request: HttpRequest,
    user: User,
    filter: Query<Filter>,
    paging: Paging,
) -> Result<HttpResponse, Failure> {
    let after = paging.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let after = after.map_err(|_| bad_cursor())?;
    let (pool, limit) = (state.kit.pool.clone(), paging.limit);
    // One task more than asked for tells whether there is a next page.
    let look = async move {
        let mut conn = pool.acquire().await?;
        let found = tasks::history(&mut conn, &user.id, filter.0.state, after.as_ref(), limit + 1);
        Ok::<_, Error>(found.await?)
    };
    let found = state.kit.run(look).await?;
    Ok(HttpResponse::Ok().json(HistoryOut::of(found, limit, &request)))
}

/// One task with its conversation
#[utoipa::path(
    get,
    path = "/api/tasks/{taskId}",
    tag = "tasks",
    operation_id = "getTask",
    params(("taskId" = String, Path, description = "The task")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A task of the user", body = ConversationOut),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn detail(
    state: Data<AppState>,
    user: User,
    id: Path<String>,
) -> Result<HttpResponse, Failure> {
    let id = task_named(&id)?;
    let work = conversation(state.as_ref().clone(), user.id, id);
    Ok(HttpResponse::Ok().json(state.kit.run(work).await?))
}

async fn conversation(state: AppState, owner: UserId, id: TaskId) -> Result<ConversationOut, Error> {
    let mut conn = state.kit.pool.acquire().await?;
    let task = tasks::shown_own(&mut conn, &id, &owner).await?;
    let task = task.ok_or(Error::UnknownTask)?;
    let messages = entries::last(&mut conn, &id, SHOWN_ENTRIES).await?;
    Ok(ConversationOut {
        success: true,
        task,
        messages,
    })
}
