//! Waits for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within the deadline.
pub async fn eventually<T, F, Fut>(mut look: F, deadline: Duration) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            started.elapsed() < deadline,
            "what the test waits for did not happen within {deadline:?}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
