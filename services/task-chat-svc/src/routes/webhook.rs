//! An agent answers, or a user pretends to be one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, FromN8n, Json, MachinePost, User};
use switchhook_chassis::idempotency::{Answer, KeyHeader, Keyed};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::UserId;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::{key_field, keyed, task_id, task_named, user_caller, words};
use crate::app::AppState;
use crate::domain::ids::{ResponseId, TaskId};
use crate::domain::task::{Behind, Full};
use crate::error::Error;
use crate::store::responses::Source;
use crate::store::{erasure, messages, responses, tasks};

const ANSWER_ROUTE: &str = "webhook-response";
const SIMULATE_ROUTE: &str = "test-response";
/// What a simulated agent says by itself.
const TEST_RESPONSE: &str = "This is a test response";

/// An agent's answer. The body may come in an array of one, or as the item of n8n's Webhook node.
#[derive(ToSchema)]
#[schema(as = AgentAnswer, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct AnswerIn {
    /// The task, as it was in the request to the agent.
    task_id: String,
    /// What the agent says.
    #[schema(min_length = 1, max_length = 20_000, examples("We are open from 9 to 5."))]
    response: String,
    /// In the place of the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// What `AnswerIn` describes, read.
pub(crate) struct AgentAnswer {
    task: String,
    text: String,
    key: Option<String>,
}

impl FromFields for AgentAnswer {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let task = fields.required("taskId", task_id);
        let text = fields.required("response", words);
        let key = key_field(&mut fields);
        fields.finish()?;
        // `finish` has told what is missing.
        let (task, text) = task.zip(text).ok_or_else(Problem::internal)?;
        Ok(Self { task, text, key })
    }
}

/// A simulated answer.
#[derive(ToSchema)]
#[schema(as = TestAnswer, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct SimulateIn {
    /// The task.
    task_id: String,
    /// What the agent says; `This is a test response` unless given.
    #[schema(min_length = 1, max_length = 20_000)]
    test_message: Option<String>,
    /// In the place of the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// What `SimulateIn` describes, read.
pub(crate) struct Simulate(AgentAnswer);

impl FromFields for Simulate {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let task = fields.required("taskId", task_id);
        let text = fields.optional("testMessage", words);
        let key = key_field(&mut fields);
        fields.finish()?;
        let text = text.unwrap_or_else(|| TEST_RESPONSE.to_owned());
        let task = task.ok_or_else(Problem::internal)?;
        Ok(Self(AgentAnswer { task, text, key }))
    }
}

/// The answer is stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnsweredOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// The task.
    #[schema(value_type = String)]
    task_id: TaskId,
    /// The answer; absent where the task was erased.
    #[schema(value_type = Option<String>, format = Uuid)]
    #[serde(skip_serializing_if = "Option::is_none")]
    response_id: Option<ResponseId>,
    /// True where the task was erased lately: nothing is stored.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

/// The endpoints for tests are offered; where they are not, this one does not exist.
pub(crate) struct TestEndpoints;

impl FromRequest for TestEndpoints {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let offered = request
            .app_data::<Data<AppState>>()
            .is_some_and(|state| state.settings.enable_test_endpoints);
        ready(if offered {
            Ok(Self)
        } else {
            Err(Problem::not_found("There is nothing at this address").into())
        })
    }
}

/// Takes an agent's answer
///
/// Several answers of one task are all kept, in the order in which they came.
#[utoipa::path(
    post,
    path = "/api/communications/webhook-response",
    tag = "answers",
    operation_id = "webhookResponse",
    request_body = AnswerIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the first answer for 48 h")),
    security(("webhookSecret" = [])),
    responses(
        (status = 200, description = "The answer is stored, or the task was erased", body = AnsweredOut),
        (status = 400, description = "taskId or response is missing or wrong", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "too_many_responses or idempotency_conflict",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn answer(
    state: Data<AppState>,
    machine: MachinePost,
    header: KeyHeader,
    body: FromN8n<AgentAnswer>,
) -> Result<HttpResponse, Failure> {
    let AgentAnswer { task, text, key } = body.0;
    let caller = format!("machine:{}", machine.0.name);
    let keyed = keyed(&caller, ANSWER_ROUTE, header, key, &[&task, &text]);
    let new = NewAnswer {
        task: task_named(task.trim())?,
        owner: None,
        text,
        source: Source::Webhook,
    };
    let work = Box::pin(keep(state.as_ref().clone(), new, keyed));
    Ok(state.kit.run(work).await?.into())
}

/// Simulates an agent's answer
///
/// Exists only with `ENABLE_TEST_ENDPOINTS=true`.
#[utoipa::path(
    post,
    path = "/api/communications/test-response",
    tag = "answers",
    operation_id = "testResponse",
    request_body = SimulateIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the first answer for 48 h")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The answer is stored", body = AnsweredOut),
        (status = 400, description = "taskId or testMessage is missing or wrong",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "Task not found, or the endpoint is not offered",
            body = ref("#/components/schemas/Problem")),
        (status = 409, description = "too_many_responses or idempotency_conflict",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn simulate(
    _offered: TestEndpoints,
    state: Data<AppState>,
    user: User,
    header: KeyHeader,
    body: Json<Simulate>,
) -> Result<HttpResponse, Failure> {
    let AgentAnswer { task, text, key } = body.0.0;
    let keyed = keyed(
        &user_caller(&user.id),
        SIMULATE_ROUTE,
        header,
        key,
        &[&task, &text],
    );
    let new = NewAnswer {
        task: task_named(&task)?,
        owner: Some(user.id),
        text,
        source: Source::Test,
    };
    let work = Box::pin(keep(state.as_ref().clone(), new, keyed));
    Ok(state.kit.run(work).await?.into())
}

/// An answer that is to be stored.
struct NewAnswer {
    task: TaskId,
    /// Whose the task must be; a machine may answer any.
    owner: Option<UserId>,
    text: String,
    source: Source,
}

async fn keep(state: AppState, new: NewAnswer, keyed: Option<Keyed>) -> Result<Answer, Error> {
    let mut tx = state.kit.pool.begin().await?;
    if let Some(keyed) = &keyed
        && let Some(answer) = state.keys.claim(&mut tx, keyed).await?
    {
        return Ok(answer);
    }
    let response_id = store(&state, &mut tx, &new).await?;
    let body = AnsweredOut {
        success: true,
        task_id: new.task.clone(),
        response_id,
        erased: response_id.is_none(),
    };
    let answer = Answer {
        status: 200,
        body: serde_json::to_value(&body).unwrap_or_default(),
    };
    let Some(response) = response_id else {
        // An erased task leaves no trace, not even this answer's.
        return Ok(answer);
    };
    if let Some(keyed) = &keyed {
        state.keys.record(&mut tx, keyed, &answer).await?;
    }
    tx.commit().await?;
    state.announce(&new.task);
    tracing::info!(task = %new.task, response = %response.0, "an answer was stored");
    Ok(answer)
}

/// Stores the answer; nothing where the task was erased lately.
async fn store(
    state: &AppState,
    conn: &mut sqlx::PgConnection,
    new: &NewAnswer,
) -> Result<Option<ResponseId>, Error> {
    let found = match &new.owner {
        Some(owner) => tasks::lock_own(conn, &new.task, owner).await?,
        None => tasks::lock(conn, &new.task).await?,
    };
    let Some(mut task) = found else {
        let erased = new.owner.is_none() && erasure::was_erased(conn, &new.task).await?;
        return if erased { Ok(None) } else { Err(Error::UnknownTask) };
    };
    // Only one message is under way at a time: the others cannot be what this answers.
    let behind = if messages::pending(conn, &task.id).await? > 1 {
        Behind::Unsent
    } else {
        Behind::Nothing
    };
    let now = state.kit.clock.now();
    let seq = task
        .take_responses(1, behind)
        .map_err(|Full| Error::TooManyResponses)?;
    let id = ResponseId::new(now);
    responses::insert(conn, &task.id, id, seq, &new.text, new.source, now).await?;
    tasks::save(conn, &task, now).await?;
    Ok(Some(id))
}
