//! What the database says of the chats that are held here, and what it is yet to be told.
//!
//! A chat is told of when its first socket comes and when its last one has gone. While a statement is under way nobody relies
//! on what it says, and whoever comes or goes meanwhile is told of after it. The registry carries the statements out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Hub, Line, lock};
use crate::domain::ids::SessionId;

/// Whether the database says that this process holds the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unregistered,
    /// A statement is under way.
    Changing,
    Registered,
}

/// What the database knows of a chat that gets its first socket here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is to be told.
    NotYet,
    /// A statement that tells it is under way.
    Soon,
}

/// A chat that has sockets here, or had some a moment ago.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lines: Vec<Arc<Line>>,
    standing: Standing,
}

impl Held {
    fn is_settled(&self) -> bool {
        let wanted = if self.lines.is_empty() {
            Standing::Unregistered
        } else {
            Standing::Registered
        };
        self.standing == wanted
    }
}

/// What the database is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Chats that have a socket here now.
    pub(crate) come: Vec<SessionId>,
    /// Chats that have none any more.
    pub(crate) gone: Vec<SessionId>,
}

/// How the registry keeps the database and the hub in agreement.
impl Hub {
    /// A socket comes.
    pub(crate) fn join(&self, session: &SessionId, known: Known) -> Arc<Line> {
        let line = Line::new(self.now_ms());
        let mut held = lock(&self.inner.held);
        let standing = match known {
            Known::NotYet => Standing::Unregistered,
            Known::Soon => Standing::Changing,
        };
        let own = held.entry(session.clone()).or_insert_with(|| Held {
            lines: Vec::with_capacity(1),
            standing,
        });
        if own.lines.is_empty() {
            self.inner.sessions.fetch_add(1, Ordering::Relaxed);
        }
        own.lines.push(Arc::clone(&line));
        self.inner.connections.fetch_add(1, Ordering::Relaxed);
        line
    }

    /// A socket goes. `false`: it was gone already.
    pub(crate) fn leave(&self, session: &SessionId, line: &Arc<Line>) -> bool {
        let mut held = lock(&self.inner.held);
        let Some(own) = held.get_mut(session) else {
            return false;
        };
        let before = own.lines.len();
        own.lines.retain(|other| !Arc::ptr_eq(other, line));
        if own.lines.len() == before {
            return false;
        }
        self.inner.connections.fetch_sub(1, Ordering::Relaxed);
        if own.lines.is_empty() {
            self.inner.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Whether the database says that the chat is held here.
    pub(crate) fn is_registered(&self, session: &SessionId) -> bool {
        lock(&self.inner.held)
            .get(session)
            .is_some_and(|held| held.standing == Standing::Registered)
    }

    /// What the database is to be told about these chats; until [`Hub::told`] nobody relies on what it says of them.
    pub(crate) fn begin_telling(&self, sessions: impl IntoIterator<Item = SessionId>) -> Changes {
        let mut held = lock(&self.inner.held);
        let mut changes = Changes::default();
        for session in sessions {
            let Some(own) = held.get_mut(&session) else {
                continue;
            };
            if own.is_settled() {
                if own.lines.is_empty() {
                    held.remove(&session);
                }
                continue;
            }
            if own.standing == Standing::Changing {
                continue;
            }
            own.standing = Standing::Changing;
            let list = if own.lines.is_empty() {
                &mut changes.gone
            } else {
                &mut changes.come
            };
            list.push(session);
        }
        changes
    }

    /// The database was told, or could not be. Gives the chats about which it is to be told again.
    pub(crate) fn told(&self, changes: Changes, done: bool) -> Vec<SessionId> {
        let Changes { come, gone } = changes;
        let mut held = lock(&self.inner.held);
        let mut again = Vec::new();
        let come = come.into_iter().map(|session| (session, done));
        for (session, registered) in come.chain(gone.into_iter().map(|session| (session, !done))) {
            let Some(own) = held.get_mut(&session) else {
                continue;
            };
            own.standing = if registered {
                Standing::Registered
            } else {
                Standing::Unregistered
            };
            if !own.is_settled() {
                again.push(session);
            } else if own.lines.is_empty() {
                held.remove(&session);
            }
        }
        again
    }

    /// Those of which nothing is held here.
    pub(crate) fn not_held(&self, mut sessions: Vec<SessionId>) -> Vec<SessionId> {
        let held = lock(&self.inner.held);
        sessions.retain(|session| !held.contains_key(session));
        sessions
    }

    /// All chats of which the database knows that they are held here.
    pub(crate) fn registered(&self) -> Vec<String> {
        let held = lock(&self.inner.held);
        let known = held
            .iter()
            .filter(|(_, held)| held.standing == Standing::Registered);
        known.map(|(session, _)| session.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> SessionId {
        SessionId::parse("cw-1-abcdefghijklmnop").unwrap()
    }

    fn telling(hub: &Hub) -> Changes {
        hub.begin_telling([chat()])
    }

    fn come() -> Changes {
        Changes {
            come: vec![chat()],
            gone: Vec::new(),
        }
    }

    fn gone() -> Changes {
        Changes {
            come: Vec::new(),
            gone: vec![chat()],
        }
    }

    #[test]
    fn the_database_is_told_of_the_first_socket_and_of_the_last() {
        let hub = Hub::new();
        let first = hub.join(&chat(), Known::NotYet);
        assert_eq!(telling(&hub), come());
        // A statement is under way: nobody else tells the same, and nobody relies on it.
        assert_eq!(
            (telling(&hub), hub.is_registered(&chat())),
            (Changes::default(), false)
        );
        assert!(hub.told(come(), true).is_empty() && hub.is_registered(&chat()));
        let second = hub.join(&chat(), Known::NotYet);
        assert_eq!(telling(&hub), Changes::default());
        assert_eq!((hub.connections(), hub.sessions()), (2, 1));
        assert!(hub.leave(&chat(), &first) && !hub.leave(&chat(), &first));
        assert_eq!(telling(&hub), Changes::default());
        assert!(hub.leave(&chat(), &second));
        assert_eq!((telling(&hub), hub.connections(), hub.sessions()), (gone(), 0, 0));
        assert!(hub.told(gone(), true).is_empty());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn who_comes_while_the_last_one_is_taken_off_the_list_is_told_of_again() {
        let hub = Hub::new();
        let first = hub.join(&chat(), Known::NotYet);
        hub.told(telling(&hub), true);
        hub.leave(&chat(), &first);
        let going = telling(&hub);
        let _second = hub.join(&chat(), Known::NotYet);
        assert!(!hub.is_registered(&chat()), "the row is about to go");
        assert_eq!(hub.told(going, true), [chat()]);
        assert_eq!(telling(&hub), come());
    }

    #[test]
    fn what_could_not_be_told_is_told_again() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::NotYet);
        let coming = telling(&hub);
        assert_eq!(hub.told(coming, false), [chat()]);
        hub.told(telling(&hub), true);
        hub.leave(&chat(), &line);
        let going = telling(&hub);
        assert_eq!(hub.told(going, false), [chat()]);
        assert_eq!(telling(&hub), gone());
    }

    #[test]
    fn a_chat_that_could_not_be_stored_is_held_by_nobody() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert_eq!(
            (telling(&hub), hub.registered()),
            (Changes::default(), Vec::new())
        );
        hub.leave(&chat(), &line);
        assert!(hub.told(come(), false).is_empty());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn who_leaves_once_it_is_known_that_nothing_was_stored_is_forgotten() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert_eq!(hub.told(come(), false), [chat()]);
        hub.leave(&chat(), &line);
        assert_eq!(telling(&hub), Changes::default());
        assert_eq!(hub.not_held(vec![chat()]), [chat()]);
    }

    #[test]
    fn a_chat_that_may_have_been_stored_is_taken_off_the_list() {
        let hub = Hub::new();
        let line = hub.join(&chat(), Known::Soon);
        assert!(hub.told(come(), true).is_empty());
        hub.leave(&chat(), &line);
        assert_eq!(telling(&hub), gone());
    }
}
