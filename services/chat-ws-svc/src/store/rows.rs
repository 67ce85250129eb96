//! How entries and chats are stored, and how rows become what the domain knows.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::channel::ChannelName;
use crate::domain::entry::{Audience, Entry, EntryKind, Message, Mode, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::session::{Holder, Person};
use crate::domain::shown::{Meta, ShownMessage, ShownSession};

/// An entry as it is stored.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) audience: String,
    pub(crate) sender: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

impl EntryRow {
    /// The entry as the domain knows it.
    pub(crate) fn into_entry(self) -> Result<Entry, sqlx::Error> {
        let kind = match (self.kind.as_str(), self.sender, self.body) {
            ("message", Some(sender), Some(text)) => EntryKind::Message(Message {
                sender: Sender::parse(&sender).ok_or_else(|| corrupt("sender"))?,
                name: self.name,
                text,
                client_id: self.client_id,
            }),
            ("status", ..) => EntryKind::Status(mode(self.mode.as_deref().unwrap_or_default())?),
            ("trouble", ..) => EntryKind::Trouble {
                client_id: self.client_id,
            },
            _ => return Err(corrupt("kind")),
        };
        Ok(Entry {
            seq: self.seq,
            id: MessageId(self.id),
            at: self.created_at,
            audience: Audience::parse(&self.audience).ok_or_else(|| corrupt("audience"))?,
            kind,
        })
    }
}

/// The columns of an entry.
pub(crate) struct EntryColumns<'a> {
    pub(crate) kind: &'static str,
    pub(crate) sender: Option<&'static str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) body: Option<&'a str>,
    pub(crate) mode: Option<&'static str>,
    pub(crate) client_id: Option<&'a str>,
}

impl<'a> EntryColumns<'a> {
    pub(crate) fn of(kind: &'a EntryKind) -> Self {
        let empty = |kind| Self {
            kind,
            sender: None,
            name: None,
            body: None,
            mode: None,
            client_id: None,
        };
        match kind {
            EntryKind::Message(message) => Self {
                sender: Some(message.sender.word()),
                name: message.name.as_deref(),
                body: Some(&message.text),
                client_id: message.client_id.as_deref(),
                ..empty("message")
            },
            EntryKind::Status(mode) => Self {
                mode: Some(mode.word()),
                ..empty("status")
            },
            EntryKind::Trouble { client_id } => Self {
                client_id: client_id.as_deref(),
                ..empty("trouble")
            },
        }
    }
}

/// A chat as it is shown, with its last message.
#[derive(Debug)]
pub(crate) struct ShownRow {
    pub(crate) id: String,
    pub(crate) channel: String,
    pub(crate) mode: String,
    pub(crate) operator_id: Option<String>,
    pub(crate) operator_name: Option<String>,
    pub(crate) flagged: bool,
    pub(crate) connected: bool,
    pub(crate) origin: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) last_id: Option<Uuid>,
    pub(crate) last_seq: Option<i64>,
    pub(crate) last_audience: Option<String>,
    pub(crate) last_sender: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) last_body: Option<String>,
    pub(crate) last_at: Option<DateTime<Utc>>,
}

impl ShownRow {
    /// The chat as it is shown.
    pub(crate) fn into_shown(self) -> Result<ShownSession, sqlx::Error> {
        let last = match (self.last_id, self.last_seq, self.last_audience, self.last_at) {
            (Some(id), Some(seq), Some(audience), Some(created_at)) => {
                let row = EntryRow {
                    seq,
                    id,
                    kind: "message".into(),
                    audience,
                    sender: self.last_sender,
                    name: self.last_name,
                    body: self.last_body,
                    mode: None,
                    client_id: None,
                    created_at,
                };
                ShownMessage::of(row.into_entry()?)
            }
            _ => None,
        };
        let mode = mode(&self.mode)?;
        Ok(ShownSession {
            session_id: session_id(&self.id)?,
            channel: channel(&self.channel)?,
            connected: self.connected,
            ready_state: ShownSession::ready_state_of(self.connected),
            mode,
            waiting: mode == Mode::Operator && self.operator_id.is_none(),
            operator: self.operator_name,
            operator_id: self.operator_id,
            flagged: self.flagged,
            last_message: last,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            meta: Meta {
                origin: self.origin,
                ua: self.user_agent,
                referer: self.referer,
            },
        })
    }
}

/// Who speaks to the visitor, from the columns that say it.
pub(crate) fn holder(
    mode_word: &str,
    id: Option<String>,
    name: Option<String>,
) -> Result<Holder, sqlx::Error> {
    Ok(match (mode(mode_word)?, id, name) {
        (Mode::Bot, ..) => Holder::Bot,
        (Mode::Operator, Some(id), Some(name)) => Holder::Operator(Person { id, name }),
        (Mode::Operator, ..) => Holder::Waiting,
    })
}

/// The id of a chat.
pub(crate) fn session_id(text: &str) -> Result<SessionId, sqlx::Error> {
    SessionId::parse(text).ok_or_else(|| corrupt("id"))
}

fn channel(text: &str) -> Result<ChannelName, sqlx::Error> {
    ChannelName::parse(text).ok_or_else(|| corrupt("channel"))
}

fn mode(word: &str) -> Result<Mode, sqlx::Error> {
    Mode::parse(word).ok_or_else(|| corrupt("mode"))
}

/// A row that no release of this service has written.
pub(crate) fn corrupt(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} holds what no release has written").into())
}
