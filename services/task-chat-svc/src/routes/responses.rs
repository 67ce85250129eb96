//! The answers of a task: those that are there, or the next one as soon as it is (long poll).

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::Value;
use switchhook_chassis::feed::Reader;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::{Caller, Failure, Query};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::stream::{Conversations, Entry};
use super::{task_id, task_named};
use crate::app::AppState;
use crate::domain::ids::{ResponseId, TaskId};
use crate::domain::shown::ShownResponse;
use crate::error::Error;
use crate::store::tasks::Standing;
use crate::store::{responses as stored, tasks};

/// Answers that are given at once.
const SHOWN: i64 = 1_000;
/// Longest wait, in seconds.
const MAX_WAIT_S: i64 = 55;

/// Which answers are asked for.
pub(crate) struct Asked {
    task: String,
    after: Option<ResponseId>,
    wait: Duration,
}

impl FromFields for Asked {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let task = fields.required("taskId", task_id);
        let after = fields.optional("after", |value: &Value| {
            let id = value.as_str().and_then(ResponseId::parse);
            id.ok_or_else(|| "is not the id of a response of this task".to_owned())
        });
        let wait_s = fields.optional("wait", |value| lenient::integer(value, 0, MAX_WAIT_S));
        fields.finish()?;
        let task = task.ok_or_else(Problem::internal)?;
        let wait = Duration::from_secs(wait_s.unwrap_or(0).unsigned_abs());
        Ok(Self { task, after, wait })
    }
}

/// Answers: always these three keys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponsesOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Oldest first.
    responses: Vec<ShownResponse>,
    /// The task.
    #[schema(value_type = String)]
    task_id: TaskId,
}

impl ResponsesOut {
    pub(crate) fn of(task_id: TaskId, responses: Vec<ShownResponse>) -> Self {
        Self {
            success: true,
            responses,
            task_id,
        }
    }
}

/// Answers of a task, oldest first
///
/// At most 1000 at a time; `after` gives those that follow. With `wait` the request is held until there is one.
#[utoipa::path(
    get,
    path = "/api/communications/get-responses",
    tag = "answers",
    operation_id = "getResponses",
    params(
        ("taskId" = String, Query, description = "The task"),
        ("after" = Option<String>, Query, description = "Only answers after this one", format = Uuid),
        ("wait" = Option<i64>, Query, description = "Seconds to wait for one", minimum = 0, maximum = 55)
    ),
    security(("userToken" = []), ("userCookie" = []), ("webhookSecret" = [])),
    responses(
        (status = 200, description = "The answers; none where none came in time", body = ResponsesOut),
        (status = 400, description = "taskId is missing, after is unknown, or wait is out of range",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn responses(
    state: Data<AppState>,
    caller: Caller,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let Asked { task, after, wait } = asked.0;
    let id = task_named(&task)?;
    let owner = match caller {
        Caller::User(user) => Some(user.id),
        Caller::Machine(_) => None,
    };
    let work = look(state.as_ref().clone(), id.clone(), owner, after);
    let (standing, mut found) = state.kit.run(work).await?;
    if found.is_empty() && !wait.is_zero() {
        // From here on it costs no connection: what is new is read once for all who wait for it.
        let reader = state.conversations.reader(id.as_str(), standing.last)?;
        found = next(&state, reader, wait).await;
    }
    Ok(HttpResponse::Ok().json(ResponsesOut::of(id, found)))
}

/// Where the caller stands, and the answers that he has not seen.
async fn look(
    state: AppState,
    id: TaskId,
    owner: Option<UserId>,
    after: Option<ResponseId>,
) -> Result<(Standing, Vec<ShownResponse>), Error> {
    let mut conn = state.kit.pool.acquire().await?;
    let found = tasks::standing(&mut conn, &id, owner.as_ref(), after).await?;
    let standing = found.ok_or(Error::UnknownTask)?.ok_or(Error::UnknownResponse)?;
    if !standing.newer {
        return Ok((standing, Vec::new()));
    }
    let found = stored::after(&mut conn, &id, standing.seen, i64::MAX, SHOWN).await?;
    Ok((
        standing,
        found.into_iter().map(|(_, response)| response).collect(),
    ))
}

/// The next answers; none once the time is up or the service stops.
async fn next(state: &AppState, mut reader: Reader<Conversations>, wait: Duration) -> Vec<ShownResponse> {
    let found = async {
        loop {
            let new = reader.next().await.into_iter();
            let found: Vec<_> = new.filter_map(|(_, entry)| entry.into_response()).collect();
            if !found.is_empty() {
                return found;
            }
        }
    };
    tokio::select! {
        biased;
        found = found => found,
        () = state.kit.tasks.stopping().cancelled() => Vec::new(),
        () = tokio::time::sleep(wait) => Vec::new(),
    }
}

impl Entry {
    fn into_response(self) -> Option<ShownResponse> {
        match self {
            Self::Response(response) => Some(response.as_ref().clone()),
            Self::Task(_) => None,
        }
    }
}
