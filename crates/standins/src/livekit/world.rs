//! Everything that the stand-in knows, and the clockwork behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::plan::{Plan, Plans, RecordingEnding};
use super::recordings::Recording;
use super::room::{Acted, Room, RoomSeen};
use super::webhooks::Webhooks;
use super::{Options, token};
use crate::control::Orders;
use crate::log::Log;

/// Closed rooms that are remembered.
const MAX_PAST_ROOMS: usize = 20_000;
/// Jobs in the book. When it is full, dispatches are refused: it must not forget one.
const MAX_ACTED: usize = 500_000;
/// Between two looks for rooms whose time is up, as LiveKit has it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What both doors share.
pub(crate) struct Platform {
    pub(super) options: Options,
    pub(super) orders: Orders,
    pub(super) log: Arc<Log>,
    pub(super) webhooks: Arc<Webhooks>,
    world: Mutex<World>,
    tasks: Mutex<JoinSet<()>>,
}

/// What there is.
pub(super) struct World {
    pub(super) rooms: HashMap<String, Room>,
    past: VecDeque<RoomSeen>,
    /// The book of jobs.
    pub(super) acted: Vec<Acted>,
    pub(super) workers: usize,
    /// Workers who came for a job and found it gone.
    pub(super) turned_away: usize,
    pub(super) plans: Plans,
    pub(super) recordings: Vec<Recording>,
    pub(super) recording: RecordingEnding,
}

impl World {
    /// Whether another job fits into the book.
    pub(super) fn has_space(&self) -> bool {
        self.acted.len() < MAX_ACTED
    }

    pub(super) fn remember(&mut self, seen: RoomSeen) {
        self.past.push_back(seen);
        if self.past.len() > MAX_PAST_ROOMS {
            self.past.pop_front();
        }
    }

    /// The rooms that were and that are.
    pub(super) fn seen(&self) -> Vec<RoomSeen> {
        let open = self.rooms.values().map(|room| room.seen.clone());
        self.past.iter().cloned().chain(open).collect()
    }

    /// The room of this name, if it is still the same one.
    pub(super) fn same_room(&mut self, name: &str, sid: &str) -> Option<&mut Room> {
        self.rooms.get_mut(name).filter(|room| room.info.sid == sid)
    }
}

impl Platform {
    pub(super) fn new(options: Options) -> Self {
        let log = Arc::new(Log::default());
        let webhooks = Arc::new(Webhooks::new(&options, Arc::clone(&log)));
        let world = World {
            rooms: HashMap::new(),
            past: VecDeque::new(),
            acted: Vec::new(),
            workers: options.workers,
            turned_away: 0,
            plans: Plans::new(options.plan.clone()),
            recordings: Vec::new(),
            recording: RecordingEnding::default(),
        };
        Self {
            orders: Orders::default(),
            log,
            webhooks,
            world: Mutex::new(world),
            tasks: Mutex::default(),
            options,
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grants(&self, headers: &hyper::HeaderMap) -> Result<token::Grants, String> {
        token::Grants::of(headers, &self.options.keys)
    }

    pub(super) fn set_workers(&self, workers: usize) {
        self.world().workers = workers;
    }

    pub(super) fn add_plan(&self, plan: Plan) {
        self.world().plans.add(plan);
    }

    pub(super) fn clear_plans(&self) {
        self.world().plans.clear();
    }

    pub(super) fn set_recording(&self, ending: RecordingEnding) {
        self.world().recording = ending;
    }

    /// Does something later, unless the stand-in has stopped by then.
    pub(super) fn later(self: &Arc<Self>, wait: Duration, act: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let platform = Arc::clone(self);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // A timer takes a millisecond even for nothing.
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            act(&platform);
        });
    }

    /// Closes rooms when their time is up, from now on.
    pub(super) fn close_idle_rooms(self: &Arc<Self>) {
        self.later(LOOK_EVERY, |platform| {
            let idle: Vec<String> = {
                let world = platform.world();
                let idle = world.rooms.iter().filter(|(_, room)| room.is_idle());
                idle.map(|(name, _)| name.clone()).collect()
            };
            for name in idle {
                platform.close_as_idle(&name);
            }
            platform.close_idle_rooms();
        });
    }

    /// Ends everything under way.
    pub(super) fn stop(&self) {
        self.webhooks.stop();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.abort_all();
    }
}
