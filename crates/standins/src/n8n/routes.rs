//! Which request to a webhook gets which answer.

use std::sync::{Arc, PoisonError};

use hyper::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::agent::Question;
use super::campaign::{Campaign, Report};
use super::chat::Words;
use super::{
    AGENT_PATH, AGENT_RESPOND_PATH, CHAT_PATH, CHAT_STREAM_PATH, LINES_WHILE_THINKING, PATHS, RESPOND_PATH,
    Workflows, answers,
};
use crate::control::{Break, Control, Mode, Orders};
use crate::log::Log;
use crate::role::{Received, Role};
use crate::server::Answer;

const SECRET_HEADER: &str = "x-n8n-webhook-secret";

impl Role for Workflows {
    fn orders(&self) -> &Orders {
        &self.orders
    }

    fn log(&self) -> &Log {
        &self.log
    }

    async fn answer(self: &Arc<Self>, received: Received, order: Option<&Control>) -> Answer {
        if let Some(mode) = order.and_then(|order| order.mode) {
            return work(self, mode, &received.path, received.parsed.ok(), order).await;
        }
        if order.is_some_and(|order| order.status.is_some() || order.body.is_some()) {
            return answers::started();
        }
        match refusal(self, &received) {
            Some(refusal) => refusal,
            None => {
                let mode = own_mode(&received.path);
                work(self, mode, &received.path, received.parsed.ok(), order).await
            }
        }
    }

    fn dressed(status: u16, content_type: &str, body: String) -> Answer {
        answers::of_text(status, content_type, body)
    }

    fn too_large() -> Answer {
        answers::too_large()
    }

    fn preflight() -> Option<Answer> {
        Some(answers::preflight())
    }

    /// A trailing slash on a webhook's path works in n8n.
    fn path(path: &str) -> &str {
        path.strip_suffix('/')
            .filter(|path| !path.is_empty())
            .unwrap_or(path)
    }

    fn clear(&self, path: Option<&str>, values: &Map<String, Value>) {
        self.clear_and_release(path, values);
    }
}

/// What n8n refuses before a workflow starts.
fn refusal(workflows: &Workflows, received: &Received) -> Option<Answer> {
    let Received {
        parts,
        path,
        body,
        parsed,
    } = received;
    let method = parts.method.as_str();
    if !PATHS.contains(&path.as_str()) {
        let name = path
            .strip_prefix("/webhook/")
            .unwrap_or_else(|| path.trim_start_matches('/'));
        return Some(answers::not_registered(method, name));
    }
    if parts.method != Method::POST {
        return Some(answers::wrong_method(method));
    }
    if !admitted(workflows.options.secret.as_deref(), &parts.headers) {
        return Some(answers::forbidden());
    }
    // Any other label, and an empty body, reach the workflow unparsed.
    let labelled = parts
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_json = labelled
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim() == "application/json");
    parsed
        .as_ref()
        .err()
        .filter(|_| is_json && !body.is_empty())
        .map(answers::unreadable)
}

fn admitted(secret: Option<&str>, headers: &HeaderMap) -> bool {
    secret.is_none_or(|secret| {
        headers
            .get(SECRET_HEADER)
            .is_some_and(|value| value.as_bytes() == secret.as_bytes())
    })
}

fn own_mode(path: &str) -> Mode {
    if path == RESPOND_PATH || path == AGENT_RESPOND_PATH {
        Mode::Respond
    } else {
        Mode::Callback
    }
}

/// Runs the workflow and gives its own answer.
async fn work(
    workflows: &Arc<Workflows>,
    mode: Mode,
    path: &str,
    body: Option<Value>,
    order: Option<&Control>,
) -> Answer {
    match mode {
        Mode::Silent => answers::started(),
        Mode::Hold => {
            workflows.hold(path, body.as_ref()).await;
            answers::started()
        }
        Mode::Callback | Mode::Respond if path == CHAT_PATH || path == CHAT_STREAM_PATH => {
            let Some(words) = body.as_ref().and_then(Words::from_body) else {
                return answers::workflow_error();
            };
            let thinking = workflows.options.thinking;
            if path == CHAT_STREAM_PATH {
                return words.streamed(thinking / LINES_WHILE_THINKING);
            }
            tokio::time::sleep(thinking).await;
            words.answered()
        }
        Mode::Callback | Mode::Respond if path == AGENT_PATH || path == AGENT_RESPOND_PATH => {
            let Some(question) = body.as_ref().and_then(Question::from_body) else {
                return answers::workflow_error();
            };
            think(workflows, question, mode).await
        }
        Mode::Callback => {
            if let Some(campaign) = body.as_ref().and_then(Campaign::from_body) {
                spawn(workflows, campaign, Report::Callback, None);
            }
            answers::started()
        }
        Mode::Respond => {
            let Some(campaign) = body.as_ref().and_then(Campaign::from_body) else {
                return answers::workflow_error();
            };
            let hangs_up = order.is_some_and(|order| order.drop == Some(Break::After));
            let (answer, answered) = tokio::sync::oneshot::channel();
            spawn(workflows, campaign, Report::Answer, Some(answer));
            if hangs_up {
                return answers::started();
            }
            answered.await.unwrap_or_else(|_| answers::workflow_error())
        }
    }
}

/// Answers as the agent does: the waiting request, or the webhook after it.
async fn think(workflows: &Arc<Workflows>, question: Question, mode: Mode) -> Answer {
    let pause = workflows.options.thinking;
    if mode == Mode::Respond {
        tokio::time::sleep(pause).await;
        return question.answered();
    }
    let shared = Arc::clone(workflows);
    let mut runs = workflows.runs.lock().unwrap_or_else(PoisonError::into_inner);
    while runs.try_join_next().is_some() {}
    runs.spawn(async move {
        tokio::time::sleep(pause).await;
        match question.call_back(&shared).await {
            Ok(()) => tracing::info!(task = question.task(), "the agent answered"),
            Err(error) => tracing::warn!(
                task = question.task(),
                error,
                "the agent's answer did not get through"
            ),
        }
    });
    answers::started()
}

/// A run goes on when its caller hangs up, as in n8n: it is not the handler's.
fn spawn(
    workflows: &Arc<Workflows>,
    campaign: Campaign,
    report: Report,
    answer: Option<tokio::sync::oneshot::Sender<Answer>>,
) {
    let shared = Arc::clone(workflows);
    let mut runs = workflows.runs.lock().unwrap_or_else(PoisonError::into_inner);
    while runs.try_join_next().is_some() {}
    runs.spawn(async move {
        let ended = campaign.run(&shared, report).await;
        let session = campaign.session_id();
        match &ended {
            Ok(made) => tracing::info!(session, made, "the workflow ended"),
            Err(error) => tracing::warn!(session, error, "the workflow broke"),
        }
        if let Some(answer) = answer {
            let text = ended.map_or_else(
                |_| answers::workflow_error(),
                |made| answers::finished(session, made),
            );
            // Nobody may be waiting any more.
            let _ = answer.send(text);
        }
    });
}
