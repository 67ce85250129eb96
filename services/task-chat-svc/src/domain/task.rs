//! A task: a user's conversation with an agent, and what messages, answers, failures and time make of it.
//!
//! It also counts positions: every entry, and every change of what is shown of the task itself, gets the next one. Who
//! changes a task holds the lock of its row, so that positions and commits agree.

use std::time::Duration;

use chrono::{DateTime, Utc};
use switchhook_core::ids::UserId;

use super::ids::{AgentId, TaskId};

/// Most messages of a task.
pub const MAX_MESSAGES: i32 = 1_000;
/// Most answers of a task.
pub const MAX_RESPONSES: i32 = 10_000;
/// Most characters of a message or an answer.
pub const MAX_TEXT_CHARS: usize = 20_000;
/// Characters of the first message that a list shows.
const TITLE_CHARS: usize = 120;

/// Why a task failed: a word for a program, a sentence for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable snake_case word.
    pub code: String,
    /// Sentence.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Nobody answered in time.
    pub fn no_answer() -> Self {
        Self::new("no_answer", "The agent did not answer in time")
    }

    /// The agent could not be reached in time; `last` is what the last try met.
    pub fn unreachable(last: &str) -> Self {
        Self::new(
            "agent_unreachable",
            format!("The agent could not be reached in time; the last try: {last}"),
        )
    }
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// For the agent's answer.
    Waiting {
        /// Since the last message was sent.
        since: DateTime<Utc>,
    },
    /// The agent has answered.
    Answered,
    /// No answer will come by itself.
    Failed(Failure),
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub user_id: UserId,
    /// The user's address, where his token has one.
    pub user_email: Option<String>,
    /// To whom he writes.
    pub agent: AgentId,
    /// How the first message begins.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// How many messages it has.
    pub messages: i32,
    /// How many answers it has.
    pub responses: i32,
    /// The newest position.
    pub last_seq: i64,
    /// The position of the last change of the task itself.
    pub state_seq: i64,
    /// When it began.
    pub created_at: DateTime<Utc>,
}

/// A task has as many messages or answers as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Only what failed is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFailed;

/// Whether a message that the agent cannot have seen yet stands behind the one that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// None: the answer is what the user waits for.
    Nothing,
    /// One: the user goes on waiting.
    Unsent,
}

impl Task {
    /// A task without messages yet.
    pub fn begin(
        id: TaskId,
        user_id: UserId,
        user_email: Option<String>,
        agent: AgentId,
        message: &str,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            user_id,
            user_email,
            agent,
            title: title_of(message),
            state: State::Waiting { since: now },
            messages: 0,
            responses: 0,
            last_seq: 0,
            state_seq: 0,
            created_at: now,
        }
    }

    /// Takes a message of the user and gives its position.
    pub fn take_message(&mut self, now: DateTime<Utc>) -> Result<i64, Full> {
        if self.messages >= MAX_MESSAGES {
            return Err(Full);
        }
        self.messages += 1;
        let position = self.next();
        self.become_state(State::Waiting { since: now });
        Ok(position)
    }

    /// Takes answers of the agent and gives the position of the first; the others follow it.
    pub fn take_responses(&mut self, count: usize, behind: Behind) -> Result<i64, Full> {
        let count = i32::try_from(count).map_err(|_| Full)?;
        if self.responses.saturating_add(count) > MAX_RESPONSES {
            return Err(Full);
        }
        self.responses += count;
        let first = self.last_seq + 1;
        self.last_seq += i64::from(count);
        match behind {
            Behind::Nothing => self.become_state(State::Answered),
            Behind::Unsent => self.shift(),
        }
        Ok(first)
    }

    /// No answer will come by itself. Nothing happens where one came already, or where it failed before.
    pub fn fail(&mut self, failure: Failure) {
        if self.is_waiting() {
            self.become_state(State::Failed(failure));
        }
    }

    /// The last message is sent again.
    pub fn resend(&mut self, now: DateTime<Utc>) -> Result<(), NotFailed> {
        match self.state {
            State::Failed(_) => {
                self.become_state(State::Waiting { since: now });
                Ok(())
            }
            State::Waiting { .. } | State::Answered => Err(NotFailed),
        }
    }

    /// Whether an answer is waited for.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// Whether it waits for as long as it may.
    pub fn is_overdue(&self, longest: Duration, now: DateTime<Utc>) -> bool {
        match self.state {
            State::Waiting { since } => (now - since).to_std().is_ok_and(|waited| waited >= longest),
            State::Answered | State::Failed(_) => false,
        }
    }

    /// What is shown of the task changed.
    pub fn shift(&mut self) {
        self.state_seq = self.next();
    }

    fn become_state(&mut self, state: State) {
        self.state = state;
        self.shift();
    }

    fn next(&mut self) -> i64 {
        self.last_seq += 1;
        self.last_seq
    }
}

/// The beginning of a message, in one line.
fn title_of(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line = words.join(" ");
    let mut title: String = line.chars().take(TITLE_CHARS).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
