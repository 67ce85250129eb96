//! The stream of a task: its answers, and how it stands, on any replica.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Serialize;
use sqlx::PgPool;
use switchhook_chassis::feed::{Log, Placed};
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::sse::{self, Event, LastEventId};
use switchhook_chassis::http::{Failure, Query, User};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::problem::Problem;

use super::responses::ResponsesOut;
use super::tasks::TaskOut;
use super::{task_id, task_named};
use crate::app::AppState;
use crate::domain::ids::{ResponseId, TaskId};
use crate::domain::shown::ShownResponse;
use crate::error::Error;
use crate::store::{responses, tasks};

/// The position of whoever has seen nothing.
const BEGINNING: i64 = 0;

/// What a stream tells.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// An answer.
    Response(Arc<ShownResponse>),
    /// How the task stands now.
    Task(Arc<str>),
}

impl Entry {
    fn event(self, position: i64) -> Event {
        match self {
            Self::Response(response) => Event {
                name: "response",
                id: response.id.0.to_string(),
                data: json(&ResponsesOut::of(
                    response.task_id.clone(),
                    vec![response.as_ref().clone()],
                )),
            },
            Self::Task(data) => Event {
                name: "task",
                id: position.to_string(),
                data: data.as_ref().to_owned(),
            },
        }
    }
}

/// The answers of each task and the last change of the task itself, by position.
pub(crate) struct Conversations {
    pool: PgPool,
}

impl Conversations {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Log for Conversations {
    type Entry = Entry;

    /// Answers up to the newest position that is known when the task is read, so that no change between is skipped.
    async fn after(&self, key: &str, position: i64, limit: i64) -> Result<Vec<Placed<Entry>>, sqlx::Error> {
        let Some(id) = TaskId::parse(key) else {
            return Ok(Vec::new());
        };
        let mut conn = self.pool.acquire().await?;
        let Some((task, changed, newest)) = tasks::shown(&mut conn, &id).await? else {
            return Ok(Vec::new());
        };
        if newest <= position {
            return Ok(Vec::new());
        }
        let found = responses::after(&mut conn, &id, position, newest, limit).await?;
        let mut entries: Vec<Placed<Entry>> = found
            .into_iter()
            .map(|(at, response)| (at, Entry::Response(Arc::new(response))))
            .collect();
        let complete = entries.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        let last = entries.last().map_or(position, |(at, _)| *at);
        if changed > position && (complete || changed <= last) {
            entries.push((changed, Entry::Task(json(&TaskOut::of(task)).into())));
            entries.sort_by_key(|(at, _)| *at);
        }
        Ok(entries)
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Which task is asked for.
pub(crate) struct Asked {
    task: String,
}

impl FromFields for Asked {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let task = fields.required("taskId", task_id);
        fields.finish()?;
        task.map(|task| Self { task }).ok_or_else(Problem::internal)
    }
}

/// Streams answers
///
/// `event: response` for each answer with the body of `get-responses`; its `id` is the answer's, good for `after`. `event:
/// task` with the task when it changes. First all answers so far and the task, or what came after `Last-Event-ID`.
#[utoipa::path(
    get,
    path = "/api/communications/stream",
    tag = "answers",
    operation_id = "responseStream",
    params(
        ("taskId" = String, Query, description = "The task"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")
    ),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Server-Sent Events until the token expires", body = String,
            content_type = "text/event-stream"),
        (status = 400, description = "taskId is missing", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn stream(
    state: Data<AppState>,
    user: User,
    last: LastEventId,
    asked: Query<Asked>,
) -> Result<HttpResponse, Failure> {
    let id = task_named(&asked.0.task)?;
    let until = user.expires_at;
    let work = position(state.as_ref().clone(), id.clone(), user.id, last.0);
    let position = state.kit.run(work).await?;
    let reader = state.conversations.reader(id.as_str(), position)?;
    let events = reader.entries().map(|(at, entry)| entry.event(at));
    Ok(sse::respond(&state.kit, until, events))
}

/// Where a reader left off: at an answer, at a change of the task, or nowhere that is known.
async fn position(state: AppState, id: TaskId, owner: UserId, last: Option<String>) -> Result<i64, Error> {
    let answer = last.as_deref().and_then(ResponseId::parse);
    let change = last.and_then(|last| last.parse::<i64>().ok());
    let mut conn = state.kit.pool.acquire().await?;
    let found = tasks::standing(&mut conn, &id, Some(&owner), answer).await?;
    let known = found.ok_or(Error::UnknownTask)?;
    Ok(known.map_or(BEGINNING, |standing| match change {
        Some(change) => change.clamp(BEGINNING, standing.last),
        None => standing.seen,
    }))
}
