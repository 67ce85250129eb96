//! May one more call be made? The decision; counting it and keeping it atomic is the store's part.

use super::session::Session;

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

/// Judges a claim. `earlier` is the answer that the same call id was given before.
pub fn judge(session: &Session, calls_today: i64, earlier: Option<Granted>) -> Decision {
    let remaining = session.limit.remaining(calls_today);
    let calls_made = session.calls_made;
    match earlier {
        Some(granted) => Decision::Repeat(granted),
        None if !session.is_active() => Decision::Deny {
            denial: Denial::Stopped,
            calls_made,
        },
        None if remaining == 0 => Decision::Deny {
            denial: Denial::LimitReached,
            calls_made,
        },
        None => Decision::Grant(Granted {
            calls_made: calls_made.saturating_add(1),
            remaining: remaining - 1,
        }),
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
