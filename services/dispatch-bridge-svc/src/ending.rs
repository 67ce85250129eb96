//! The end of a call, in one place: whoever changes what can be seen of one writes it here, and what follows when it is over
//! is in the same transaction. Its room is deleted, its result is owed to n8n, nobody holds it any more.

use serde::Serialize;
use sqlx::PgConnection;
use switchhook_chassis::outbox::{NewDelivery, Owed};
use switchhook_core::trace::TraceContext;

use crate::app::AppState;
use crate::clients::n8n::{CALL_RESULT, TARGET};
use crate::dial::closing;
use crate::domain::dispatch::{Call, EndReason, Status};
use crate::domain::ids::{CallId, Room};
use crate::domain::shown::ShownDispatch;
use crate::store::{calls, closings};

/// What is to be done after the commit.
#[must_use = "call `done` after the commit"]
pub(crate) struct AfterCommit {
    id: CallId,
    room: Option<Room>,
    owed: Option<Owed>,
}

#[derive(Serialize)]
struct CallResult {
    event: &'static str,
    #[serde(flatten)]
    call: ShownDispatch,
}

/// Writes a locked call as it stands now; `before` is the status that it was locked with.
pub(crate) async fn save(
    state: &AppState,
    conn: &mut PgConnection,
    call: &mut Call,
    before: Status,
) -> Result<AfterCommit, sqlx::Error> {
    let mut after = AfterCommit {
        id: call.id,
        room: None,
        owed: None,
    };
    let now = state.now();
    call.updated_at = now;
    if call.status.is_final() && !before.is_final() {
        if call.cancel_at.is_some() && call.status == Status::Ended {
            call.end_reason = Some(EndReason::Cancelled);
        }
        call.holder = None;
        closings::owe(conn, &call.room, &[]).await?;
        after.room = Some(call.room.clone());
        after.owed = owe_result(state, conn, call).await?;
        metrics::counter!("calls_over_total", "status" => call.status.word(),
            "reason" => call.end_reason.map_or("none", EndReason::word))
        .increment(1);
    }
    calls::save(conn, call, now).await?;
    Ok(after)
}

/// Owes the result of a call, also where no worker took it: its caller may not have waited for that.
async fn owe_result(
    state: &AppState,
    conn: &mut PgConnection,
    call: &mut Call,
) -> Result<Option<Owed>, sqlx::Error> {
    if state.settings.result_url().is_none() {
        return Ok(None);
    }
    let result = CallResult {
        event: "call_result",
        call: ShownDispatch::of(call.clone()),
    };
    let new = NewDelivery {
        key: call.id.to_string(),
        target: TARGET.to_owned(),
        body: serde_json::to_vec(&result).map_err(|error| sqlx::Error::Encode(error.into()))?,
        trace: TraceContext::from_seed(call.id.0),
    };
    let owed = state.outbox.owe(conn, &CALL_RESULT, new).await?;
    call.result_delivery = Some(owed.id());
    Ok(Some(owed))
}

impl AfterCommit {
    /// Tells whoever waits, sends the result, deletes the room.
    pub(crate) fn done(self, state: &AppState) {
        self.done_after(state, std::future::ready(()));
    }

    /// The same; before the room is deleted, something else is tried.
    pub(crate) fn done_after(self, state: &AppState, first: impl Future<Output = ()> + Send + 'static) {
        state.announce(self.id);
        if let Some(owed) = self.owed {
            state.outbox.send_now(owed);
        }
        if let Some(room) = self.room {
            let owned = state.clone();
            drop(state.kit.tasks.spawn(async move {
                first.await;
                closing::close(&owned, &room).await;
            }));
        }
    }
}
