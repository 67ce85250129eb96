//! Figures for Prometheus: what this process holds, and what only the database knows.

use std::time::Duration;

use crate::app::AppState;
use crate::store::upkeep;

/// Time between two counts.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    metrics::gauge!("chat_connections").set(state.hub.connections() as f64);
    metrics::gauge!("chat_sessions").set(state.hub.sessions() as f64);
    metrics::gauge!("chat_operators").set(state.operators.listening() as f64);
    let counts = upkeep::counts(&mut *state.kit.pool.acquire().await?).await?;
    metrics::gauge!("chat_sessions_waiting").set(counts.waiting as f64);
    metrics::gauge!("chat_sessions_flagged").set(counts.flagged as f64);
    Ok(())
}
