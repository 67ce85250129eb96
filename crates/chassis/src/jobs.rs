//! Background work of a service: rounds with an interval, until the service stops.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use crate::lifecycle::Tasks;

/// Pause before a failed round is tried again, where the interval is not shorter.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Runs a round at once and then again and again, `interval` after the last one ended. A round that failed is logged and
/// tried again soon: what comes every ten minutes must not wait for ten more because the database was away for a moment.
pub fn repeat<S, F, Fut, E>(tasks: &Tasks, name: &'static str, interval: Duration, state: &S, round: F)
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Display + Send,
{
    let state = state.clone();
    let rounds = async move {
        loop {
            let pause = match round(state.clone()).await {
                Ok(()) => interval,
                Err(error) => {
                    tracing::warn!(job = name, %error, "a round failed and is tried again soon");
                    interval.min(RETRY_PAUSE)
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    let stopping = tasks.stopping().clone();
    drop(tasks.spawn(stopping.run_until_cancelled_owned(rounds)));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_that_failed_does_not_wait_for_the_whole_interval() {
        let tasks = Tasks::on_current_runtime();
        let rounds = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        repeat(
            &tasks,
            "test",
            Duration::from_secs(600),
            &rounds,
            |rounds| async move {
                match rounds.fetch_add(1, Ordering::SeqCst) {
                    0 => Err("away"),
                    _ => Ok(()),
                }
            },
        );
        while rounds.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let passed = begun.elapsed();
        assert!(
            passed >= Duration::from_secs(604) && passed < Duration::from_secs(620),
            "{passed:?}"
        );
        tasks.stopping().cancel();
        assert!(tasks.finish(Duration::from_secs(5)).await);
    }
}
