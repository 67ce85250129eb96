//! Readers get what comes after their position, in order, each entry once, at a cost that does not grow with them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use switchhook_chassis::feed::{Feed, Log, Placed, Reader};
use switchhook_chassis::lifecycle::Tasks;
use switchhook_chassis::testing::eventually;
use switchhook_chassis::wake::{Revisions, Wake};
use uuid::Uuid;

use crate::SERVICE;

/// Longest that anything may take.
const SOON: Duration = Duration::from_secs(20);

/// What the database would keep, shared by all processes; counts who asks.
#[derive(Clone, Default)]
struct Entries {
    all: Arc<Mutex<HashMap<String, Vec<i64>>>>,
    reads: Arc<AtomicUsize>,
}

impl Entries {
    fn add(&self, key: &str, positions: std::ops::RangeInclusive<i64>) {
        self.all
            .lock()
            .unwrap()
            .entry(key.to_owned())
            .or_default()
            .extend(positions);
    }
}

#[async_trait]
impl Log for Entries {
    type Entry = i64;

    async fn after(&self, key: &str, position: i64, limit: i64) -> Result<Vec<Placed<i64>>, sqlx::Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let all = self.all.lock().unwrap();
        let new = all.get(key).into_iter().flatten().filter(|at| **at > position);
        Ok(new
            .take(usize::try_from(limit).unwrap())
            .map(|at| (*at, *at))
            .collect())
    }
}

#[async_trait]
impl Revisions for Entries {
    async fn of(&self, ids: &[String]) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let all = self.all.lock().unwrap();
        let last = |id: &String| all.get(id).and_then(|entries| entries.last()).copied();
        Ok(ids.iter().map(|id| (id.clone(), last(id).unwrap_or(0))).collect())
    }
}

/// One process of a service.
struct Process {
    wake: Wake,
    tasks: Tasks,
    feed: Feed<Entries>,
}

impl Process {
    fn start(pool: &PgPool, entries: &Entries) -> Self {
        let tasks = Tasks::on_current_runtime();
        let wake = Wake::new(
            &SERVICE,
            pool.clone(),
            (*pool.connect_options()).clone(),
            Uuid::now_v7(),
        );
        wake.start(&tasks, Arc::new(entries.clone()));
        let feed = Feed::new(&wake, &tasks, entries.clone());
        Self { wake, tasks, feed }
    }
}

async fn next(reader: &mut Reader<Entries>) -> Vec<i64> {
    let new = tokio::time::timeout(SOON, reader.next()).await.unwrap();
    new.into_iter().map(|(at, _)| at).collect()
}

#[sqlx::test(migrations = false)]
async fn a_thousand_readers_cost_no_more_reads_than_one(pool: PgPool) {
    let entries = Entries::default();
    let (here, there) = (Process::start(&pool, &entries), Process::start(&pool, &entries));
    let mut readers: Vec<_> = (0..1000).map(|_| here.feed.reader("task", 0).unwrap()).collect();
    eventually(
        || async { (entries.reads.load(Ordering::SeqCst) > 0).then_some(()) },
        SOON,
    )
    .await;
    entries.add("task", 1..=1);
    there.wake.announce(["task".to_owned()]);
    for reader in &mut readers {
        assert_eq!(next(reader).await, [1]);
    }
    let reads = entries.reads.load(Ordering::SeqCst);
    assert!(reads <= 10, "{reads} reads");
}

#[sqlx::test(migrations = false)]
async fn a_lost_notification_costs_a_poll_and_no_entry(pool: PgPool) {
    let entries = Entries::default();
    let process = Process::start(&pool, &entries);
    let mut reader = process.feed.reader("task", 0).unwrap();
    eventually(
        || async { (entries.reads.load(Ordering::SeqCst) > 0).then_some(()) },
        SOON,
    )
    .await;
    entries.add("task", 1..=2);
    assert_eq!(next(&mut reader).await, [1, 2]);
}

#[sqlx::test(migrations = false)]
async fn whoever_is_behind_what_is_remembered_still_gets_everything_in_order(pool: PgPool) {
    let entries = Entries::default();
    entries.add("task", 1..=1000);
    let process = Process::start(&pool, &entries);
    let mut late = process.feed.reader("task", 990).unwrap();
    assert_eq!(next(&mut late).await.last(), Some(&1000));
    let mut behind = process.feed.reader("task", 0).unwrap();
    let mut got = Vec::new();
    while got.len() < 1000 {
        got.extend(next(&mut behind).await);
    }
    assert!(got.iter().copied().eq(1..=1000));
    entries.add("task", 1001..=1001);
    process.wake.announce(["task".to_owned()]);
    assert_eq!(
        (next(&mut late).await, next(&mut behind).await),
        (vec![1001], vec![1001])
    );
}

#[sqlx::test(migrations = false)]
async fn nobody_reads_for_readers_that_are_gone(pool: PgPool) {
    let process = Process::start(&pool, &Entries::default());
    let readers: Vec<_> = (0..3).map(|_| process.feed.reader("task", 0).unwrap()).collect();
    assert_eq!((process.feed.readers(), process.wake.waited_for()), (3, 1));
    drop(readers);
    let forgotten = || async { (process.wake.waited_for() == 0).then_some(()) };
    eventually(forgotten, SOON).await;
    assert_eq!(process.feed.readers(), 0);
    process.tasks.stopping().cancel();
    assert!(process.tasks.finish(SOON).await);
}
