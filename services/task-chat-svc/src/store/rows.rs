//! How tasks and their parts are stored, and how rows become what the domain knows.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchhook_core::ids::UserId;

use crate::domain::ids::{AgentId, TaskId};
use crate::domain::shown::{Delivery, DeliveryState, ShownTask, TaskState, Trouble};
use crate::domain::task::{Failure, State, Task};

/// A task as it is locked.
#[derive(Debug)]
pub(crate) struct TaskRow {
    pub(crate) task_id: String,
    pub(crate) user_id: String,
    pub(crate) user_email: Option<String>,
    pub(crate) agent_id: String,
    pub(crate) title: String,
    pub(crate) state: String,
    pub(crate) waiting_since: Option<DateTime<Utc>>,
    pub(crate) failure_code: Option<String>,
    pub(crate) failure_message: Option<String>,
    pub(crate) messages: i32,
    pub(crate) responses: i32,
    pub(crate) last_seq: i64,
    pub(crate) state_seq: i64,
    pub(crate) created_at: DateTime<Utc>,
}

impl TaskRow {
    /// The task as the domain knows it.
    pub(crate) fn into_task(self) -> Result<Task, sqlx::Error> {
        let failure = self.failure_code.zip(self.failure_message);
        let state = match (word(&self.state)?, self.waiting_since, failure) {
            (TaskState::Waiting, Some(since), _) => State::Waiting { since },
            (TaskState::Answered, ..) => State::Answered,
            (TaskState::Failed, _, Some((code, message))) => State::Failed(Failure { code, message }),
            _ => return Err(corrupt("state")),
        };
        Ok(Task {
            id: task_id(&self.task_id)?,
            user_id: UserId::parse(self.user_id).ok_or_else(|| corrupt("user_id"))?,
            user_email: self.user_email,
            agent: agent_id(self.agent_id)?,
            title: self.title,
            state,
            messages: self.messages,
            responses: self.responses,
            last_seq: self.last_seq,
            state_seq: self.state_seq,
            created_at: self.created_at,
        })
    }
}

/// The columns of a state.
#[derive(Debug)]
pub(crate) struct StateColumns<'a> {
    pub(crate) state: &'static str,
    pub(crate) waiting_since: Option<DateTime<Utc>>,
    pub(crate) failure: Option<&'a Failure>,
}

impl<'a> StateColumns<'a> {
    pub(crate) fn of(state: &'a State) -> Self {
        let (state, waiting_since, failure) = match state {
            State::Waiting { since } => (TaskState::Waiting, Some(*since), None),
            State::Answered => (TaskState::Answered, None, None),
            State::Failed(failure) => (TaskState::Failed, None, Some(failure)),
        };
        Self {
            state: state.word(),
            waiting_since,
            failure,
        }
    }

    pub(crate) fn code(&self) -> Option<&'a str> {
        self.failure.map(|failure| failure.code.as_str())
    }

    pub(crate) fn message(&self) -> Option<&'a str> {
        self.failure.map(|failure| failure.message.as_str())
    }
}

/// Selects tasks as they are shown, with the delivery of their newest message.
macro_rules! select_shown {
    ($tail:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            crate::store::rows::ShownRow,
            r#"SELECT t.task_id, t.agent_id, t.title, t.state, t.waiting_since, t.failure_code, t.failure_message,
                t.messages, t.responses, t.last_seq, t.state_seq, t.created_at, t.updated_at,
                m.delivery AS "delivery?", m.failure_code AS "delivery_code?", m.failure_message AS "delivery_message?",
                o.state AS "outbox_state?", o.attempts AS "attempts?", o.next_attempt_at AS "next_attempt_at?",
                o.last_error AS "last_error?"
            FROM task_chat.tasks t
            LEFT JOIN LATERAL (
                SELECT delivery, failure_code, failure_message, delivery_id FROM task_chat.messages
                WHERE task_id = t.task_id ORDER BY seq DESC LIMIT 1
            ) m ON true
            LEFT JOIN task_chat.outbox o ON o.id = m.delivery_id "# + $tail,
            $($argument),+
        )
    };
}
pub(crate) use select_shown;

/// A task as it is shown.
#[derive(Debug)]
pub(crate) struct ShownRow {
    pub(crate) task_id: String,
    pub(crate) agent_id: String,
    pub(crate) title: String,
    pub(crate) state: String,
    pub(crate) waiting_since: Option<DateTime<Utc>>,
    pub(crate) failure_code: Option<String>,
    pub(crate) failure_message: Option<String>,
    pub(crate) messages: i32,
    pub(crate) responses: i32,
    pub(crate) last_seq: i64,
    pub(crate) state_seq: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) delivery: Option<String>,
    pub(crate) delivery_code: Option<String>,
    pub(crate) delivery_message: Option<String>,
    pub(crate) outbox_state: Option<String>,
    pub(crate) attempts: Option<i32>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) last_error: Option<Value>,
}

impl ShownRow {
    /// The task as it is shown.
    pub(crate) fn into_shown(self) -> Result<ShownTask, sqlx::Error> {
        let delivery = match self.delivery {
            Some(state) => Some(
                DeliveryRow {
                    state,
                    trouble: trouble(self.delivery_code, self.delivery_message),
                    outbox_state: self.outbox_state,
                    attempts: self.attempts,
                    next_attempt_at: self.next_attempt_at,
                    last_error: self.last_error,
                }
                .into_delivery()?,
            ),
            None => None,
        };
        Ok(ShownTask {
            task_id: task_id(&self.task_id)?,
            agent_id: agent_id(self.agent_id)?,
            title: self.title,
            state: word(&self.state)?,
            failure: trouble(self.failure_code, self.failure_message),
            delivery,
            messages: self.messages,
            responses: self.responses,
            waiting_since: self.waiting_since.map(Into::into),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

/// The delivery of a message, from its row and its outbox row.
#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) state: String,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) outbox_state: Option<String>,
    pub(crate) attempts: Option<i32>,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) last_error: Option<Value>,
}

impl DeliveryRow {
    /// While it is pending the outbox row speaks, afterwards the message.
    pub(crate) fn into_delivery(self) -> Result<Delivery, sqlx::Error> {
        let state = word(&self.state)?;
        let pending = state == DeliveryState::Pending;
        let waits = pending && self.outbox_state.as_deref() == Some("owed");
        let last = self
            .last_error
            .filter(|_| pending)
            .and_then(|error| serde_json::from_value(error).ok());
        Ok(Delivery {
            state,
            attempts: self.attempts.unwrap_or(0),
            next_attempt_at: self.next_attempt_at.filter(|_| waits).map(Into::into),
            last_error: self.trouble.or(last),
        })
    }
}

/// What went wrong, from its two columns.
pub(crate) fn trouble(code: Option<String>, message: Option<String>) -> Option<Trouble> {
    let (code, message) = code.zip(message)?;
    Some(Trouble { code, message })
}

/// A stored task id.
pub(crate) fn task_id(text: &str) -> Result<TaskId, sqlx::Error> {
    TaskId::parse(text).ok_or_else(|| corrupt("task_id"))
}

fn agent_id(text: String) -> Result<AgentId, sqlx::Error> {
    AgentId::parse(text).ok_or_else(|| corrupt("agent_id"))
}

/// Reads a word that the wire uses too.
pub(crate) fn word<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    serde_json::from_value(Value::from(word)).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn corrupt(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} holds a value that this version does not know").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(state: &str, outbox: Option<&str>, trouble: Option<Trouble>) -> Delivery {
        let row = DeliveryRow {
            state: state.into(),
            trouble,
            outbox_state: outbox.map(Into::into),
            attempts: Some(2),
            next_attempt_at: DateTime::from_timestamp(1_770_000_000, 0),
            last_error: Some(json!({"code": "n8n_unreachable", "message": "refused", "losses": 1})),
        };
        row.into_delivery().unwrap()
    }

    #[test]
    fn words_are_those_of_the_wire() {
        for state in [TaskState::Waiting, TaskState::Answered, TaskState::Failed] {
            assert_eq!(word::<TaskState>(state.word()).unwrap(), state);
        }
        assert!(word::<TaskState>("bored").is_err());
    }

    #[test]
    fn an_open_outbox_row_speaks_for_a_pending_message_only() {
        let waits = delivery("pending", Some("owed"), None);
        assert!(waits.next_attempt_at.is_some());
        assert_eq!(waits.last_error.unwrap().code, "n8n_unreachable");
        assert_eq!(delivery("pending", Some("sending"), None).next_attempt_at, None);
        let done = delivery("delivered", Some("answered"), None);
        assert_eq!((done.next_attempt_at, done.last_error), (None, None));
        let why = Trouble {
            code: "no_answer".into(),
            message: "none".into(),
        };
        assert_eq!(
            delivery("failed", Some("cancelled"), Some(why.clone())).last_error,
            Some(why)
        );
    }
}
