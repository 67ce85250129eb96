//! Deletes rooms at LiveKit that are owed a deletion: by whoever wrote it down, at once after the commit, and by a job.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::AppState;
use crate::domain::ids::Room;
use crate::store::closings;

/// Time between two looks of the job.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Rooms of one round.
const BATCH: i64 = 50;
/// When the room of a dial that may have happened is deleted again, in seconds after the first time: what is still on its way
/// finds it gone.
pub(super) const AGAIN_S: [i32; 2] = [15, 60];
/// By then LiveKit has closed the room by itself.
const FORGOTTEN_AFTER_S: f64 = 3_600.0;

/// Deletes a room whose deletion is committed, without waiting for it.
pub(crate) fn begin(state: &AppState, room: Room) {
    let owned = state.clone();
    drop(state.kit.tasks.spawn(async move { close(&owned, &room).await }));
}

/// Deletes a room whose deletion could not be written down, and again as [`AGAIN_S`] says, for as long as this process lives.
pub(super) fn begin_unwritten(state: &AppState, room: Room) {
    let owned = state.clone();
    drop(state.kit.tasks.spawn(async move {
        let begun = Instant::now();
        let stopping = owned.kit.tasks.stopping();
        for after_s in [0].into_iter().chain(AGAIN_S) {
            let at = begun + Duration::from_secs(after_s.unsigned_abs().into());
            if stopping
                .run_until_cancelled(tokio::time::sleep_until(at))
                .await
                .is_none()
            {
                return;
            }
            if let Err(trouble) = owned.livekit.delete_room(&room).await {
                tracing::warn!(%room, %trouble, "a room was not deleted");
            }
        }
    }));
}

/// Deletes a room whose deletion is committed. `false`: not this time, the job goes on.
pub(crate) async fn close(state: &AppState, room: &Room) -> bool {
    if let Err(trouble) = state.livekit.delete_room(room).await {
        tracing::warn!(%room, %trouble, "a room was not deleted and is tried again soon");
        return false;
    }
    if let Err(error) = closings::done(&state.kit.pool, room).await {
        tracing::warn!(%room, %error, "a room was deleted, which could not be noted; it is deleted again");
    }
    true
}

/// The job: what is due, all at once.
pub(crate) async fn round(state: AppState) -> Result<(), sqlx::Error> {
    let due = {
        let mut conn = state.kit.pool.acquire().await?;
        let forgotten = closings::forget(&mut conn, FORGOTTEN_AFTER_S).await?;
        if forgotten > 0 {
            tracing::warn!(
                forgotten,
                "rooms could not be deleted; LiveKit has closed them by itself"
            );
        }
        closings::due(&mut conn, BATCH).await?
    };
    futures_util::future::join_all(due.iter().map(|room| close(&state, room))).await;
    Ok(())
}
