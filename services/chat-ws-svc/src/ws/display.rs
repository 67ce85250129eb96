//! What one connection shows of its chat: whatever happens becomes frames, in their order, that wait to be written.
//!
//! What is shown is [`Connection`]'s and [`Preview`]'s to say; what they decide is put into words here. It knows no socket.

use std::collections::VecDeque;

use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::post::Posted;
use super::socket::Goodbye;
use crate::domain::connection::{Connection, Shown};
use crate::domain::entry::{Mode, Sender};
use crate::domain::ids::MessageId;
use crate::domain::preview::{Preview, Withdrawn};
use crate::hub::{Inbox, Piece};
use crate::protocol::{FaultKind, Outgoing};
use crate::store::visitor::Part;

const ERASED: Goodbye = Goodbye::new(CloseCode::Library(4404), "this chat was erased");

/// What a connection shows.
pub(super) struct Display {
    /// Its place in the log.
    pub(super) log: Connection,
    preview: Preview,
    /// What is to be written.
    pub(super) out: VecDeque<Message>,
    /// Not everything is written.
    unflushed: bool,
    /// Something was said since it was asked.
    talked: bool,
}

impl Display {
    pub(super) fn new(log: Connection, mode: Mode) -> Self {
        Self {
            log,
            preview: Preview::new(mode),
            out: VecDeque::new(),
            unflushed: false,
            talked: false,
        }
    }

    /// Whether there is something to be written, or on its way.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Everything is written.
    pub(super) fn flushed(&mut self) {
        self.unflushed = false;
        // Nothing is kept for the next time: most connections are idle most of the time.
        self.out = VecDeque::new();
    }

    /// Whether anybody said anything since this was asked last.
    pub(super) fn has_talked(&mut self) -> bool {
        std::mem::take(&mut self.talked)
    }

    /// What became of a message of this connection.
    pub(super) fn posted(&mut self, id: MessageId, posted: Posted) -> Result<(), Goodbye> {
        match posted {
            Posted::Stored(stored) => {
                let shown = self.log.stored(id, stored);
                self.show(shown);
            }
            Posted::Refused(kind) => {
                let client_id = self.log.refused(id);
                self.say(&kind.frame(client_id.as_deref()));
            }
            Posted::Erased => return Err(ERASED),
        }
        Ok(())
    }

    /// A part of the log; nothing where the chat is erased.
    pub(super) fn part(&mut self, part: Option<Part>) -> Result<(), Goodbye> {
        let Some(Part { entries, up_to }) = part else {
            return Err(ERASED);
        };
        for entry in &entries {
            let shown = self.log.passed(entry);
            self.show(shown);
        }
        self.log.reached(up_to);
        Ok(())
    }

    /// What lay ready.
    pub(super) fn inbox(&mut self, inbox: Inbox) -> Result<(), Goodbye> {
        for (message_id, piece) in &inbox.pieces {
            self.piece(*message_id, piece);
        }
        for entry in &inbox.entries {
            let shown = self.log.offered(entry);
            self.show(shown);
        }
        self.log.heard_of(inbox.known);
        for (from, active) in inbox.typing {
            if from != Sender::Bot || self.preview.shows_typing(active) {
                self.say(&Outgoing::Typing { from, active });
            }
        }
        inbox.goodbye.map_or(Ok(()), Err)
    }

    fn piece(&mut self, message_id: MessageId, piece: &Piece) {
        let (index, text) = match piece {
            Piece::Text { index, text } => (Some(*index), Some(text.as_str())),
            Piece::Reset => (None, None),
        };
        if self.preview.shows_piece(message_id, index) {
            self.say(&Outgoing::Delta {
                message_id,
                index,
                text,
                reset: *piece == Piece::Reset,
            });
        }
    }

    /// Somebody else speaks from here on: what the bot was about to say is void where it is an operator.
    fn turn(&mut self, mode: Mode) {
        let Withdrawn { open, typing } = self.preview.turned(mode);
        if let Some(message) = open {
            self.say(&Outgoing::Delta {
                message_id: message,
                index: None,
                text: None,
                reset: true,
            });
        }
        if typing {
            self.say(&Outgoing::Typing {
                from: Sender::Bot,
                active: false,
            });
        }
        self.say(&Outgoing::Status { mode });
    }

    fn show(&mut self, shown: Option<Shown<'_>>) {
        let Some(shown) = shown else { return };
        self.talked = true;
        match shown {
            Shown::Message(entry, message) => {
                self.preview.ended(entry.id);
                self.say(&Outgoing::Message {
                    message_id: entry.id,
                    from: message.sender,
                    name: message.name.as_deref(),
                    text: &message.text,
                    timestamp: entry.at.into(),
                    client_id: message.client_id.as_deref(),
                });
            }
            Shown::Ack(message_id, client_id) => self.say(&Outgoing::Ack {
                client_id: client_id.as_deref(),
                message_id,
            }),
            Shown::Status(mode) => self.turn(mode),
            Shown::Trouble(client_id) => self.say(&FaultKind::BotUnavailable.frame(client_id)),
        }
    }

    /// A frame.
    pub(super) fn say(&mut self, frame: &Outgoing<'_>) {
        self.put(Message::text(frame.to_text()));
    }

    /// Anything that is to be written.
    pub(super) fn put(&mut self, message: Message) {
        self.out.push_back(message);
        self.unflushed = true;
    }
}
