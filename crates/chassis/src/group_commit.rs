//! Group commit: the work of many callers shares transactions.
//!
//! What waits while one commit is under way goes with the next, so who comes alone is not delayed, and many cost little
//! more than one. What cannot be committed with others is tried by itself, so that it hurts nobody. It owns the queue and
//! the grouping; what is committed, its [`Work`] knows.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::db;
use crate::kit::Kit;

/// What is done for a group.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// What a caller brings.
    type Item: Send + Sync + 'static;
    /// What he gets.
    type Outcome: Send + Sync + 'static;

    /// Commits all of them or none. One outcome for each, in their order.
    async fn together(&self, items: &[Self::Item]) -> Result<Vec<Self::Outcome>, sqlx::Error>;

    /// What follows from the commits, whether or not a caller still waits for his.
    fn afterwards(&self, _items: Vec<Self::Item>, _outcomes: &[Result<Self::Outcome, sqlx::Error>]) {}

    /// Items of one key keep their order and never share a commit.
    fn key(_item: &Self::Item) -> Option<&str> {
        None
    }

    /// What an item adds to the weight of its group.
    fn weight(_item: &Self::Item) -> usize {
        1
    }
}

/// How much is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items that may wait; whoever comes then waits for a place.
    pub waiting: usize,
    /// Items of one commit.
    pub items: usize,
    /// Weight at which a commit takes no further item.
    pub weight: usize,
    /// Longest that a commit waits for those whom the commit before has answered.
    pub gathering: Duration,
}

struct Waiting<W: Work> {
    item: W::Item,
    answer: oneshot::Sender<Result<W::Outcome, sqlx::Error>>,
}

/// Takes items. Cheap to clone.
pub struct GroupCommit<W: Work> {
    queue: mpsc::Sender<Waiting<W>>,
    /// Taken when it starts.
    group: Arc<Mutex<Option<Group<W>>>>,
}

impl<W: Work> Clone for GroupCommit<W> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            group: Arc::clone(&self.group),
        }
    }
}

impl<W: Work> GroupCommit<W> {
    /// Nothing runs yet.
    pub fn new(work: W, limits: Limits) -> Self {
        let (queue, waiting) = mpsc::channel(limits.waiting);
        let group = Group {
            work,
            limits,
            waiting,
            behind: VecDeque::new(),
        };
        Self {
            queue,
            group: Arc::new(Mutex::new(Some(group))),
        }
    }

    /// Starts committing. It ends after the last who waits has been answered, not when the service begins to stop.
    pub fn start(&self, kit: &Kit) {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = group.take() else { return };
        let (stopped, failed) = (kit.tasks.stopped().clone(), kit.tasks.failed().clone());
        // Not one of the tasks that the shutdown waits for: those are the ones that wait for it.
        let committing = tokio::spawn(stopped.clone().run_until_cancelled_owned(group.run()));
        tokio::spawn(async move {
            let ended = committing.await;
            if !stopped.is_cancelled() {
                tracing::error!(panicked = ended.is_err(), "nothing is committed any more");
                failed.cancel();
            }
        });
    }

    /// Whether the next item would have to wait for a place.
    pub fn is_full(&self) -> bool {
        self.queue.capacity() == 0
    }

    /// Gives an item to the next commit; done once that is through. Whoever stops waiting before that has begun takes his item
    /// back; after that, he does not know.
    pub async fn commit(&self, item: W::Item) -> Result<W::Outcome, sqlx::Error> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send(Waiting { item, answer }).await;
        // The process stops.
        sent.map_err(|_closed| sqlx::Error::PoolClosed)?;
        answered.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }
}

/// The commit before: as many as it has answered are likely to come again at once.
#[derive(Debug, Clone, Copy)]
struct Last {
    items: usize,
    ended: Instant,
}

struct Group<W: Work> {
    work: W,
    limits: Limits,
    waiting: mpsc::Receiver<Waiting<W>>,
    /// Those who wait for another of their key.
    behind: VecDeque<Waiting<W>>,
}

impl<W: Work> Group<W> {
    async fn run(mut self) {
        let mut last = Last {
            items: 0,
            ended: Instant::now(),
        };
        while let Some(batch) = self.next(last).await {
            let (items, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|one| (one.item, one.answer)).unzip();
            let outcomes = self.commit(&items).await;
            self.work.afterwards(items, &outcomes);
            last = Last {
                items: outcomes.len(),
                ended: Instant::now(),
            };
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever stopped waiting is not told; his item is committed all the same.
                let _ = answer.send(outcome);
            }
        }
    }

    /// Commits all of them together, else each by itself; not where the database is away from all of them.
    async fn commit(&self, items: &[W::Item]) -> Vec<Result<W::Outcome, sqlx::Error>> {
        match self.in_time(items).await {
            Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
            Err(error) if items.len() == 1 => return vec![Err(error)],
            Err(error) if db::is_passing(&error) && !db::is_clash(&error) => {
                return for_all(error, items.len());
            }
            Err(error) => {
                tracing::warn!(%error, items = items.len(), "what was to share a commit is tried one by one");
            }
        }
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            match self.in_time(std::slice::from_ref(item)).await {
                Ok(alone) => outcomes.extend(alone.into_iter().map(Ok)),
                // The database is away now: the others need not find out one by one.
                Err(error) if db::is_passing(&error) && !db::is_clash(&error) => {
                    let left = items.len() - outcomes.len();
                    outcomes.extend(for_all(error, left));
                    break;
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        outcomes
    }

    async fn in_time(&self, items: &[W::Item]) -> Result<Vec<W::Outcome>, sqlx::Error> {
        let work = tokio::time::timeout(db::WORK_LIMIT, self.work.together(items));
        work.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// The first that waits, and whoever waits behind it. Straight after a commit for several, those get a moment to come
    /// with their next: else the first of them would have a commit for itself, and the others wait twice as long.
    async fn next(&mut self, last: Last) -> Option<Vec<Waiting<W>>> {
        let mut batch = Batch::of(self.limits);
        for _ in 0..self.behind.len() {
            let waiting = self.behind.pop_front()?;
            self.behind.extend(batch.add(waiting));
        }
        while batch.items.is_empty() {
            let first = self.waiting.recv().await?;
            self.behind.extend(batch.add(first));
        }
        // Whoever must wait for his key is not looked at again before the next commit: no more of them than it can take.
        while batch.has_room() && self.behind.len() < self.limits.items {
            let next = match self.waiting.try_recv() {
                Ok(next) => next,
                Err(_) if batch.items.len() >= last.items => break,
                Err(_) => {
                    match tokio::time::timeout_at(last.ended + self.limits.gathering, self.waiting.recv())
                        .await
                    {
                        Ok(Some(next)) => next,
                        Ok(None) | Err(_) => break,
                    }
                }
            };
            self.behind.extend(batch.add(next));
        }
        Some(batch.items)
    }
}

/// The same failure for everybody.
fn for_all<T>(error: sqlx::Error, count: usize) -> Vec<Result<T, sqlx::Error>> {
    let error = Arc::new(error);
    let copy = |_| Err(sqlx::Error::Io(std::io::Error::other(Arc::clone(&error))));
    (0..count).map(copy).collect()
}

struct Batch<W: Work> {
    items: Vec<Waiting<W>>,
    keys: HashSet<String>,
    weight: usize,
    limits: Limits,
}

impl<W: Work> Batch<W> {
    fn of(limits: Limits) -> Self {
        Self {
            items: Vec::new(),
            keys: HashSet::new(),
            weight: 0,
            limits,
        }
    }

    fn has_room(&self) -> bool {
        self.items.len() < self.limits.items && self.weight < self.limits.weight
    }

    /// Takes it, or gives it back. Whoever gave up was told that it failed: his item is dropped.
    fn add(&mut self, waiting: Waiting<W>) -> Option<Waiting<W>> {
        if waiting.answer.is_closed() {
            return None;
        }
        let is_free = W::key(&waiting.item).is_none_or(|key| self.keys.insert(key.to_owned()));
        if !is_free || !self.has_room() {
            return Some(waiting);
        }
        self.weight += W::weight(&waiting.item);
        self.items.push(waiting);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        waiting: 16,
        items: 4,
        weight: 100,
        gathering: Duration::ZERO,
    };

    /// Tells which groups it is asked to commit, and refuses those in which somebody is bad.
    struct Groups(mpsc::Sender<Vec<String>>);

    #[async_trait]
    impl Work for Groups {
        type Item = String;
        type Outcome = usize;

        async fn together(&self, items: &[String]) -> Result<Vec<usize>, sqlx::Error> {
            self.0.send(items.to_vec()).await.expect("somebody looks");
            match items.iter().any(|item| item == "bad") {
                true => Err(sqlx::Error::RowNotFound),
                false => Ok(items.iter().map(String::len).collect()),
            }
        }

        fn key(item: &String) -> Option<&str> {
            item.split_once(' ').map(|(key, _)| key)
        }

        fn weight(item: &String) -> usize {
            item.len()
        }
    }

    /// The groups in which these items go, where all of them wait before the first commit; and what each of them gets.
    async fn groups(items: &[&str], limits: Limits) -> (Vec<Vec<String>>, Vec<Option<usize>>) {
        let (seen, mut looks) = mpsc::channel(16);
        let group = GroupCommit::new(Groups(seen), limits);
        let mut answers = Vec::new();
        for item in items {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            let item = (*item).to_owned();
            assert!(
                group.queue.try_send(Waiting { item, answer }).is_ok(),
                "it has room"
            );
        }
        let running = group
            .group
            .lock()
            .expect("it is whole")
            .take()
            .expect("it is new");
        drop(group);
        running.run().await;
        let mut outcomes = Vec::new();
        for answered in answers {
            outcomes.push(answered.await.expect("everybody is answered").ok());
        }
        let mut groups = Vec::new();
        while let Ok(group) = looks.try_recv() {
            groups.push(group);
        }
        (groups, outcomes)
    }

    #[tokio::test]
    async fn all_who_wait_go_together_up_to_the_limit() {
        let (five, outcomes) = groups(&["1", "22", "3", "4", "5"], LIMITS).await;
        assert_eq!(five, [vec!["1", "22", "3", "4"], vec!["5"]]);
        assert_eq!(outcomes, [1, 2, 1, 1, 1].map(Some));
        let light = Limits { weight: 5, ..LIMITS };
        let (heavy, _) = groups(&["four", "fifth", "6", "7"], light).await;
        assert_eq!(heavy, [vec!["four", "fifth"], vec!["6", "7"]]);
    }

    #[tokio::test]
    async fn items_of_one_key_keep_their_order_and_never_share_a_commit() {
        let (keyed, _) = groups(&["a 1", "a 2", "b 1", "a 3", "b 2", "c 1"], LIMITS).await;
        assert_eq!(
            keyed,
            [vec!["a 1", "b 1", "c 1"], vec!["a 2", "b 2"], vec!["a 3"]]
        );
    }

    #[tokio::test]
    async fn who_is_held_back_by_a_full_group_is_not_overtaken_by_his_next() {
        let small = Limits { items: 2, ..LIMITS };
        let (keyed, _) = groups(&["a 1", "a 2", "a 3", "a 4", "b 1", "b 2"], small).await;
        let of = |key: &str| -> Vec<String> {
            let all = keyed.iter().flatten();
            all.filter(|item| item.starts_with(key)).cloned().collect()
        };
        assert_eq!(of("a"), ["a 1", "a 2", "a 3", "a 4"]);
        assert_eq!(of("b"), ["b 1", "b 2"]);
        assert!(keyed.iter().all(|group| group.len() <= 2));
    }

    #[tokio::test]
    async fn who_gave_up_before_the_commit_is_left_out() {
        let (seen, mut looks) = mpsc::channel(16);
        let group = GroupCommit::new(Groups(seen), LIMITS);
        let (answer, gone) = oneshot::channel();
        let item = "gone".to_owned();
        assert!(group.queue.try_send(Waiting { item, answer }).is_ok());
        drop(gone);
        let (answer, answered) = oneshot::channel();
        let item = "here".to_owned();
        assert!(group.queue.try_send(Waiting { item, answer }).is_ok());
        let running = group
            .group
            .lock()
            .expect("it is whole")
            .take()
            .expect("it is new");
        drop(group);
        running.run().await;
        assert_eq!(answered.await.expect("he is answered").ok(), Some(4));
        assert_eq!(looks.recv().await, Some(vec!["here".to_owned()]));
        assert!(looks.recv().await.is_none());
    }

    #[tokio::test]
    async fn one_that_cannot_be_committed_hurts_nobody() {
        let (tried, outcomes) = groups(&["good", "bad", "fine"], LIMITS).await;
        assert_eq!(tried[0], ["good", "bad", "fine"]);
        assert_eq!(tried[1..], [["good"], ["bad"], ["fine"]]);
        assert_eq!(outcomes, [Some(4), None, Some(4)]);
    }
}
