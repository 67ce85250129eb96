//! One operator's stream.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream;
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::sse::Event;
use tokio::sync::broadcast::error::RecvError;

use super::reading::{self, Batch, Told};
use super::{Joined, News, Operators, Place};
use crate::domain::operator::Reach;
use crate::domain::snapshot::Snapshot;
use crate::error::Error;
use crate::store::changes;

/// Pause before a read that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What an operator is told.
pub(crate) struct Stream {
    operators: Operators,
    reach: Reach,
    joined: Joined,
    position: Snapshot,
    ready: VecDeque<Event>,
    _place: Place,
}

impl Operators {
    /// A stream of what came after `last`; of the present state and what follows where that is nothing.
    pub(crate) async fn stream(&self, reach: Reach, last: Option<Snapshot>) -> Result<Stream, Failure> {
        let place = Place::take(self)?;
        let (operators, known) = (self.clone(), last.clone());
        let join = async move {
            let joined = operators.join().await?;
            let ours = match &known {
                Some(known) => {
                    changes::is_ours(&mut *operators.inner.kit.pool.acquire().await?, known).await?
                }
                None => false,
            };
            Ok::<_, Error>((joined, ours))
        };
        let (joined, ours) = self.inner.kit.run(join).await?;
        let mut stream = Stream {
            operators: self.clone(),
            reach,
            position: joined.head.clone(),
            joined,
            ready: VecDeque::new(),
            _place: place,
        };
        stream.catch_up(last.filter(|_| ours)).await?;
        Ok(stream)
    }
}

impl Stream {
    /// The events, for ever.
    pub(crate) fn events(self) -> impl futures_util::Stream<Item = Event> {
        stream::unfold(
            self,
            |mut stream| async move { Some((stream.next().await, stream)) },
        )
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            match self.joined.news.recv().await {
                Ok(News::Batch(batch)) if batch.from == self.position => match &batch.events {
                    Some(_) => self.take(&batch),
                    None => self.rejoin(None).await,
                },
                Ok(News::Typing(told)) => self.push(&told, &self.position.event_id()),
                // The tail lives as long as its streams: only a stop of the service closes it.
                Err(RecvError::Closed) => std::future::pending().await,
                Ok(News::Batch(_)) | Err(RecvError::Lagged(_)) => {
                    self.rejoin(Some(self.position.clone())).await
                }
            }
        }
    }

    /// Joins again, as if it had come back with its position.
    async fn rejoin(&mut self, last: Option<Snapshot>) {
        self.joined = Joined::to(self.joined.tail.clone());
        while self.catch_up(last.clone()).await.is_err() {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Reads for itself up to where it has joined: what came after `last`, or the present state.
    async fn catch_up(&mut self, last: Option<Snapshot>) -> Result<(), Failure> {
        let kit = &self.operators.inner.kit;
        let (pool, head, channels) = (kit.pool.clone(), self.joined.head.clone(), self.reach.names());
        let read = async move {
            if let Some(last) = last {
                let batch = reading::between(&mut *pool.acquire().await?, &last, &head).await?;
                if batch.events.is_some() {
                    return Ok::<_, Error>(batch);
                }
            }
            let state = reading::state(&pool, channels.as_deref()).await?;
            Ok(Batch {
                from: head.clone(),
                to: head,
                events: Some(state),
            })
        };
        let batch = kit.run(Box::pin(read)).await?;
        self.take(&batch);
        Ok(())
    }

    fn take(&mut self, batch: &Batch) {
        let events = batch.events.iter().flatten();
        let seen: Vec<&Told> = events.filter(|told| self.reach.includes(&told.channel)).collect();
        // Whoever breaks off in the middle comes back with the moment before: better twice than never.
        let (before, after) = (batch.from.event_id(), batch.to.event_id());
        for (left, told) in seen
            .iter()
            .enumerate()
            .map(|(at, told)| (seen.len() - at - 1, told))
        {
            self.push(told, if left == 0 { &after } else { &before });
        }
        self.position = batch.to.clone();
    }

    fn push(&mut self, told: &Told, id: &str) {
        if self.reach.includes(&told.channel) {
            self.ready.push_back(Event {
                name: told.name,
                id: id.to_owned(),
                data: told.data.clone(),
            });
        }
    }
}
