//! A visitor's message on its way into the log: stored, then everybody is told. It runs to its end whatever becomes of the
//! connection.

use std::sync::Arc;
use std::time::Duration;

use switchhook_chassis::db;
use tokio::time::Instant;

use super::Context;
use crate::clients::bot::{self, Asked};
use crate::domain::channel::ChannelName;
use crate::domain::connection::Stored;
use crate::domain::entry::{Audience, Entry, EntryKind, Message, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::shown::Meta;
use crate::hub::Line;
use crate::protocol::FaultKind;
use crate::store::visitor::{self, NewMessage, Refusal, StoredMessage, Written};

/// Pause before a message is tried again that PostgreSQL could not take.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Pause before a message is tried again whose chat somebody else has locked.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Whose message it is, and where it comes from.
#[derive(Debug)]
pub(crate) struct Author {
    pub(crate) session: SessionId,
    pub(crate) channel: ChannelName,
    pub(crate) meta: Meta,
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) id: MessageId,
    pub(crate) text: String,
    pub(crate) client_id: Option<String>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Posted {
    /// It is in the log.
    Stored(Stored),
    /// It is not.
    Refused(FaultKind),
    /// There is no such chat any more.
    Erased,
}

/// Stores a message and tells everybody. Tries for as long as a request may.
pub(crate) async fn post(ctx: Arc<Context>, author: Arc<Author>, line: Arc<Line>, post: Post) -> Posted {
    let deadline = Instant::now() + db::WORK_LIMIT;
    loop {
        match tokio::time::timeout_at(deadline, attempt(&ctx, &author, &line, &post)).await {
            Ok(Ok(Some(posted))) => return posted,
            // Somebody else holds the chat's lock for a moment.
            Ok(Ok(None)) => tokio::time::sleep(BUSY_PAUSE).await,
            Ok(Err(error)) if db::is_passing(&error) && Instant::now() + RETRY_PAUSE < deadline => {
                tracing::debug!(%error, "a visitor's message is stored a little later");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Ok(Err(error)) => {
                tracing::error!(%error, session = %author.session, "a visitor's message could not be stored");
                return Posted::Refused(FaultKind::Unavailable);
            }
            Err(_elapsed) => {
                tracing::warn!(session = %author.session, "the database does not answer; a visitor's message is not stored");
                return Posted::Refused(FaultKind::Unavailable);
            }
        }
    }
}

async fn attempt(
    ctx: &Context,
    author: &Author,
    line: &Arc<Line>,
    post: &Post,
) -> Result<Option<Posted>, sqlx::Error> {
    let state = &ctx.state;
    let asked = Asked {
        session: &author.session,
        channel: &author.channel,
        message: post.id,
        text: &post.text,
        meta: &author.meta,
    };
    let now = state.kit.clock.now();
    let new = NewMessage {
        session: author.session.clone(),
        id: post.id,
        text: post.text.clone(),
        client_id: post.client_id.clone(),
        at: now,
        draft: bot::draft(state, &asked)?,
    };
    let written = match state.log.message(new).await {
        // Only where another try of this very message got through at this moment.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Written::Refused,
        outcome => outcome?,
    };
    let StoredMessage {
        seq, held_elsewhere, ..
    } = match written {
        Written::Stored(stored) => stored,
        Written::Busy => return Ok(None),
        Written::Refused | Written::LeftBehind => return refused(ctx, author, post).await.map(Some),
    };
    let entry = || Entry {
        seq,
        id: post.id,
        at: now,
        audience: Audience::All,
        kind: EntryKind::Message(Message {
            sender: Sender::User,
            name: None,
            text: post.text.clone(),
            client_id: post.client_id.clone(),
        }),
    };
    state.hub.publish_beside(&author.session, line, entry);
    state.registry.announce(&author.session, seq, held_elsewhere);
    Ok(Some(Posted::Stored(Stored::New(seq))))
}

async fn refused(ctx: &Context, author: &Author, post: &Post) -> Result<Posted, sqlx::Error> {
    let _turn = ctx.reading.acquire().await;
    let state = &ctx.state;
    let mut conn = state.kit.pool.acquire().await?;
    let client_id = post.client_id.as_deref();
    let refusal = visitor::refusal(&mut conn, &author.session, post.id, client_id).await?;
    Ok(match refusal {
        Refusal::Before { seq, id } if id == post.id => Posted::Stored(Stored::New(seq)),
        Refusal::Before { seq, id } => Posted::Stored(Stored::Before(seq, id)),
        Refusal::TooMany(wait_s) => {
            Posted::Refused(FaultKind::RateLimited(wait_s.clamp(1.0, 60.0).ceil() as u32))
        }
        Refusal::Erased => Posted::Erased,
    })
}
