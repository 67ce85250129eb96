//! Shows a visitor that somebody writes.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, FromN8n};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::caller::DeskPost;
use super::send::{SpeakerIn, speaker};
use super::{session_named, session_text};
use crate::app::AppState;
use crate::domain::entry::Sender;
use crate::error::Error;
use crate::store::sessions;

/// Who writes.
#[derive(ToSchema)]
#[schema(as = Typing, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct TypingIn {
    /// To whom.
    session_id: String,
    /// Whether somebody writes, or has stopped.
    active: bool,
    /// Who; `operator` where nothing is said.
    from: Option<SpeakerIn>,
}

/// What `TypingIn` describes, read.
pub(crate) struct Typing {
    session: String,
    active: bool,
    from: Sender,
}

impl FromFields for Typing {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let session = fields.required("sessionId", session_text);
        let active = fields.required("active", lenient::boolean);
        let from = fields.optional("from", speaker);
        fields.finish()?;
        // `finish` has told what is missing.
        let (session, active) = session.zip(active).ok_or_else(Problem::internal)?;
        Ok(Self {
            session,
            active,
            from: from.unwrap_or(Sender::Operator),
        })
    }
}

/// It is shown to whoever is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TypingOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
}

/// Shows the typing indicator, or hides it
#[utoipa::path(
    post,
    path = "/api/typing",
    tag = "messages",
    operation_id = "typing",
    request_body = TypingIn,
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "It is shown, where the visitor is there", body = TypingOut),
        (status = 400, description = "sessionId, active or from is missing or wrong",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn typing(
    state: Data<AppState>,
    desk: DeskPost,
    body: FromN8n<Typing>,
) -> Result<HttpResponse, Failure> {
    let Typing {
        session,
        active,
        from,
    } = body.0;
    let session = session_named(&session)?;
    let (pool, channels, id) = (state.kit.pool.clone(), desk.0.reach.names(), session.clone());
    let look = async move {
        let channel = sessions::channel_of(&mut *pool.acquire().await?, &id, channels.as_deref()).await?;
        channel.ok_or(Error::UnknownSession)
    };
    state.kit.run(look).await?;
    state.registry.typing(&session, from, active);
    Ok(HttpResponse::Ok().json(TypingOut { success: true }))
}
