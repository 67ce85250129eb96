//! Figures for Prometheus that only the database knows. Every replica shows the same ones.

use std::time::Duration;

use crate::app::AppState;
use crate::store;

/// Time between two counts.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let waiting = store::upkeep::waiting(&mut *state.kit.pool.acquire().await?).await?;
    metrics::gauge!("tasks_waiting").set(waiting as f64);
    Ok(())
}
