//! The log of a chat: everything that its readers must see in order is an entry.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::MessageId;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The visitor.
    User,
    /// The bot in n8n.
    Bot,
    /// A person, or a machine that speaks for one.
    Operator,
}

impl Sender {
    /// Its name in rows and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
            Self::Operator => "operator",
        }
    }

    /// The sender of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::Bot, Self::Operator]
            .into_iter()
            .find(|own| own.word() == word)
    }
}

/// Who speaks to the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The bot.
    Bot,
    /// A person.
    Operator,
}

impl Mode {
    /// Its name in rows and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Operator => "operator",
        }
    }

    /// The mode of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Bot, Self::Operator]
            .into_iter()
            .find(|own| own.word() == word)
    }
}

/// Who may see an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody.
    All,
    /// Not the visitor: what the bot still says while an operator has the chat.
    Operators,
}

impl Audience {
    /// Its name in rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Operators => "operators",
        }
    }

    /// The audience of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::All, Self::Operators]
            .into_iter()
            .find(|own| own.word() == word)
    }
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who.
    pub sender: Sender,
    /// What he is called, where that is known.
    pub name: Option<String>,
    /// What.
    pub text: String,
    /// What the visitor's client called it.
    pub client_id: Option<String>,
}

/// The kinds of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// Somebody wrote.
    Message(Message),
    /// Somebody else speaks to the visitor from here on.
    Status(Mode),
    /// The bot could not be reached, or broke, over the message that the client called so.
    Trouble {
        /// What the visitor's client called the message.
        client_id: Option<String>,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position, 1 and up.
    pub seq: i64,
    /// Its id.
    pub id: MessageId,
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Who may see it.
    pub audience: Audience,
    /// What it is.
    pub kind: EntryKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for sender in [Sender::User, Sender::Bot, Sender::Operator] {
            assert_eq!(Sender::parse(sender.word()), Some(sender));
        }
        for mode in [Mode::Bot, Mode::Operator] {
            assert_eq!(Mode::parse(mode.word()), Some(mode));
        }
        for audience in [Audience::All, Audience::Operators] {
            assert_eq!(Audience::parse(audience.word()), Some(audience));
        }
        assert_eq!(
            (Sender::parse("x"), Mode::parse("x"), Audience::parse("x")),
            (None, None, None)
        );
    }
}
