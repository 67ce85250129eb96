//! The rows that this process has in hand: nobody takes them for lost, and a topic's share of the process is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::Topic;

/// Rows in hand. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    /// How often each is held: a claim may overlap with what is left of an earlier one.
    holds: HashMap<Uuid, u32>,
    of_topic: HashMap<&'static str, usize>,
}

impl Held {
    /// Takes a row in hand until the guard is dropped, however the work ends.
    pub(crate) fn hold(&self, id: Uuid, topic: &'static Topic) -> Hold {
        let mut rows = self.rows();
        *rows.holds.entry(id).or_default() += 1;
        *rows.of_topic.entry(topic.name).or_default() += 1;
        Hold {
            held: self.clone(),
            id,
            topic: topic.name,
        }
    }

    /// How many more requests of a topic this process takes.
    pub(crate) fn room(&self, topic: &Topic) -> usize {
        let taken = self.rows().of_topic.get(topic.name).copied().unwrap_or(0);
        topic.in_flight.saturating_sub(taken)
    }

    /// All of them.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.rows().holds.keys().copied().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows().holds.len()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row in hand.
pub(crate) struct Hold {
    held: Held,
    id: Uuid,
    topic: &'static str,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({})", self.id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut rows = self.held.rows();
        if let Some(count) = rows.of_topic.get_mut(self.topic) {
            *count = count.saturating_sub(1);
        }
        let left = rows.holds.get_mut(&self.id).map(|holds| {
            *holds = holds.saturating_sub(1);
            *holds
        });
        if left == Some(0) {
            rows.holds.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbox::Guarantee;

    static TOPIC: Topic = Topic {
        name: "t",
        guarantee: Guarantee::AtMostOnce,
        give_up_after: Duration::ZERO,
        answer_limit: None,
        opening: 1,
        in_flight: 3,
    };

    #[test]
    fn a_row_that_is_held_twice_is_let_go_twice() {
        let held = Held::default();
        let id = Uuid::from_u128(1);
        let (first, second) = (held.hold(id, &TOPIC), held.hold(id, &TOPIC));
        assert_eq!((held.len(), held.room(&TOPIC)), (1, 1));
        drop(first);
        assert_eq!((held.ids(), held.room(&TOPIC)), (vec![id], 2));
        drop(second);
        assert_eq!((held.len(), held.room(&TOPIC)), (0, 3));
    }
}
