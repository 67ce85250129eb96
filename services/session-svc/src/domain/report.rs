//! What n8n reports about a session: progress, or its end. It reads the payload; what the report does to a session
//! is in [`super::session`].

use serde_json::{Map, Value};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::ids::SessionId;
use switchhook_core::lenient;
use switchhook_core::models::session::{MAX_CALLS_MADE, StopReason};
use switchhook_core::problem::Problem;

use super::session::Completion;

/// The status words, as they are listed to a caller who sent another.
pub const STATUS_WORDS: [&str; 6] = [
    "finished",
    "completed",
    "failed",
    "error",
    "in_progress",
    "running",
];

/// Longest message that is kept, in characters; the rest is cut, because a long farewell is no reason to refuse the
/// completion that carries it.
pub const MESSAGE_CHARS: usize = 4_000;

/// How a workflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `finished`, `completed`.
    Completed,
    /// `failed`, `error`.
    Failed,
}

impl Ending {
    /// The reason of a session that it stops.
    pub fn reason(self) -> StopReason {
        match self {
            Self::Completed => StopReason::Completed,
            Self::Failed => StopReason::Failed,
        }
    }
}

/// How far a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `in_progress`, `running`.
    Running,
    /// It has ended.
    Over(Ending),
}

impl Stage {
    /// Reads a status word, in any case.
    pub fn of(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "finished" | "completed" => Some(Self::Over(Ending::Completed)),
            "failed" | "error" => Some(Self::Over(Ending::Failed)),
            "in_progress" | "running" => Some(Self::Running),
            _ => None,
        }
    }

    /// The word for logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "in_progress",
            Self::Over(Ending::Completed) => "completed",
            Self::Over(Ending::Failed) => "failed",
        }
    }
}

/// A progress report or a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How far the workflow is.
    pub stage: Stage,
    /// Calls of the session so far, 0..=1 000 000.
    pub calls_made: Option<i32>,
    /// What it says to the user.
    pub message: Option<String>,
}

impl Report {
    /// Whether it says what the recorded completion says. The message does not matter.
    pub fn repeats(&self, recorded: &Completion) -> bool {
        self.stage == Stage::Over(recorded.ending) && self.calls_made == recorded.calls_made
    }
}

/// A report and the session it is about, by the name that n8n gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    /// The id as it came; a malformed one is a session that does not exist.
    pub session_id: String,
    /// The status word as it came, for the log.
    pub said: String,
    /// What is reported.
    pub report: Report,
}

impl FromFields for SessionReport {
    /// A missing `sessionId` is told alone: without it nothing else matters.
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let named = |value: &Value| match value {
            Value::String(text) if text.trim().is_empty() => Err("is required".to_owned()),
            value => lenient::id_text(value, 1, 1_000),
        };
        let Some(session_id) = fields.required("sessionId", named) else {
            return Err(only("sessionId", fields));
        };
        let said = fields
            .peek("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned();
        let report = read(&mut fields);
        fields.finish()?;
        report
            .map(|report| Self {
                session_id,
                said,
                report,
            })
            .ok_or_else(Problem::internal)
    }
}

fn only(name: &str, fields: Fields) -> Problem {
    match fields.finish() {
        Err(problem) => problem,
        Ok(()) => Problem::invalid_field(name, "is required"),
    }
}

/// Reads the parts that a webhook and a waiting answer share, and notes their faults.
fn read(fields: &mut Fields) -> Option<Report> {
    let unknown = || format!("must be one of {}", STATUS_WORDS.join(", "));
    // Read as optional, so that a missing status lists the accepted words too.
    let mut seen = false;
    let stage = fields.optional("status", |value| {
        seen = true;
        value.as_str().and_then(Stage::of).ok_or_else(unknown)
    });
    if !seen {
        fields.fault(
            "status",
            format!("is required: one of {}", STATUS_WORDS.join(", ")),
        );
    }
    let calls_made = fields.optional("callsMade", |value| {
        lenient::integer(value, 0, i64::from(MAX_CALLS_MADE)).map(|count| i32::try_from(count).unwrap_or(0))
    });
    let message = fields.optional("message", |value| lenient::text(value, 0, usize::MAX));
    Some(Report {
        stage: stage?,
        calls_made,
        message: message.map(cut),
    })
}

fn cut(message: String) -> String {
    match message.char_indices().nth(MESSAGE_CHARS) {
        None => message,
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

/// What n8n's answer to the waiting request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A report, as the webhook would carry it.
    Report(Report),
    /// The workflow has the request; nothing is said about its end.
    Accepted,
    /// A report about another session: it does not count.
    Foreign(String),
    /// A known status with parts that cannot be read: the webhook would refuse it.
    Unreadable(String),
}

/// Reads the object of an answer. Without a known `status` it says nothing: an early 200 carries whatever the last node
/// had in hand.
pub fn read_answer(session: SessionId, mut object: Map<String, Value>) -> Answer {
    let known = object
        .get("status")
        .and_then(Value::as_str)
        .and_then(Stage::of)
        .is_some();
    if !known {
        return Answer::Accepted;
    }
    match object.get("sessionId") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) if id.trim().parse() == Ok(session) => {}
        Some(other) => return Answer::Foreign(other.to_string()),
    }
    // Nobody is there to be told that PostgreSQL cannot store U+0000.
    if let Some(Value::String(message)) = object.get_mut("message") {
        message.retain(|c| c != '\0');
    }
    let read_fields = || -> Result<Option<Report>, Problem> {
        let mut fields = Fields::of(Value::Object(object))?;
        let report = read(&mut fields);
        fields.finish().map(|()| report)
    };
    match read_fields() {
        Ok(Some(report)) => Answer::Report(report),
        Ok(None) => Answer::Accepted,
        Err(problem) => Answer::Unreadable(problem.message),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
