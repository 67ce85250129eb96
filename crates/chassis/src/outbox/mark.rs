//! The last step before the first byte of an at-most-once request: a commit that says it is sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::worker::{Claimed, Inner};
use crate::outbound::Gate;

/// How far a request came.
#[derive(Default)]
pub(crate) struct Mark {
    connected: AtomicBool,
    called_off: AtomicBool,
    unable: AtomicBool,
    sent_at: Mutex<Option<Instant>>,
    opened: Notify,
}

impl Mark {
    /// The connection stands.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    /// Somebody called the request off before it was marked.
    pub(crate) fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::SeqCst)
    }

    /// This process could not, or must not, mark it.
    pub(crate) fn is_unable(&self) -> bool {
        self.unable.load(Ordering::SeqCst)
    }

    /// When it was marked; from then on bytes of it may have been read.
    pub(crate) fn sent_at(&self) -> Option<Instant> {
        *self.sent_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is marked.
    pub(crate) async fn opened(&self) {
        self.opened.notified().await;
    }

    fn send(&self) {
        *self.sent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.opened.notify_one();
    }
}

impl Inner {
    /// The gate of one try: opens once the mark is committed, and only for the try that holds the row.
    pub(crate) fn gate(
        self: &Arc<Self>,
        row: &Claimed,
        mark: &Arc<Mark>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Gate {
        let (inner, mark) = (Arc::clone(self), Arc::clone(mark));
        let (id, attempts, key) = (row.id, row.attempts, row.key.clone());
        let place = Arc::new(Mutex::new(place));
        Arc::new(move || {
            let (inner, mark) = (Arc::clone(&inner), Arc::clone(&mark));
            let (key, place) = (key.clone(), Arc::clone(&place));
            Box::pin(async move {
                mark.connected.store(true, Ordering::SeqCst);
                if !inner.kit.replica.is_current() || inner.kit.tasks.stopping().is_cancelled() {
                    mark.unable.store(true, Ordering::SeqCst);
                    return false;
                }
                let marked = sqlx::query(inner.sql.mark_sent)
                    .bind(id)
                    .bind(inner.kit.replica.id())
                    .bind(attempts)
                    .execute(&inner.kit.pool)
                    .await;
                match marked {
                    Ok(done) if done.rows_affected() == 1 => {
                        mark.send();
                        // The request is open: its place is free for the next.
                        drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
                        inner.tell(key);
                        true
                    }
                    Ok(_) => {
                        mark.called_off.store(true, Ordering::SeqCst);
                        false
                    }
                    Err(error) => {
                        tracing::warn!(%error, delivery = %id, "could not mark a delivery as sent; it is not sent");
                        mark.unable.store(true, Ordering::SeqCst);
                        false
                    }
                }
            })
        })
    }
}
