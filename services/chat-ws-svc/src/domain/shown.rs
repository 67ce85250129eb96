//! What a person or a program is shown of a chat.

use serde::Serialize;
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

use super::channel::ChannelName;
use super::entry::{Audience, Entry, EntryKind, Mode, Sender};
use super::ids::{MessageId, SessionId};

/// `readyState` of an open socket.
const OPEN: u8 = 1;
/// `readyState` where there is none.
const CLOSED: u8 = 3;

/// What an entry is for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// Operators: the visitor does not see it.
    Operators,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownMessage {
    /// Its id.
    #[schema(value_type = String, examples("msg-0199bd3c7d407c3e8a5f3f0c1b2a3d4e"))]
    pub message_id: MessageId,
    /// Who wrote it.
    pub from: Sender,
    /// What he is called, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What.
    pub text: String,
    /// When it was stored.
    pub timestamp: WireTime,
    /// Where it is not for the visitor: what the bot said while an operator had the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Only>,
}

impl ShownMessage {
    /// An entry that is a message.
    pub fn of(entry: Entry) -> Option<Self> {
        let EntryKind::Message(message) = entry.kind else {
            return None;
        };
        Some(Self {
            message_id: entry.id,
            from: message.sender,
            name: message.name,
            text: message.text,
            timestamp: entry.at.into(),
            audience: (entry.audience == Audience::Operators).then_some(Only::Operators),
        })
    }
}

/// What is known of a visitor's browser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meta {
    /// The page's origin.
    pub origin: Option<String>,
    /// The browser.
    pub ua: Option<String>,
    /// The page.
    pub referer: Option<String>,
}

/// A chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownSession {
    /// Its id.
    #[schema(value_type = String, examples("cw-1759838400000-k3v9x2m4p7q1a8s5d6f0g3h2"))]
    pub session_id: SessionId,
    /// Whose visitor it is.
    #[schema(value_type = String)]
    pub channel: ChannelName,
    /// Whether a socket is open on any replica.
    pub connected: bool,
    /// 1 while one is, else 3.
    pub ready_state: u8,
    /// Who speaks to the visitor.
    pub mode: Mode,
    /// The operator who has it, where one has.
    pub operator: Option<String>,
    /// His user id.
    pub operator_id: Option<String>,
    /// Whether it waits for an operator.
    pub waiting: bool,
    /// Whether the bot could not be reached, or broke, and nobody has answered since.
    pub flagged: bool,
    /// The last message.
    pub last_message: Option<ShownMessage>,
    /// When it began.
    pub created_at: WireTime,
    /// When something was said, or changed, last.
    pub updated_at: WireTime,
    /// The visitor's browser.
    pub meta: Meta,
}

impl ShownSession {
    /// The number that browsers have for the state of a socket.
    pub fn ready_state_of(connected: bool) -> u8 {
        if connected { OPEN } else { CLOSED }
    }
}
