//! Which way events go. There are few lanes, each with one commit under way. All events of an agent that are under way go by
//! the same one: two commits want neither the same call nor the same client's row, as a rule. A new agent goes where the
//! fewest wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lanes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lanes {
    taken: Arc<Mutex<Taken>>,
}

struct Taken {
    /// How many events are on each lane.
    events: Vec<usize>,
    /// By agent: his lane, and how many of his events are on it.
    agents: HashMap<String, (usize, usize)>,
}

/// An event's place on a lane; dropped when the event is through.
pub(super) struct Ticket {
    taken: Arc<Mutex<Taken>>,
    agent: String,
    lane: usize,
}

impl Lanes {
    pub(super) fn new(lanes: usize) -> Self {
        let taken = Taken {
            events: vec![0; lanes],
            agents: HashMap::new(),
        };
        Self {
            taken: Arc::new(Mutex::new(taken)),
        }
    }

    /// The lane of an agent's next event.
    pub(super) fn enter(&self, agent: &str) -> Ticket {
        let mut taken = locked(&self.taken);
        let lane = match taken.agents.get(agent) {
            Some((lane, _)) => *lane,
            None => taken.emptiest(),
        };
        let (_, events) = taken.agents.entry(agent.to_owned()).or_insert((lane, 0));
        *events += 1;
        taken.events[lane] += 1;
        drop(taken);
        Ticket {
            taken: Arc::clone(&self.taken),
            agent: agent.to_owned(),
            lane,
        }
    }
}

impl Taken {
    fn emptiest(&self) -> usize {
        let lanes = self.events.iter().enumerate();
        lanes
            .min_by_key(|(_, events)| **events)
            .map_or(0, |(lane, _)| lane)
    }
}

impl Ticket {
    pub(super) fn lane(&self) -> usize {
        self.lane
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.events[self.lane] -= 1;
        if let Some((_, events)) = taken.agents.get_mut(&self.agent) {
            *events -= 1;
            if *events == 0 {
                taken.agents.remove(&self.agent);
            }
        }
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_keeps_his_lane_while_one_of_his_events_is_under_way() {
        let lanes = Lanes::new(2);
        let first = lanes.enter("ada");
        let second = lanes.enter("ada");
        assert_eq!(first.lane(), second.lane());
        drop(first);
        assert_eq!(lanes.enter("ada").lane(), second.lane());
    }

    #[test]
    fn a_new_agent_goes_where_the_fewest_wait() {
        let lanes = Lanes::new(2);
        let adas = [lanes.enter("ada"), lanes.enter("ada")];
        let bobs = lanes.enter("bob");
        let carols = lanes.enter("carol");
        assert_ne!(adas[0].lane(), bobs.lane());
        assert_eq!(bobs.lane(), carols.lane());
        drop(adas);
        assert_ne!(lanes.enter("dave").lane(), bobs.lane());
    }

    #[test]
    fn nothing_is_remembered_of_agents_whose_events_are_through() {
        let lanes = Lanes::new(2);
        drop([lanes.enter("ada"), lanes.enter("ada"), lanes.enter("bob")]);
        let taken = locked(&lanes.taken);
        assert!(taken.agents.is_empty() && taken.events == [0, 0]);
    }
}
