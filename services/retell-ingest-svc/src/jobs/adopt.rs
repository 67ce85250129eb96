//! Held calls find their client: at once when he connects, and again and again for those that met his connecting on
//! the way.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use switchhook_core::ids::UserId;

use crate::app::AppState;
use crate::domain::agent::AgentId;
use crate::ledger::refold;
use crate::store::events::{self, CallRow};
use crate::store::tenures::{self, Adoptable};
use crate::store::written;

/// Time between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Calls of one transaction.
const BATCH: i64 = 200;
/// Transactions of one round.
const BATCHES: u32 = 50;

pub(super) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    adopt(&state, None).await
}

/// All held calls of an agent that was connected just now. What does not work is done by the next round.
pub(crate) async fn all_of(state: &AppState, agent: &AgentId) {
    if let Err(error) = adopt(state, Some(agent)).await {
        tracing::warn!(%error, agent_id = %agent, "held calls were not adopted; the next round tries again");
    }
}

async fn adopt(state: &AppState, agent: Option<&AgentId>) -> Result<(), sqlx::Error> {
    for _ in 0..BATCHES {
        if batch(state, agent).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn batch(state: &AppState, agent: Option<&AgentId>) -> Result<usize, sqlx::Error> {
    let mut tx = state.kit.pool.begin().await?;
    let waived = state.settings.retell_adopt_unproven;
    let found = tenures::adoptable(&mut tx, state.held_since(), waived, agent, BATCH).await?;
    if found.is_empty() {
        return Ok(0);
    }
    let rows = lock(&mut tx, &found).await?;
    let users: HashMap<i64, UserId> = found.iter().map(|one| (one.row, one.user.clone())).collect();
    let mut adopted = Vec::new();
    for held in rows.iter().filter(|row| row.owner.is_none()) {
        let Some(user) = users.get(&held.id) else { continue };
        let own = rows
            .iter()
            .find(|row| row.owner.as_ref() == Some(user) && row.call_id == held.call_id);
        let mut row = match own {
            Some(own) => merge(&mut tx, held, own).await?,
            None => held.clone(),
        };
        row.owner = Some(user.clone());
        adopted.push(row);
    }
    let count = adopted.len();
    let changed = written::write(&mut tx, adopted, &[]).await?;
    tx.commit().await?;
    state.kit.wake.announce(changed);
    tracing::info!(calls = count, "held calls found their clients");
    Ok(count)
}

/// The held rows, and those that their clients have of the same calls.
async fn lock(conn: &mut PgConnection, found: &[Adoptable]) -> Result<Vec<CallRow>, sqlx::Error> {
    let held: Vec<_> = found
        .iter()
        .map(|one| (one.agent_id.clone(), one.call_id.clone()))
        .collect();
    let owned: Vec<_> = found
        .iter()
        .map(|one| (one.user.as_str().to_owned(), one.call_id.clone()))
        .collect();
    events::lock(conn, &held, &owned).await
}

/// One call out of two rows: the client got some of its events from another agent of his.
async fn merge(conn: &mut PgConnection, held: &CallRow, own: &CallRow) -> Result<CallRow, sqlx::Error> {
    events::move_events(conn, held.id, own.id).await?;
    let mut row = own.clone();
    if let Some(call) = refold(conn, own.id).await? {
        row.call = call;
    }
    Ok(row)
}
