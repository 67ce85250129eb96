//! May one more call be made? The decision; counting it and keeping it atomic is the store's part.

use super::session::{DailyLimit, Session};

/// What an accepted claim was told, and is told again under the same call id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Calls of the session, this one included.
    pub calls_made: i32,
    /// Calls left of the day.
    pub remaining: i64,
}

/// Why a call may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The day's limit is used up.
    LimitReached,
    /// The session is over.
    Stopped,
}

/// The answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// One more call, counted now.
    Grant(Granted),
    /// The same claim again: its answer, nothing counted.
    Repeat(Granted),
    /// No call.
    Deny {
        /// Why.
        denial: Denial,
        /// Calls of the session.
        calls_made: i32,
    },
}

/// What a claim is judged by. Claims that come together are judged one after the other, each by what the one before left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Calls that the user allows in a day.
    pub limit: DailyLimit,
    /// Whether the session goes on.
    pub is_active: bool,
    /// Calls of the session.
    pub calls_made: i32,
    /// Calls of all of the user's sessions today.
    pub calls_today: i64,
}

impl Standing {
    /// How a session stands.
    pub fn of(session: &Session, calls_today: i64) -> Self {
        Self {
            limit: session.limit,
            is_active: session.is_active(),
            calls_made: session.calls_made,
            calls_today,
        }
    }

    /// Judges a claim, and counts a call that is granted. `earlier` is the answer that the same call id was given before.
    pub fn judge(&mut self, earlier: Option<Granted>) -> Decision {
        if let Some(granted) = earlier {
            return Decision::Repeat(granted);
        }
        let denial = match self.limit.remaining(self.calls_today) {
            _ if !self.is_active => Denial::Stopped,
            0 => Denial::LimitReached,
            _ => return Decision::Grant(self.count()),
        };
        Decision::Deny {
            denial,
            calls_made: self.calls_made,
        }
    }

    fn count(&mut self) -> Granted {
        self.calls_made = self.calls_made.saturating_add(1);
        self.calls_today += 1;
        Granted {
            calls_made: self.calls_made,
            remaining: self.limit.remaining(self.calls_today),
        }
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
