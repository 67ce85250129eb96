//! What runs beside the server, and what its end means: the process's signals, the drain, the deadline.
//!
//! Work that must finish once begun (a commit and its record, a dial) runs in a task that the application owns; a handler only waits
//! for it, because a client that hangs up drops its handler at any `await`. All such work runs on the service's own
//! runtime, never on a worker of the HTTP server, whose runtime ends before the last delivery is recorded.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one process and the two steps of its end.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    draining: CancellationToken,
    stopping: CancellationToken,
    stopped: CancellationToken,
    failed: CancellationToken,
}

/// A task that the application owned ended without a result: it panicked, or the runtime is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task ended without a result")]
pub struct TaskLost;

impl Tasks {
    /// Tasks on the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_current_runtime() -> Self {
        Self {
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            failed: CancellationToken::new(),
        }
    }

    /// Starts work that the shutdown waits for.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn_on(work, &self.runtime)
    }

    /// Starts work that must run as long as the service does. Where it ends before [`Tasks::stopping`], or panics, the
    /// process has lost a part of itself: [`Tasks::failed`] tells, and the process ends.
    pub fn keep(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let (stopping, failed) = (self.stopping.clone(), self.failed.clone());
        let running = self.spawn(work);
        self.spawn(async move {
            let ended = running.await;
            if !stopping.is_cancelled() {
                tracing::error!(name, panicked = ended.is_err(), "work ended that must go on");
                failed.cancel();
            }
        });
    }

    /// Done once something ended that must run as long as the service does.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Runs work to its end whatever happens to the caller, and waits for it.
    pub async fn run<F>(&self, work: F) -> Result<F::Output, TaskLost>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(work).await.map_err(|_| TaskLost)
    }

    /// Done once SIGTERM has come: `/readyz` says no, everything is still served.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Done once the listener closes: streams and long polls end, background loops leave.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Done once the work in flight has ended, or its time is up: what kept the process alive for it may end too.
    pub fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Waits until every task has ended, at most for `limit`. Says whether all did.
    pub async fn finish(&self, limit: Duration) -> bool {
        self.tracker.close();
        let all = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        self.stopped.cancel();
        all
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn termination() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_the_one_who_waits_is_gone() {
        let tasks = Tasks::on_current_runtime();
        let done = Arc::new(AtomicBool::new(false));
        let (release, released) = oneshot::channel::<()>();
        let flag = Arc::clone(&done);
        let waiting = tasks.run(async move {
            let _ = released.await;
            flag.store(true, Ordering::SeqCst);
        });
        // Dropped at its first poll, as the handler of a client that hangs up.
        assert!(tokio::time::timeout(Duration::ZERO, waiting).await.is_err());
        release.send(()).unwrap();
        assert!(tasks.finish(Duration::from_secs(5)).await);
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn kept_work_that_ends_or_panics_fails_the_service() {
        let ends = Tasks::on_current_runtime();
        ends.keep("ends", async {});
        let panics = Tasks::on_current_runtime();
        panics.keep("panics", async { panic!("defect") });
        for tasks in [ends, panics] {
            let failed = tokio::time::timeout(Duration::from_secs(5), tasks.failed().cancelled()).await;
            assert!(failed.is_ok());
        }
    }

    #[tokio::test]
    async fn kept_work_that_ends_with_the_service_is_no_failure_and_is_waited_for() {
        let tasks = Tasks::on_current_runtime();
        let done = Arc::new(AtomicBool::new(false));
        let (flag, stopping) = (Arc::clone(&done), tasks.stopping().clone());
        tasks.keep("patient", async move {
            stopping.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            flag.store(true, Ordering::SeqCst);
        });
        tokio::task::yield_now().await;
        tasks.stopping().cancel();
        assert!(tasks.finish(Duration::from_secs(5)).await);
        assert!(done.load(Ordering::SeqCst));
        assert!(!tasks.failed().is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_told_to_the_one_who_waits() {
        let tasks = Tasks::on_current_runtime();
        assert_eq!(
            tasks.run(async { panic!("defect") }).await,
            Err::<(), _>(TaskLost)
        );
    }
}
