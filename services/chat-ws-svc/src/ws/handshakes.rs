//! Connections that have not said yet what they want. Each may take its time while there is room for all of them; where there
//! is none, the one that has had the most time makes room. So nobody keeps others out by being slow.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Handshakes at a time.
const LIMIT: usize = 1_024;
/// Time that each of them has, however many others come.
const GRACE: Duration = Duration::from_secs(1);

/// The handshakes that are under way.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    going: Mutex<Going>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Going {
    /// By their order; when each began, and what cuts it short.
    all: BTreeMap<u64, (Instant, CancellationToken)>,
    next: u64,
}

/// One of them; it makes room when dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    nth: u64,
    cut: CancellationToken,
}

impl Handshakes {
    /// Room for one more, as soon as there is any.
    pub(super) async fn room(self: &Arc<Self>) -> Handshake {
        loop {
            match self.try_room(Instant::now()) {
                Ok(handshake) => return handshake,
                Err(until) => {
                    // Whatever comes first; neither is missed, for the look is repeated.
                    let _ = tokio::time::timeout_at(until, self.freed.notified()).await;
                }
            }
        }
    }

    /// Room for one more, or when there will be some.
    fn try_room(self: &Arc<Self>, now: Instant) -> Result<Handshake, Instant> {
        let mut going = self.going();
        if going.all.len() >= LIMIT
            && let Some(oldest) = going.all.first_entry()
        {
            let until = oldest.get().0 + GRACE;
            if until > now {
                return Err(until);
            }
            oldest.remove().1.cancel();
        }
        let (nth, cut) = (going.next, CancellationToken::new());
        going.next += 1;
        going.all.insert(nth, (now, cut.clone()));
        drop(going);
        Ok(Handshake {
            all: Arc::clone(self),
            nth,
            cut,
        })
    }

    fn going(&self) -> MutexGuard<'_, Going> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// Carries the handshake out; nothing where it was cut short.
    pub(super) async fn unless_cut<T>(self, work: impl Future<Output = Option<T>>) -> Option<T> {
        self.cut.run_until_cancelled(work).await.flatten()
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.going().all.remove(&self.nth);
        self.all.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(now: Instant) -> (Arc<Handshakes>, Vec<Handshake>) {
        let handshakes = Arc::<Handshakes>::default();
        let all = (0..LIMIT).map(|_| handshakes.try_room(now).unwrap());
        (Arc::clone(&handshakes), all.collect())
    }

    #[test]
    fn the_slowest_makes_room_once_it_has_had_its_time() {
        let begun = Instant::now();
        let (handshakes, all) = full(begun);
        assert_eq!(handshakes.try_room(begun).unwrap_err(), begun + GRACE);
        let next = handshakes.try_room(begun + GRACE).unwrap();
        let cut: Vec<bool> = all.iter().map(|one| one.cut.is_cancelled()).collect();
        assert!(cut[0] && !cut[1..].contains(&true) && !next.cut.is_cancelled());
        drop(all);
        assert_eq!(handshakes.going().all.len(), 1);
    }

    #[tokio::test]
    async fn who_is_through_makes_room_at_once() {
        // So far ahead that nobody's time is up.
        let (handshakes, mut all) = full(Instant::now() + GRACE * 1000);
        let through = async { drop(all.pop()) };
        let (_next, ()) = tokio::join!(handshakes.room(), through);
        assert!(all.iter().all(|one| !one.cut.is_cancelled()));
    }
}
