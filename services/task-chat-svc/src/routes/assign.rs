//! A user writes to an agent: a new task, or the next message of one.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, Json, RequestTrace, User};
use switchhook_chassis::idempotency::{Answer, KeyHeader, Keyed};
use switchhook_chassis::outbox::Owed;
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::problem::Problem;
use switchhook_core::trace::TraceContext;
use utoipa::ToSchema;

use super::{agent_id, key_field, keyed, task_id, task_named, user_caller, words};
use crate::app::AppState;
use crate::clients::agent;
use crate::domain::agents;
use crate::domain::ids::{AgentId, MessageId, TaskId};
use crate::domain::task::{Full, Task};
use crate::error::Error;
use crate::store::messages::{self, NewMessage};
use crate::store::tasks;

const ROUTE: &str = "assign-user-task";

/// A message to an agent.
#[derive(ToSchema)]
#[schema(as = AssignTask, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct AssignIn {
    /// To whom.
    #[schema(min_length = 1, max_length = 128, examples("default"))]
    agent_id: String,
    /// What.
    #[schema(min_length = 1, max_length = 20_000, examples("What are your opening hours?"))]
    message: String,
    /// The task that it belongs to; without it a new one begins.
    task_id: Option<String>,
    /// In the place of the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// What `AssignIn` describes, read.
pub(crate) struct Assign {
    agent: AgentId,
    message: String,
    task: Option<String>,
    key: Option<String>,
}

impl FromFields for Assign {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let agent = fields.required("agentId", agent_id);
        let message = fields.required("message", words);
        let task = fields.optional("taskId", task_id);
        let key = key_field(&mut fields);
        fields.finish()?;
        // `finish` has told what is missing.
        let (agent, message) = agent.zip(message).ok_or_else(Problem::internal)?;
        Ok(Self {
            agent,
            message,
            task,
            key,
        })
    }
}

/// The message is stored, and the agent will be sent it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssignedOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The task.
    #[schema(value_type = String)]
    task_id: TaskId,
    /// The message.
    #[schema(value_type = String, format = Uuid)]
    message_id: MessageId,
}

impl AssignedOut {
    pub(crate) fn new(task_id: TaskId, message_id: MessageId) -> Self {
        Self {
            success: true,
            task_id,
            message_id,
        }
    }
}

/// Writes to an agent
///
/// Answers at once; the agent is owed the message from that moment on.
#[utoipa::path(
    post,
    path = "/api/tasks/assign-user-task",
    tag = "tasks",
    operation_id = "assignUserTask",
    request_body = AssignIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the first answer for 48 h")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 201, description = "The message is stored", body = AssignedOut),
        (status = 400, description = "A field is missing or wrong, unknown_agent, or the task is with another agent",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "too_many_messages or idempotency_conflict",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn assign(
    state: Data<AppState>,
    user: User,
    trace: RequestTrace,
    header: KeyHeader,
    body: Json<Assign>,
) -> Result<HttpResponse, Failure> {
    let Assign {
        agent,
        message,
        task,
        key,
    } = body.0;
    if !agents::allows(&user.claims, &agent) {
        return Err(Error::AgentNotAllowed.into());
    }
    let parts = [
        agent.as_str(),
        message.as_str(),
        task.as_deref().unwrap_or_default(),
    ];
    let keyed = keyed(&user_caller(&user.id), ROUTE, header, key, &parts);
    if state.settings.agent_webhooks.url(&agent).is_none() {
        return Err(Error::UnknownAgent.into());
    }
    let task = task.as_deref().map(task_named).transpose()?;
    let message = Message {
        user,
        agent,
        task,
        text: message,
    };
    let work = Box::pin(take(state.as_ref().clone(), message, keyed, trace.0));
    Ok(state.kit.run(work).await?.into())
}

/// A message as it was read.
struct Message {
    user: User,
    agent: AgentId,
    task: Option<TaskId>,
    text: String,
}

async fn take(
    state: AppState,
    message: Message,
    keyed: Option<Keyed>,
    trace: TraceContext,
) -> Result<Answer, Error> {
    let mut tx = state.kit.pool.begin().await?;
    if let Some(keyed) = &keyed
        && let Some(answer) = state.keys.claim(&mut tx, keyed).await?
    {
        return Ok(answer);
    }
    let (id, message_id, owed) = store(&state, &mut tx, message, trace).await?;
    let body = AssignedOut::new(id.clone(), message_id);
    let answer = Answer {
        status: 201,
        body: serde_json::to_value(&body).unwrap_or_default(),
    };
    if let Some(keyed) = &keyed {
        state.keys.record(&mut tx, keyed, &answer).await?;
    }
    tx.commit().await?;
    state.outbox.send_now(owed);
    state.announce(&id);
    tracing::info!(task = %id, message = %message_id.0, "a message was stored");
    Ok(answer)
}

async fn store(
    state: &AppState,
    conn: &mut sqlx::PgConnection,
    message: Message,
    trace: TraceContext,
) -> Result<(TaskId, MessageId, Owed), Error> {
    let now = state.kit.clock.now();
    let Message {
        user,
        agent,
        task,
        text,
    } = message;
    let (task, seq) = match task {
        None => {
            let id = TaskId::new(now, rand::random());
            let mut task = Task::begin(id, user.id, user.email, agent, &text, now);
            let seq = task.take_message(now).map_err(|Full| Error::TooManyMessages)?;
            tasks::insert(conn, &task, now).await?;
            (task, seq)
        }
        Some(id) => {
            let found = tasks::lock_own(conn, &id, &user.id).await?;
            let mut task = found.ok_or(Error::UnknownTask)?;
            if task.agent != agent {
                return Err(Error::OtherAgent);
            }
            let seq = task.take_message(now).map_err(|Full| Error::TooManyMessages)?;
            tasks::save(conn, &task, now).await?;
            (task, seq)
        }
    };
    let id = MessageId::new(now);
    let owed = agent::owe(
        &state.outbox,
        conn,
        &task,
        (id, &text),
        &state.callback_url,
        trace,
    )
    .await?;
    let new = NewMessage {
        id,
        seq,
        text: &text,
        delivery: owed.id(),
        at: now,
    };
    messages::insert(conn, &task.id, &new).await?;
    Ok((task.id, id, owed))
}
