//! An operator takes a chat over, or hands it back to the bot.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Serialize;
use switchhook_chassis::http::Failure;
use switchhook_chassis::http::FromN8n;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::caller::Desk;
use super::session_named;
use crate::app::AppState;
use crate::clients::bot;
use crate::domain::entry::{Entry, EntryKind, Mode};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::session::{Change, Force, Holder, TakenOver, Taker};
use crate::error::Error;
use crate::store::{entries, sessions};

/// How a chat is taken.
#[derive(ToSchema)]
#[schema(as = HandOver)]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct HandOverIn {
    /// Also from another operator.
    force: Option<bool>,
}

/// What `HandOverIn` describes, read.
pub(crate) struct HandOver(Force);

impl FromFields for HandOver {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let force = fields.optional("force", lenient::boolean);
        fields.finish()?;
        Ok(Self(if force == Some(true) {
            Force::Yes
        } else {
            Force::No
        }))
    }
}

/// Who speaks to the visitor now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModeOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Bot or operator.
    mode: Mode,
    /// The operator who has the chat; null where it waits for one, and while the bot speaks.
    operator: Option<String>,
}

/// Takes a chat over from the bot
///
/// An operator gets it himself; for a machine it waits for one. The bot falls silent: what it was not sent yet is called off.
#[utoipa::path(
    post,
    path = "/api/sessions/{id}/takeover",
    tag = "chats",
    operation_id = "takeOverSession",
    params(("id" = String, Path, description = "The chat")),
    request_body(content = Option<HandOverIn>),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "An operator speaks from here on", body = ModeOut),
        (status = 400, description = "force is wrong", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "taken_over: another operator has it, who is named",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn take_over(
    state: Data<AppState>,
    desk: Desk,
    id: Path<String>,
    body: FromN8n<HandOver>,
) -> Result<HttpResponse, Failure> {
    hand_over(state, desk, &id, body.0.0, Holder::taken_by).await
}

/// Hands a chat back to the bot
///
/// The bot speaks again, for new messages.
#[utoipa::path(
    post,
    path = "/api/sessions/{id}/release",
    tag = "chats",
    operation_id = "releaseSession",
    params(("id" = String, Path, description = "The chat")),
    request_body(content = Option<HandOverIn>),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The bot speaks from here on", body = ModeOut),
        (status = 400, description = "force is wrong", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "session_not_found", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "taken_over: another operator has it, who is named",
            body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn release(
    state: Data<AppState>,
    desk: Desk,
    id: Path<String>,
    body: FromN8n<HandOver>,
) -> Result<HttpResponse, Failure> {
    hand_over(state, desk, &id, body.0.0, Holder::released_by).await
}

type Decide = fn(&Holder, &Taker, Force) -> Result<Option<Change>, TakenOver>;

async fn hand_over(
    state: Data<AppState>,
    desk: Desk,
    id: &str,
    force: Force,
    decide: Decide,
) -> Result<HttpResponse, Failure> {
    let session = session_named(id)?;
    let work = change(state.as_ref().clone(), desk, session, force, decide);
    let holder = state.kit.run(work).await?;
    Ok(HttpResponse::Ok().json(ModeOut {
        success: true,
        mode: holder.mode(),
        operator: holder.person().map(|person| person.name.clone()),
    }))
}

async fn change(
    state: AppState,
    desk: Desk,
    session: SessionId,
    force: Force,
    decide: Decide,
) -> Result<Holder, Error> {
    let now = state.kit.clock.now();
    let mut tx = state.kit.pool.begin().await?;
    let locked = sessions::lock(&mut tx, &session, desk.reach.names().as_deref()).await?;
    let locked = locked.ok_or(Error::UnknownSession)?;
    let decided = decide(&locked.holder, &desk.taker(), force);
    let Some(Change { holder, audience }) =
        decided.map_err(|TakenOver(person)| Error::TakenOver(person.name))?
    else {
        return Ok(locked.holder);
    };
    let entry = Entry {
        seq: locked.last_seq + 1,
        id: MessageId::new(now),
        at: now,
        audience,
        kind: EntryKind::Status(holder.mode()),
    };
    sessions::hand_over(&mut tx, &session, &holder, entry.seq, now).await?;
    entries::insert(&mut tx, &session, &entry, None).await?;
    if holder.mode() == Mode::Operator {
        state
            .outbox
            .cancel_owed(&mut tx, &bot::MESSAGE, session.as_str())
            .await?;
    }
    tx.commit().await?;
    tracing::info!(session = %session, mode = holder.mode().word(), "a chat was handed over");
    state.announce(&session, &entry);
    Ok(holder)
}
