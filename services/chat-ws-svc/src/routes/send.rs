//! A machine or an operator writes to a visitor.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use switchhook_chassis::db;
use switchhook_chassis::http::failures::{Always, Guarded, WithBody};
use switchhook_chassis::http::{Failure, FromN8n};
use switchhook_chassis::idempotency::{self, Answer, KEY_MAX_CHARS, KeyHeader, Keyed};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::models::time::WireTime;
use switchhook_core::problem::Problem;
use utoipa::ToSchema;

use super::caller::{Desk, DeskPost};
use super::session_text;
use crate::app::AppState;
use crate::domain::entry::{Audience, Entry, EntryKind, Message, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::operator::NAME_MAX_CHARS;
use crate::error::Error;
use crate::registry::FLUSH_LIMIT;
use crate::store::sending::{self, Sending, Stored};
use crate::store::{erasure, sessions};

const ROUTE: &str = "send-message";
const SENT: &str = "Message sent to user successfully";
const KEPT: &str = "Message stored; it is shown when the user is back";
const FOR_OPERATORS: &str = "Message stored; it is kept for the operator who has the chat";
/// Longest that is waited for what follows the storing.
const AFTERWARDS: Duration = FLUSH_LIMIT;

/// Who speaks.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = Speaker)]
#[allow(dead_code, reason = "describes a field")]
pub(crate) enum SpeakerIn {
    /// A person, or a machine that speaks for one.
    Operator,
    /// The bot, which answers late.
    Bot,
}

/// A message to a visitor.
#[derive(ToSchema)]
#[schema(as = SendMessage, rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the body; the fields are read one by one")]
pub(crate) struct SendIn {
    /// To whom.
    #[schema(examples("cw-1759838400000-k3v9x2m4p7q1a8s5d6f0g3h2"))]
    session_id: String,
    /// What; at most `MESSAGE_CHARS` characters.
    #[schema(min_length = 1, examples("A colleague will call you."))]
    text: String,
    /// What the visitor is told of who writes.
    #[schema(max_length = 80, examples("Sarah"))]
    name: Option<String>,
    /// Who writes; `operator` where nothing is said.
    from: Option<SpeakerIn>,
    /// `store` keeps the message for a visitor who is away; else that is a 404.
    #[schema(examples("store"))]
    when_offline: Option<String>,
    /// In the place of the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// What `SendIn` describes, read.
#[derive(Debug)]
pub(crate) struct Send {
    session: String,
    text: String,
    name: Option<String>,
    from: Sender,
    even_offline: bool,
    key: Option<String>,
}

impl FromFields for Send {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let there = |name: &str| match fields.peek(name) {
            Some(Value::String(text)) => !text.trim().is_empty(),
            None | Some(Value::Null) => false,
            Some(_) => true,
        };
        let received = json!({ "sessionId": there("sessionId"), "text": there("text") });
        if received
            .as_object()
            .is_some_and(|all| all.values().any(|there| there == false))
        {
            let problem = Problem::new(400, "missing_parameters", "sessionId and text are required");
            return Err(problem.with("received", received));
        }
        let session = fields.required("sessionId", session_text);
        // How long it may be is a setting, and has a code of its own.
        let text = fields.required("text", |value| lenient::text(value, 1, usize::MAX));
        let name = fields.optional("name", |value| lenient::text(value, 0, NAME_MAX_CHARS));
        let from = fields.optional("from", speaker);
        let offline = fields.optional("whenOffline", |value| match value.as_str() {
            Some("store") => Ok(()),
            _ => Err("must be store".to_owned()),
        });
        let key = fields.optional(idempotency::FIELD, |value| lenient::text(value, 1, KEY_MAX_CHARS));
        fields.finish()?;
        // `finish` has told what is missing.
        let (session, text) = session.zip(text).ok_or_else(Problem::internal)?;
        Ok(Self {
            session: session.trim().to_owned(),
            text,
            name: name
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty()),
            from: from.unwrap_or(Sender::Operator),
            even_offline: offline.is_some(),
            key,
        })
    }
}

/// Reads who speaks.
pub(super) fn speaker(value: &Value) -> Result<Sender, String> {
    let speaker = value.as_str().and_then(Sender::parse);
    let known = speaker.filter(|sender| *sender != Sender::User);
    known.ok_or_else(|| "must be operator or bot".to_owned())
}

/// The message is stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentOut {
    /// Always true.
    #[schema(default = true)]
    success: bool,
    /// Sentence for a person.
    #[schema(examples("Message sent to user successfully"))]
    message: &'static str,
    /// To whom.
    #[schema(value_type = String)]
    session_id: SessionId,
    /// Its id.
    #[schema(value_type = String)]
    message_id: MessageId,
    /// When it was stored.
    timestamp: WireTime,
    /// Only where it is not sent yet, or is for the operator alone who has the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<bool>,
}

/// Writes to a visitor
///
/// 200: stored, and sent to a socket that showed life within the last minute (not: read). 202: stored, and not sent yet.
/// A chat that was erased lately: 200 with `erased`, and nothing is stored.
#[utoipa::path(
    post,
    path = "/api/send-message",
    tag = "messages",
    operation_id = "sendMessage",
    request_body = SendIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats the first answer for 48 h")),
    security(("webhookSecret" = []), ("userToken" = []), ("userCookie" = [])),
    responses(
        (status = 200, description = "The visitor has it", body = SentOut),
        (status = 202, description = "It is stored; delivered is false", body = SentOut),
        (status = 400, description = "missing_parameters (with received), message_too_long, or a field is wrong",
            body = ref("#/components/schemas/Problem")),
        (status = 404, description = "session_not_found (with activeSessions) or connection_closed",
            body = ref("#/components/schemas/Problem")),
        (status = 409, description = "idempotency_conflict", body = ref("#/components/schemas/Problem")),
        Guarded, WithBody, Always
    )
)]
pub(crate) async fn send(
    state: Data<AppState>,
    desk: DeskPost,
    header: KeyHeader,
    body: FromN8n<Send>,
) -> Result<HttpResponse, Failure> {
    let limit = state.settings.message_chars.get();
    if body.0.text.chars().count() > limit as usize {
        return Err(Error::MessageTooLong(limit).into());
    }
    let new = New::of(&state, desk.0, header, body.0);
    let work = Box::pin(take(state.as_ref().clone(), new));
    Ok(state.kit.tasks.run(work).await??.into())
}

/// A message as it was read.
struct New {
    session: String,
    channels: Option<Vec<String>>,
    message: Message,
    author: Option<String>,
    even_offline: bool,
    keyed: Option<Keyed>,
    id: MessageId,
    at: chrono::DateTime<chrono::Utc>,
}

impl New {
    fn of(state: &AppState, desk: Desk, header: KeyHeader, sent: Send) -> Self {
        let offline = if sent.even_offline { "store" } else { "" };
        let parts = [
            sent.session.as_str(),
            sent.text.as_str(),
            sent.name.as_deref().unwrap_or_default(),
            sent.from.word(),
            offline,
        ];
        let key = header.0.or(sent.key.clone());
        let keyed = key.map(|key| Keyed::new(&desk.keys_caller(), ROUTE, key, &parts));
        let name = sent
            .name
            .or_else(|| desk.public_name().filter(|_| sent.from == Sender::Operator));
        let at = state.kit.clock.now();
        Self {
            channels: desk.reach.names(),
            author: desk.author(),
            message: Message {
                sender: sent.from,
                name,
                text: sent.text,
                client_id: None,
            },
            session: sent.session,
            even_offline: sent.even_offline,
            keyed,
            id: MessageId::new(at),
            at,
        }
    }

    fn sending<'a>(&'a self, state: &AppState, session: &'a SessionId) -> Sending<'a> {
        Sending {
            session,
            channels: self.channels.as_deref(),
            id: self.id,
            message: &self.message,
            author: self.author.as_deref(),
            even_offline: self.even_offline,
            replica: state.kit.replica.id(),
            rate: state.settings.send_message_rate.get(),
            at: self.at,
        }
    }

    fn entry(&self, stored: Stored) -> Entry {
        Entry {
            seq: stored.seq,
            id: self.id,
            at: self.at,
            audience: stored.audience,
            kind: EntryKind::Message(self.message.clone()),
        }
    }

    fn answer(&self, session: &SessionId, audience: Audience, delivered: bool) -> Answer {
        let message = match audience {
            Audience::Operators => FOR_OPERATORS,
            Audience::All if delivered => SENT,
            Audience::All => KEPT,
        };
        let body = SentOut {
            success: true,
            message,
            session_id: session.clone(),
            message_id: self.id,
            timestamp: self.at.into(),
            delivered: (!delivered).then_some(false),
        };
        Answer {
            status: if delivered { 200 } else { 202 },
            body: serde_json::to_value(&body).unwrap_or_default(),
        }
    }
}

/// Only the storing can fail, or take too long.
async fn take(state: AppState, new: New) -> Result<Answer, Failure> {
    let stored = tokio::time::timeout(db::WORK_LIMIT, store(&state, &new)).await;
    match stored.map_err(|_elapsed| db::unavailable())?? {
        Outcome::Stored(session, stored, conn) => {
            state.hub.publish(&session, &new.entry(stored));
            // The sockets here go first: everybody waits for them, and whatever else follows from the message wants the same
            // processors.
            tokio::task::yield_now().await;
            state.warm.keep(conn);
            Ok(tell(&state, &new, &session, stored).await)
        }
        Outcome::Answered(answer) => Ok(answer),
    }
}

/// Tells everybody else of a message that is stored, and whether the visitor has it.
async fn tell(state: &AppState, new: &New, session: &SessionId, stored: Stored) -> Answer {
    tracing::info!(session = %session, message = %new.id, "a message to a visitor was stored");
    let answer = |delivered| new.answer(session, stored.audience, delivered);
    let told = tokio::time::timeout(AFTERWARDS, async {
        let told = state
            .registry
            .tell(session, stored.seq, stored.held_elsewhere)
            .await;
        let answer = answer(told.flushed && stored.audience == Audience::All);
        if let (200, Some(keyed)) = (answer.status, &new.keyed) {
            amend(state, keyed, &answer).await;
        }
        answer
    });
    told.await.unwrap_or_else(|_elapsed| answer(false))
}

enum Outcome {
    /// By this connection.
    Stored(SessionId, Stored, PoolConnection<Postgres>),
    /// The request was done before, or there is nobody left to tell.
    Answered(Answer),
}

/// Stores the message, and that it is not delivered yet as the answer to its key. Without a key it is one statement.
async fn store(state: &AppState, new: &New) -> Result<Outcome, Error> {
    let mut conn = state.warm.acquire().await?;
    let Some(session) = SessionId::parse(&new.session) else {
        return Err(nobody(&mut conn, new).await?);
    };
    let sending = new.sending(state, &session);
    let Some(keyed) = &new.keyed else {
        let Some(stored) = sending::store(&mut conn, &sending).await? else {
            return refused(&mut conn, new, &sending).await;
        };
        return Ok(Outcome::Stored(session, stored, conn));
    };
    let mut tx = sqlx::Connection::begin(&mut *conn).await?;
    if let Some(answer) = state.keys.claim(&mut tx, keyed).await? {
        return Ok(Outcome::Answered(answer));
    }
    let Some(stored) = sending::store(&mut tx, &sending).await? else {
        return refused(&mut tx, new, &sending).await;
    };
    state
        .keys
        .record(&mut tx, keyed, &new.answer(&session, stored.audience, false))
        .await?;
    tx.commit().await?;
    Ok(Outcome::Stored(session, stored, conn))
}

/// Why it was not stored.
async fn refused(conn: &mut sqlx::PgConnection, new: &New, sending: &Sending<'_>) -> Result<Outcome, Error> {
    let session = sending.session;
    match sending::standing(conn, sending).await? {
        Some(standing) if !standing.connected && !new.even_offline => {
            Err(Error::ConnectionClosed(session.clone()))
        }
        Some(standing) => Err(Error::RateLimited(standing.wait_s)),
        None if erasure::was_erased(conn, session).await? => Ok(Outcome::Answered(Answer {
            status: 200,
            body: json!({ "success": true, "erased": true, "sessionId": session }),
        })),
        None => Err(nobody(conn, new).await?),
    }
}

async fn nobody(conn: &mut sqlx::PgConnection, new: &New) -> Result<Error, Error> {
    let active = sessions::active(conn, new.channels.as_deref()).await?;
    Ok(Error::NobodyToTell {
        session: new.session.clone(),
        active,
    })
}

/// Who repeats the request learns that it was delivered. After storing there is never an error.
async fn amend(state: &AppState, keyed: &Keyed, answer: &Answer) {
    let amended = async {
        let mut conn = state.warm.acquire().await?;
        state.keys.record(&mut conn, keyed, answer).await?;
        state.warm.keep(conn);
        Ok::<(), sqlx::Error>(())
    };
    if let Err(error) = amended.await {
        tracing::warn!(%error, "a repeated request will hear that its message is not delivered yet");
    }
}
