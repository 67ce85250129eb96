//! Reads on in the log of a chat for a connection that is behind. It goes on while PostgreSQL is away: the connection has
//! nothing else to do about it.

use std::sync::Arc;
use std::time::Duration;

use switchhook_chassis::db;

use super::Context;
use super::post::Author;
use crate::store::visitor::{self, Part};

/// Longest pause before the log is read again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The next part of the log after a position; nothing where the chat is erased.
pub(super) async fn read(ctx: Arc<Context>, author: Arc<Author>, after: i64) -> Option<Part> {
    let mut pause = Duration::from_millis(50);
    loop {
        let turn = ctx.reading.acquire().await;
        let part = tokio::time::timeout(db::WORK_LIMIT, async {
            visitor::read(&mut *ctx.state.kit.pool.acquire().await?, &author.session, after).await
        });
        match part.await {
            Ok(Ok(part)) => return part,
            Ok(Err(error)) => {
                tracing::warn!(%error, session = %author.session, "a log cannot be read; it is tried again")
            }
            Err(_elapsed) => {
                tracing::warn!(session = %author.session, "a log is not read in time; it is tried again")
            }
        }
        drop(turn);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE);
    }
}
