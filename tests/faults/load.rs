//! Traffic on all services with a ledger of every answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use e2e::people::client;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::houses::{Desk, HOUSES, House, Means};

/// Writers and readers of each service.
const WRITERS: usize = 2;
/// Between two requests of one of them.
const PAUSE: Duration = Duration::from_millis(25);

/// Between two requests of somebody who is watched for the others' sake.
const OTHERS_PAUSE: Duration = Duration::from_millis(100);

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) house: House,
    /// The number of the write; none for a read.
    pub(crate) write: Option<usize>,
    pub(crate) begun: Instant,
    pub(crate) took: Duration,
    /// None where the connection broke.
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: bool,
    pub(crate) means: Means,
    pub(crate) words: String,
}

/// Traffic that goes on until it is ended.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<Told>>>,
    running: JoinSet<()>,
}

impl Load {
    /// Begins to write to and read from each service.
    pub(crate) fn begin(desk: &Desk) -> Self {
        let mut load = Self {
            over: Arc::default(),
            told: Arc::default(),
            running: JoinSet::new(),
        };
        for house in HOUSES {
            let next = Arc::new(AtomicUsize::new(0));
            for _ in 0..WRITERS {
                load.send(desk, house, Some(Arc::clone(&next)));
            }
            load.send(desk, house, None);
        }
        load
    }

    fn send(&mut self, desk: &Desk, house: House, numbers: Option<Arc<AtomicUsize>>) {
        let (over, told, desk) = (Arc::clone(&self.over), Arc::clone(&self.told), desk.clone());
        self.running.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let write = numbers.as_ref().map(|next| next.fetch_add(1, Ordering::SeqCst));
                let answer = ask(&desk, house, write).await;
                told.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// What was answered so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it and gives the ledger.
    pub(crate) async fn end(mut self) -> Vec<Told> {
        self.over.store(true, Ordering::SeqCst);
        while self.running.join_next().await.is_some() {}
        self.told()
    }
}

/// One request and its answer.
pub(crate) async fn ask(desk: &Desk, house: House, write: Option<usize>) -> Told {
    let request = match write {
        Some(nth) => desk.write(house, nth),
        None => desk.read(house),
    };
    let begun = Instant::now();
    let mut told = Told {
        house,
        write,
        begun,
        took: Duration::ZERO,
        status: None,
        retry_after: false,
        means: Means::Again,
        words: String::new(),
    };
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            told.retry_after = answer.headers().contains_key("retry-after");
            let body: Value = answer.json().await.unwrap_or_default();
            told.status = Some(status);
            told.means = house.means(status, &body);
            told.words = body["error"].as_str().unwrap_or_default().to_owned();
        }
        Err(error) => told.words = format!("{error:?}"),
    }
    told.took = begun.elapsed();
    told
}

/// The numbers of the writes that were acknowledged.
pub(crate) fn acknowledged(told: &[Told], house: House) -> Vec<usize> {
    let done = told
        .iter()
        .filter(|one| one.house == house && one.means == Means::Done);
    done.filter_map(|one| one.write).collect()
}

/// Somebody else, who asks for something all the time; gives how long each answer took.
pub(crate) async fn others(desk: &Desk, house: House, over: &AtomicBool) -> Vec<Duration> {
    let desk = desk.with_client(client());
    let mut took = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let answer = desk.read(house).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{house:?}");
        // Read to its end, so that the next request takes the same connection.
        answer.bytes().await.unwrap();
        took.push(begun.elapsed());
        tokio::time::sleep(OTHERS_PAUSE).await;
    }
    took
}
