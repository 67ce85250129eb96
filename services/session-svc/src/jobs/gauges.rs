//! Figures for Prometheus that only the database knows. Every replica shows the same ones.

use std::time::Duration;

use crate::app::AppState;
use crate::store;

/// Time between two counts.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let counts = store::upkeep::counts(&mut *state.kit.pool.acquire().await?).await?;
    metrics::gauge!("sessions_active").set(counts.active as f64);
    metrics::gauge!("session_starts_waiting").set(counts.waiting as f64);
    Ok(())
}
