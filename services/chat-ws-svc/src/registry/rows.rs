//! The database's part of the registry: it is told who comes and goes, in batches and in order, and looked at each second for what
//! no hint told.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ERASED, Inner, POLL, bounded};
use crate::domain::ids::SessionId;
use crate::hub::Changes;
use crate::store::registrations;

/// Chats in one statement.
const BATCH: usize = 1_000;
/// Pause after a statement that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often this process compares what the database says of it with what it holds.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// Telling the database.
impl Inner {
    pub(super) fn tell_of(&self, session: SessionId) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(session);
        self.call.notify_one();
    }

    pub(super) async fn tell_database(self: Arc<Self>) {
        let stopping = self.kit.tasks.stopping();
        let mut again = Vec::new();
        let mut compare_at = Instant::now() + COMPARE_EVERY;
        loop {
            // Between two batches: neither undoes what the other has just written.
            if Instant::now() >= compare_at {
                if let Err(error) = bounded(self.compare()).await {
                    tracing::debug!(%error, "what is held here could not be compared with the database");
                }
                compare_at = Instant::now() + COMPARE_EVERY;
            }
            let mut sessions = std::mem::take(&mut again);
            sessions.append(&mut self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
            if sessions.is_empty() {
                // Whoever leaves during the stop is still taken off the list; then it is over.
                if stopping.is_cancelled() && self.hub.connections() == 0 {
                    return;
                }
                tokio::select! {
                    () = self.call.notified() => {}
                    () = tokio::time::sleep_until(compare_at) => {}
                    () = stopping.cancelled(), if !stopping.is_cancelled() => {}
                    () = tokio::time::sleep(POLL), if stopping.is_cancelled() => {}
                }
                continue;
            }
            let rest = sessions.split_off(sessions.len().min(BATCH));
            let changes = self.hub.begin_telling(sessions);
            let done = bounded(self.write(&changes)).await;
            if let Err(error) = &done {
                tracing::warn!(%error, "the database could not be told which chats are held here; it is tried again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            again = self.hub.told(changes, done.is_ok());
            again.extend(rest);
            self.round.notify_waiters();
        }
    }

    async fn write(&self, changes: &Changes) -> Result<(), sqlx::Error> {
        if *changes == Changes::default() {
            return Ok(());
        }
        let words = |list: &[SessionId]| list.iter().map(SessionId::to_string).collect::<Vec<_>>();
        let (come, gone) = (words(&changes.come), words(&changes.gone));
        let mut conn = self.kit.pool.acquire().await?;
        registrations::tell(&mut conn, self.kit.replica.id(), &come, &gone).await?;
        self.operators.changed();
        Ok(())
    }

    /// Sets right what a failure, or a sibling that took this process for dead, left in the table; and removes the rows of
    /// replicas that are no more.
    async fn compare(&self) -> Result<(), sqlx::Error> {
        let mut conn = self.kit.pool.acquire().await?;
        let (me, held) = (self.kit.replica.id(), self.hub.registered());
        registrations::restore(&mut conn, me, &held).await?;
        let strays = registrations::strays(&mut conn, me, &held, BATCH as i64).await?;
        let strays: Vec<String> = self
            .hub
            .not_held(strays)
            .iter()
            .map(SessionId::to_string)
            .collect();
        if strays.is_empty() {
            return Ok(());
        }
        registrations::tell(&mut conn, me, &[], &strays).await
    }
}

/// Looking at it.
impl Inner {
    /// Once a second: who else is there, and how far the logs of the chats go that are held here.
    pub(super) async fn poll(self: Arc<Self>) {
        let stopping = self.kit.tasks.stopping().clone();
        let mut every = tokio::time::interval(POLL);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !(stopping.is_cancelled() && self.hub.connections() == 0) {
            every.tick().await;
            let looked = bounded(async {
                self.look_for_peers().await?;
                self.look_for_news().await
            });
            if let Err(error) = looked.await {
                tracing::debug!(%error, "the safety poll of sockets failed");
            }
        }
    }

    async fn look_for_peers(&self) -> Result<(), sqlx::Error> {
        let mut conn = self.kit.pool.acquire().await?;
        let peers = registrations::peers(&mut conn, self.kit.replica.id()).await?;
        *self.peers.lock().unwrap_or_else(PoisonError::into_inner) = peers.into();
        Ok(())
    }

    async fn look_for_news(&self) -> Result<(), sqlx::Error> {
        for held in self.hub.registered().chunks(BATCH) {
            let mut conn = self.kit.pool.acquire().await?;
            for (session, last_seq) in registrations::positions(&mut conn, held).await? {
                match last_seq {
                    Some(seq) => self.hub.reminded(&session, seq),
                    None => self.hub.close(&session, ERASED),
                }
            }
        }
        Ok(())
    }
}
