//! What is written to the logs of chats, many chats at a time: visitors' messages share commits, and so do bots' answers.
//!
//! A message that is stored is sent to the bot from here, whether or not its connection still waits for it.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use switchhook_chassis::group_commit::{GroupCommit, Limits, Work};
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::{Draft, Outbox};

use crate::store::replies::{self, NewReply, Placed};
use crate::store::visitor::{self, NewMessage, Written};

/// Messages, or answers, of one commit; their weight is in bytes of text.
const LIMITS: Limits = Limits {
    waiting: 4_096,
    items: 64,
    weight: 1024 * 1024,
    gathering: Duration::ZERO,
};

/// Writes to logs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    messages: GroupCommit<Messages>,
    replies: Replies,
}

/// Writes bots' answers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Replies(GroupCommit<Answers>);

impl Log {
    /// Nothing runs yet.
    pub(crate) fn new(kit: &Kit, outbox: &Outbox, replies: Replies, visitor_rate: u32) -> Self {
        let messages = Messages {
            pool: kit.pool.clone(),
            outbox: outbox.clone(),
            visitor_rate,
        };
        Self {
            messages: GroupCommit::new(messages, LIMITS),
            replies,
        }
    }

    /// Starts writing.
    pub(crate) fn start(&self, kit: &Kit) {
        self.messages.start(kit);
        self.replies.0.start(kit);
    }

    /// Stores a visitor's message, and sends it to the bot.
    pub(crate) async fn message(&self, new: NewMessage) -> Result<Written, sqlx::Error> {
        self.messages.commit(new).await
    }
}

impl Replies {
    /// Nothing runs yet.
    pub(crate) fn new(kit: &Kit) -> Self {
        let pool = kit.pool.clone();
        Self(GroupCommit::new(Answers { pool }, LIMITS))
    }

    /// Stores an answer and ends the row that asked for it. Nothing where that takes a look at the chat first.
    pub(crate) async fn store(&self, new: NewReply) -> Result<Option<Placed>, sqlx::Error> {
        self.0.commit(new).await
    }
}

struct Messages {
    pool: PgPool,
    outbox: Outbox,
    visitor_rate: u32,
}

#[async_trait]
impl Work for Messages {
    type Item = NewMessage;
    type Outcome = Written;

    async fn together(&self, items: &[NewMessage]) -> Result<Vec<Written>, sqlx::Error> {
        let is_willing = |draft: &Draft| self.outbox.is_willing(draft);
        visitor::store(&self.pool, items, self.visitor_rate, is_willing).await
    }

    fn afterwards(&self, items: Vec<NewMessage>, written: &[Result<Written, sqlx::Error>]) {
        for (new, written) in items.into_iter().zip(written) {
            let sending = match written {
                Ok(Written::Stored(stored)) => stored.sending,
                Ok(Written::LeftBehind) => Some(true),
                Ok(Written::Busy | Written::Refused) | Err(_) => None,
            };
            if let Some(sending) = sending {
                self.outbox.send_now(self.outbox.written(new.draft, sending));
            }
        }
    }

    fn key(item: &NewMessage) -> Option<&str> {
        Some(item.session.as_str())
    }

    fn weight(item: &NewMessage) -> usize {
        item.text.len()
    }
}

struct Answers {
    pool: PgPool,
}

#[async_trait]
impl Work for Answers {
    type Item = NewReply;
    type Outcome = Option<Placed>;

    async fn together(&self, items: &[NewReply]) -> Result<Vec<Option<Placed>>, sqlx::Error> {
        replies::store(&self.pool, items).await
    }

    fn key(item: &NewReply) -> Option<&str> {
        Some(item.session.as_str())
    }

    fn weight(item: &NewReply) -> usize {
        item.parts.iter().map(|(_, text)| text.len()).sum()
    }
}
