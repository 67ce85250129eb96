//! What a person or a program is shown of tasks, messages and answers: the shapes on the wire.

use serde::{Deserialize, Serialize};
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

use super::ids::{AgentId, MessageId, ResponseId, TaskId};

/// How a task stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// For the agent's answer.
    Waiting,
    /// The agent has answered.
    Answered,
    /// No answer will come by itself; the last message can be sent again.
    Failed,
}

impl TaskState {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Answered => "answered",
            Self::Failed => "failed",
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    /// Stable snake_case word, such as `agent_unreachable`, `answer_timeout` or `no_answer`.
    pub code: String,
    /// Sentence for the user.
    pub message: String,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Unsent, being tried again, or not answered yet.
    Pending,
    /// The agent has it.
    Delivered,
    /// Refused, failed or given up.
    Failed,
}

/// How the delivery of a message fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Where it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried next, where it waits for that.
    pub next_attempt_at: Option<WireTime>,
    /// The last thing that went wrong.
    pub last_error: Option<Trouble>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownTask {
    /// Its id.
    #[schema(value_type = String, examples("task_1759838400000_0197a9f200007000800000000000abcd"))]
    pub task_id: TaskId,
    /// To whom the user writes.
    #[schema(value_type = String)]
    pub agent_id: AgentId,
    /// How the first message begins.
    pub title: String,
    /// How it stands.
    pub state: TaskState,
    /// Why it failed; null unless it did.
    pub failure: Option<Trouble>,
    /// How the delivery of the last message fares.
    pub delivery: Option<Delivery>,
    /// How many messages the user sent.
    pub messages: i32,
    /// How many answers there are.
    pub responses: i32,
    /// Since when an answer is waited for; null unless it is.
    pub waiting_since: Option<WireTime>,
    /// When it began.
    pub created_at: WireTime,
    /// When a message or an answer came last, or the state changed.
    pub updated_at: WireTime,
}

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The user.
    User,
    /// The agent.
    Agent,
}

/// A message of the user or an answer of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownEntry {
    /// A message's or an answer's id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Who wrote it.
    pub from: Author,
    /// What.
    pub text: String,
    /// When it was stored.
    pub created_at: WireTime,
    /// How its delivery fares; null for answers.
    pub delivery: Option<Delivery>,
}

/// An answer of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownResponse {
    /// Its id, good for `after`.
    #[schema(value_type = String, format = Uuid)]
    pub id: ResponseId,
    /// The task.
    #[schema(value_type = String)]
    pub task_id: TaskId,
    /// What the agent says.
    pub response: String,
    /// When it was stored.
    pub created_at: WireTime,
}

/// What an agent is sent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentRequest<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// Who is written to.
    pub agent_id: &'a AgentId,
    /// What the user wrote.
    pub message: &'a str,
    /// The message's id, the same when it is sent again.
    pub message_id: MessageId,
    /// Who writes.
    pub user_id: &'a str,
    /// The user's address, null where unknown.
    pub user_email: Option<&'a str>,
    /// Where the answer goes.
    pub callback_url: &'a str,
}
