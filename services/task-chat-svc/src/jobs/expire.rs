//! Fails tasks that nobody answered. Every replica may do it: each task is locked and judged again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::app::AppState;
use crate::clients::agent;
use crate::domain::ids::TaskId;
use crate::store;

/// Time between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Tasks of one round.
const BATCH: i64 = 200;

/// Tasks that wait since this moment or longer have waited long enough.
fn plan(now: DateTime<Utc>, longest: Duration) -> DateTime<Utc> {
    let longest = TimeDelta::from_std(longest).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(longest)
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let cutoff = plan(state.kit.clock.now(), state.settings.task_max_wait.0);
    let due = {
        let mut conn = state.kit.pool.acquire().await?;
        store::upkeep::waiting_since(&mut conn, cutoff, BATCH).await?
    };
    for id in due {
        // One that cannot be failed must not keep the others waiting; it is due again in the next round.
        if let Err(error) = expire(&state, &id).await {
            tracing::warn!(task = %id, %error, "a task was not failed; the next round tries again");
        }
    }
    Ok(())
}

async fn expire(state: &AppState, id: &TaskId) -> Result<(), sqlx::Error> {
    let now = state.kit.clock.now();
    let mut tx = state.kit.pool.begin().await?;
    let Some(mut task) = store::tasks::lock(&mut tx, id).await? else {
        return Ok(());
    };
    if !task.is_overdue(state.settings.task_max_wait.0, now) {
        return Ok(());
    }
    let failure = agent::withdraw(&mut tx, &task).await?;
    tracing::info!(task = %task.id, agent = %task.agent, code = failure.code, "nobody answered in time");
    task.fail(failure);
    store::tasks::save(&mut tx, &task, now).await?;
    tx.commit().await?;
    state.announce(&task.id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_longer_than_the_limit_is_over() {
        let now = DateTime::from_timestamp(1_770_000_000, 0).unwrap();
        assert_eq!(plan(now, Duration::from_secs(60)), now - TimeDelta::seconds(60));
        assert_eq!(plan(now, Duration::MAX), DateTime::<Utc>::MIN_UTC);
    }
}
