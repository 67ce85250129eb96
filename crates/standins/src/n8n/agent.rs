//! The agent behind a task: it thinks a moment and answers, in the waiting request or by the callback that it was given.

use serde_json::{Value, json};
use url::Url;

use super::{Workflows, answers, request};
use crate::server::Answer;

/// Characters of the question that the answer repeats.
const QUOTED_CHARS: usize = 200;

/// What a user asked.
pub(super) struct Question {
    task: String,
    message: String,
    callback: Option<String>,
}

impl Question {
    /// Reads the request of `task-chat-svc`; none when it is not one.
    pub(super) fn from_body(body: &Value) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            task: text("taskId")?,
            message: text("message")?,
            callback: text("callbackUrl"),
        })
    }

    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// What the agent says.
    fn answer(&self) -> String {
        let quoted: String = self.message.chars().take(QUOTED_CHARS).collect();
        format!("You wrote: {quoted}")
    }

    /// The answer to the waiting request.
    pub(super) fn answered(&self) -> Answer {
        answers::said(&self.answer())
    }

    /// Sends the answer to the callback, as an HTTP Request node does.
    pub(super) async fn call_back(&self, workflows: &Workflows) -> Result<(), String> {
        let callback = self.callback.as_deref().ok_or("the request has no callbackUrl")?;
        let url =
            Url::parse(callback).map_err(|error| format!("the callback {callback:?} is no URL: {error}"))?;
        let body = json!({"taskId": self.task, "response": self.answer()}).to_string();
        let _turn = workflows
            .requests
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let target = workflows.target();
        request::post_with_retries(&url, target.secret.as_deref(), &body)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_without_task_or_message_is_no_question() {
        assert!(Question::from_body(&json!({"taskId": "t"})).is_none());
        assert!(Question::from_body(&json!({"message": "m"})).is_none());
        let question = Question::from_body(&json!({"taskId": "t", "message": "hello"})).unwrap();
        assert_eq!(question.answer(), "You wrote: hello");
    }
}
