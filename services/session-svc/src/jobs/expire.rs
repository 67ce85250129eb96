//! Stops sessions that nobody completed. Every replica may do it: each session is locked and judged again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use switchhook_core::ids::SessionId;

use crate::app::AppState;
use crate::clients::n8n;
use crate::store;
use crate::store::sessions::{Revision, Saving};

/// Time between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Sessions of one round.
const BATCH: i64 = 200;

/// Sessions that began at or before this moment are over.
fn plan(now: DateTime<Utc>, max: Duration) -> DateTime<Utc> {
    let max = TimeDelta::from_std(max).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(max).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let cutoff = plan(state.kit.clock.now(), state.settings.session_max_duration.0);
    let due = {
        let mut conn = state.kit.pool.acquire().await?;
        store::upkeep::begun_before(&mut conn, cutoff, BATCH).await?
    };
    for id in due {
        // One that fails must not keep the others active; it is due again in the next round.
        if let Err(error) = expire(&state, id).await {
            tracing::warn!(%id, %error, "a session was not expired; the next round tries again");
        }
    }
    Ok(())
}

async fn expire(state: &AppState, id: SessionId) -> Result<(), sqlx::Error> {
    let (now, day) = state.moment();
    let mut tx = state.kit.pool.begin().await?;
    let Some(mut found) = store::sessions::lock(&mut tx, id, day).await? else {
        return Ok(());
    };
    if !found.session.expire(state.settings.session_max_duration.0, now) {
        return Ok(());
    }
    n8n::withdraw(&state.outbox, &mut tx, &mut found).await?;
    let snapshot = store::sessions::save(&mut tx, found.session, Saving::only(day, Revision::Raise)).await?;
    tx.commit().await?;
    state.announce(&snapshot.session.user_id);
    tracing::info!(id = %snapshot.session.id, status = "stopped", reason = "expired", "AI session updated");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_longer_ago_than_the_limit_is_over() {
        let now = DateTime::from_timestamp(1_770_000_000, 0).unwrap();
        assert_eq!(plan(now, Duration::from_secs(60)), now - TimeDelta::seconds(60));
        assert_eq!(plan(now, Duration::MAX), DateTime::<Utc>::MIN_UTC);
    }
}
