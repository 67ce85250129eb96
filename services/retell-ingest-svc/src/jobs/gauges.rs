//! Figures for Prometheus that only the database knows. Every replica shows the same ones.

use std::time::Duration;

use crate::app::AppState;
use crate::store::upkeep;

/// Time between two counts.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let counts = upkeep::counts(&mut *state.kit.pool.acquire().await?).await?;
    metrics::gauge!("retell_agents_connected").set(counts.agents as f64);
    metrics::gauge!("retell_calls_held").set(counts.held as f64);
    metrics::gauge!("retell_calls_undigested").set(counts.undigested as f64);
    Ok(())
}
