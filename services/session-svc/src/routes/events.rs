//! The stream of a user's status: at once, and whenever it changes on any replica.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use futures_util::{Stream, stream};
use switchhook_chassis::http::sse::{self, Event, LastEventId};
use switchhook_chassis::http::{Failure, User};
use switchhook_chassis::wake::Watch;
use switchhook_core::ids::UserId;

use super::sessions::StatusOut;
use crate::app::AppState;
use crate::error::Error;
use crate::store;
use switchhook_chassis::http::failures::{Always, Guarded};

/// Pause before a reader looks again after the database was away.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Streams the status
///
/// `event: session`, `id:` the cursor, `data:` the body of `GET /api/ai-session/status`.
#[utoipa::path(
    get,
    path = "/api/ai-session/events",
    tag = "sessions",
    operation_id = "sessionEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "The cursor of the last event that was seen")),
    security(("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "Server-Sent Events until the token expires", body = String,
            content_type = "text/event-stream"),
        Guarded, Always
    )
)]
pub(crate) async fn events(
    state: Data<AppState>,
    user: User,
    last: LastEventId,
) -> Result<HttpResponse, Failure> {
    let (state, until) = (state.as_ref().clone(), user.expires_at);
    // Registered before the first look, so that nothing falls between the two.
    let watch = state.kit.wake.watch(user.id.as_str());
    let first = look(&state, &user.id).await?;
    let (shown, pending) = if last.0.as_deref() == Some(first.id.as_str()) {
        (Some(first), None)
    } else {
        (None, Some(first))
    };
    let kit = state.kit.clone();
    Ok(sse::respond(
        &kit,
        until,
        Reader {
            state,
            user: user.id,
            watch,
            shown,
            pending,
        }
        .events(),
    ))
}

/// One open stream.
struct Reader {
    state: AppState,
    user: UserId,
    watch: Watch,
    shown: Option<Event>,
    pending: Option<Event>,
}

impl Reader {
    fn events(self) -> impl Stream<Item = Event> {
        stream::unfold(
            self,
            |mut reader| async move { Some((reader.next().await, reader)) },
        )
    }

    async fn next(&mut self) -> Event {
        loop {
            match self.pending.take() {
                Some(event) if self.shown.as_ref() != Some(&event) => {
                    self.watch.seen(event.id.parse().unwrap_or(0));
                    self.shown = Some(event.clone());
                    return event;
                }
                _ => self.watch.changed().await,
            }
            self.pending = Some(self.look_until_seen().await);
        }
    }

    async fn look_until_seen(&self) -> Event {
        loop {
            match look(&self.state, &self.user).await {
                Ok(event) => return event,
                Err(_logged) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }
}

async fn look(state: &AppState, user: &UserId) -> Result<Event, Failure> {
    state.kit.run(status_event(state.clone(), user.clone())).await
}

/// The revision is read first: what is shown under it is at least as new.
async fn status_event(state: AppState, user: UserId) -> Result<Event, Error> {
    let (_, day) = state.moment();
    let mut conn = state.kit.pool.acquire().await?;
    let revision = store::users::revision(&mut conn, &user).await?;
    let latest = store::sessions::latest(&mut conn, &user, day).await?;
    let data = serde_json::to_string(&StatusOut::of(latest.as_ref())).unwrap_or_default();
    Ok(Event {
        name: "session",
        id: revision.to_string(),
        data,
    })
}
