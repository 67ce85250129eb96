//! What was said in a chat.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded};
use switchhook_chassis::http::paging::bad_cursor;
use switchhook_chassis::http::{Failure, Paging, next_url};
use utoipa::ToSchema;

use super::caller::Desk;
use super::session_named;
use crate::app::AppState;
use crate::domain::entry::Entry;
use crate::domain::shown::ShownMessage;
use crate::error::Error;
use crate::store::{entries, sessions};

/// A page of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TranscriptOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Oldest first.
    items: Vec<ShownMessage>,
    /// The absolute URL of the next page, or null.
    next: Option<String>,
}

/// What was said in a chat, oldest first
#[utoipa::path(
    get,
    path = "/api/sessions/{id}/messages",
    tag = "chats",
    operation_id = "getTranscript",
    params(
        ("id" = String, Path, description = "The chat"),
        ("limit" = Option<i64>, Query, description = "Messages of a page", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended")
    ),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "A page", body = TranscriptOut),
        (status = 400, description = "limit or cursor is wrong", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        Guarded, Always
    )
)]
pub(crate) async fn transcript(
    state: Data<AppState>,
    request: HttpRequest,
    desk: Desk,
    id: Path<String>,
    paging: Paging,
) -> Result<HttpResponse, Failure> {
    let session = session_named(&id)?;
    let after = paging
        .cursor
        .as_deref()
        .map_or(Some(0), position)
        .ok_or_else(bad_cursor)?;
    let (pool, channels, limit) = (state.kit.pool.clone(), desk.reach.names(), paging.limit);
    let look = async move {
        let mut conn = pool.acquire().await?;
        let channel = sessions::channel_of(&mut conn, &session, channels.as_deref()).await?;
        channel.ok_or(Error::UnknownSession)?;
        // One message more than asked for tells whether there is a next page.
        Ok::<_, Error>(entries::messages_after(&mut conn, &session, after, limit + 1).await?)
    };
    let found = state.kit.run(look).await?;
    Ok(HttpResponse::Ok().json(page(found, limit, &request)))
}

fn page(mut found: Vec<Entry>, limit: i64, request: &HttpRequest) -> TranscriptOut {
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > shown;
    found.truncate(shown);
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| next_url(request, &last.seq.to_string()));
    TranscriptOut {
        success: true,
        items: found.into_iter().filter_map(ShownMessage::of).collect(),
        next,
    }
}

/// A position in its one written form.
fn position(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_position() {
        assert_eq!(position("17"), Some(17));
        for text in ["", "0", "-1", "+1", "1.0", "x", "9223372036854775808"] {
            assert_eq!(position(text), None, "{text}");
        }
    }
}
