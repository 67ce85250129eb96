//! Figures for Prometheus that only the database knows. Every replica shows the same ones, but for its own.

use std::time::Duration;

use crate::app::AppState;
use crate::store;

/// Time between two counts.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let under_way = store::upkeep::under_way(&mut *state.kit.pool.acquire().await?).await?;
    metrics::gauge!("dials_under_way").set(under_way.dialling as f64);
    metrics::gauge!("calls_under_way").set(under_way.calls as f64);
    metrics::gauge!("rooms_to_delete").set(under_way.closings as f64);
    metrics::gauge!("dials_in_hand").set(state.dials.count() as f64);
    metrics::gauge!("streams").set(state.readers() as f64);
    Ok(())
}
