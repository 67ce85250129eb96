//! What a connection shows of a bot's answer while it comes: nothing while an operator has the chat.

use super::entry::Mode;
use super::ids::MessageId;

/// What a connection shows, beside the log, of what the bot is about to say.
#[derive(Debug)]
pub struct Preview {
    mode: Mode,
    /// The answer of which pieces are shown.
    open: Option<MessageId>,
    typing: bool,
}

/// What an operator finds at his takeover, and what is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Withdrawn {
    /// The answer of which pieces were shown.
    pub open: Option<MessageId>,
    /// Whether the bot was said to write.
    pub typing: bool,
}

impl Preview {
    /// Of a connection that begins in this mode.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            open: None,
            typing: false,
        }
    }

    /// Whether a piece is shown; without an index it says that the pieces before it are void. An answer is shown from its
    /// first piece on: what began before a takeover does not go on after it.
    pub fn shows_piece(&mut self, message: MessageId, index: Option<u32>) -> bool {
        if self.mode == Mode::Operator {
            return false;
        }
        match index {
            Some(0) => self.open = Some(message),
            Some(_) => return self.open == Some(message),
            None => self.ended(message),
        }
        true
    }

    /// Whether it is shown that the bot writes, or stopped.
    pub fn shows_typing(&mut self, active: bool) -> bool {
        let shown = self.mode == Mode::Bot;
        self.typing = shown && active;
        shown
    }

    /// The whole answer is shown.
    pub fn ended(&mut self, message: MessageId) {
        self.open = self.open.filter(|open| *open != message);
    }

    /// Somebody else speaks from here on. Gives what is void by that.
    pub fn turned(&mut self, mode: Mode) -> Withdrawn {
        self.mode = mode;
        if mode == Mode::Bot {
            return Withdrawn::default();
        }
        Withdrawn {
            open: self.open.take(),
            typing: std::mem::take(&mut self.typing),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> MessageId {
        MessageId(Uuid::from_u128(n))
    }

    #[test]
    fn a_takeover_takes_back_what_is_shown_and_nothing_of_it_comes_again() {
        let mut preview = Preview::new(Mode::Bot);
        assert!(preview.shows_typing(true));
        assert!(preview.shows_piece(id(1), Some(0)) && preview.shows_piece(id(1), Some(1)));
        let withdrawn = Withdrawn {
            open: Some(id(1)),
            typing: true,
        };
        assert_eq!(preview.turned(Mode::Operator), withdrawn);
        assert!(!preview.shows_piece(id(1), Some(2)) && !preview.shows_piece(id(1), None));
        assert!(!preview.shows_piece(id(2), Some(0)) && !preview.shows_typing(true));
        assert_eq!(preview.turned(Mode::Bot), Withdrawn::default());
        assert!(
            !preview.shows_piece(id(1), Some(3)),
            "it began before the takeover"
        );
        assert!(preview.shows_piece(id(3), Some(0)) && preview.shows_piece(id(3), Some(1)));
        assert!(preview.shows_typing(true));
    }

    #[test]
    fn nothing_is_taken_back_of_what_is_whole_or_void_already() {
        let mut whole = Preview::new(Mode::Bot);
        assert!(whole.shows_piece(id(1), Some(0)) && whole.shows_typing(true) && whole.shows_typing(false));
        whole.ended(id(1));
        assert_eq!(whole.turned(Mode::Operator), Withdrawn::default());
        let mut void = Preview::new(Mode::Bot);
        assert!(void.shows_piece(id(1), Some(0)) && void.shows_piece(id(1), None));
        assert_eq!(void.turned(Mode::Operator), Withdrawn::default());
    }

    #[test]
    fn who_comes_while_an_operator_has_the_chat_is_shown_nothing_of_the_bot() {
        let mut preview = Preview::new(Mode::Operator);
        assert!(!preview.shows_piece(id(1), Some(0)) && !preview.shows_typing(true));
    }
}
