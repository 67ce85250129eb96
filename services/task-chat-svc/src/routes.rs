//! The URL table: the whole API in one place, and its description.

pub(crate) mod assign;
pub(crate) mod resend;
pub(crate) mod responses;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod webhook;

use actix_web::web::ServiceConfig;
use serde_json::Value;
use switchhook_chassis::http::resource;
use switchhook_chassis::idempotency::{self, KEY_MAX_CHARS, KeyHeader, Keyed};
use switchhook_core::fields::Fields;
use switchhook_core::ids::UserId;
use switchhook_core::lenient;
use utoipa::OpenApi;

use crate::domain::ids::{AgentId, TaskId};
use crate::domain::task::MAX_TEXT_CHARS;
use crate::error::Error;

/// Every address of the API. Fixed words stand before `{taskId}`.
pub(crate) fn table(api: &mut ServiceConfig) {
    api.service(resource("/api/tasks").get(tasks::history))
        .service(resource("/api/tasks/assign-user-task").post(assign::assign))
        .service(resource("/api/tasks/{taskId}").get(tasks::detail))
        .service(resource("/api/tasks/{taskId}/resend").post(resend::resend))
        .service(resource("/api/communications/webhook-response").post(webhook::answer))
        .service(resource("/api/communications/test-response").post(webhook::simulate))
        .service(resource("/api/communications/get-responses").get(responses::responses))
        .service(resource("/api/communications/stream").get(stream::stream));
}

/// The description of the table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "task-chat-svc",
        description = "Chat through tasks: a user writes to an agent, whose backend answers at once or later by webhook."
    ),
    paths(
        tasks::history,
        tasks::detail,
        assign::assign,
        resend::resend,
        webhook::answer,
        webhook::simulate,
        responses::responses,
        stream::stream
    ),
    tags(
        (name = "tasks", description = "For the user's chat"),
        (name = "answers", description = "What agents answer")
    )
)]
struct Description;

/// The description as data.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The caller that a user is to the keys of requests: never the same as a machine.
pub(crate) fn user_caller(user: &UserId) -> String {
    format!("user:{user}")
}

/// The task that a text names; one that cannot be an id names none.
fn task_named(text: &str) -> Result<TaskId, Error> {
    TaskId::parse(text).ok_or(Error::UnknownTask)
}

/// Reads the id of a task; whether there is such a task is another question.
fn task_id(value: &Value) -> Result<String, String> {
    const MAX_CHARS: usize = 255;
    lenient::text(value, 1, MAX_CHARS)
}

/// Reads the id of an agent.
fn agent_id(value: &Value) -> Result<AgentId, String> {
    let text = lenient::text(value, 1, AgentId::MAX_CHARS)?;
    AgentId::parse(text).ok_or_else(|| "is not the id of an agent".into())
}

/// Reads a message or an answer.
fn words(value: &Value) -> Result<String, String> {
    let text = lenient::text(value, 1, MAX_TEXT_CHARS)?;
    if text.trim().is_empty() {
        Err("must not be empty".into())
    } else {
        Ok(text)
    }
}

/// Reads a key out of a body.
fn key_field(fields: &mut Fields) -> Option<String> {
    fields.optional(idempotency::FIELD, |value| lenient::text(value, 1, KEY_MAX_CHARS))
}

/// The request under its key, where it has one; the header wins.
fn keyed(
    caller: &str,
    route: &'static str,
    header: KeyHeader,
    field: Option<String>,
    parts: &[&str],
) -> Option<Keyed> {
    header
        .0
        .or(field)
        .map(|key| Keyed::new(caller, route, key, parts))
}
