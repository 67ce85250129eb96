//! From an accepted connection to a visitor in his chat: who may come in, which chat it is, and where he stands in it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use switchhook_chassis::db;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use url::Url;

use super::Context;
use super::accept::{Asked, accept};
use super::handshakes::Handshake;
use super::origin::allows;
use super::places::{Admission, Place};
use super::post::Author;
use super::socket::{Goodbye, Socket};
use crate::domain::channel::ChannelName;
use crate::domain::connection::Connection;
use crate::domain::entry::Mode;
use crate::domain::ids::{MessageId, ResumeToken, SessionId};
use crate::domain::shown::Meta;
use crate::hub::Line;
use crate::protocol::Outgoing;
use crate::store::visitor::{self, NewSession, Resumed};

const FULL: Goodbye = Goodbye::new(CloseCode::Again, "too many connections: come back later");
const AWAY: Goodbye = Goodbye::new(CloseCode::Again, "chats cannot be reached now: come back later");
const UNKNOWN_CHANNEL: Goodbye = Goodbye::new(CloseCode::Policy, "unknown channel");
const FOREIGN_ORIGIN: Goodbye = Goodbye::new(CloseCode::Policy, "this web site may not connect");

/// A visitor in his chat.
pub(super) struct Opened {
    pub(super) place: Place,
    pub(super) socket: Socket,
    pub(super) author: Arc<Author>,
    pub(super) line: Arc<Line>,
    pub(super) log: Connection,
    /// Who speaks to the visitor, as his first frame says it.
    pub(super) mode: Mode,
}

/// Lets a visitor in, or tells him why not.
pub(super) async fn open(
    ctx: &Context,
    tcp: TcpStream,
    peer: SocketAddr,
    handshake: Handshake,
) -> Option<Opened> {
    let (shaken, asked) = handshake.unless_cut(accept(tcp, ctx.frame_bytes)).await?;
    let mut place = ctx.places.take()?;
    let entered = match admit(ctx, &asked, peer.ip(), &mut place) {
        Ok(channel) => enter(ctx, &asked, channel).await,
        Err(goodbye) => Err(goodbye),
    };
    let (author, line, log, mode, greeting) = match entered {
        Ok(entered) => entered,
        Err(goodbye) => {
            metrics::counter!("ws_refused_total", "reason" => goodbye.reason).increment(1);
            shaken.socket().await.close(goodbye).await;
            return None;
        }
    };
    match shaken.greet(greeting).await {
        Ok(socket) => Some(Opened {
            place,
            socket,
            author: Arc::new(author),
            line,
            log,
            mode,
        }),
        Err(_gone) => {
            ctx.state.registry.leave(&author.session, &line);
            None
        }
    }
}

fn admit(ctx: &Context, asked: &Asked, peer: IpAddr, place: &mut Place) -> Result<ChannelName, Goodbye> {
    let client = asked.client(peer, &ctx.state.kit.settings.trusted_proxies);
    if place.belongs_to(client) == Admission::Refused {
        return Err(FULL);
    }
    let name = match &asked.channel {
        None => ChannelName::default(),
        Some(text) => ChannelName::parse(text).ok_or(UNKNOWN_CHANNEL)?,
    };
    let (name, channel) = ctx.state.channels.find(&name).ok_or(UNKNOWN_CHANNEL)?;
    if !allows(
        &channel.origins,
        &ctx.own_pages,
        asked.origin.as_deref(),
        asked.host.as_deref(),
    ) {
        return Err(FOREIGN_ORIGIN);
    }
    Ok(name.clone())
}

type Entered = (Author, Arc<Line>, Connection, Mode, String);

async fn enter(ctx: &Context, asked: &Asked, channel: ChannelName) -> Result<Entered, Goodbye> {
    let meta = meta(asked);
    let token = asked.token.as_deref().and_then(ResumeToken::parse);
    let away = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "a visitor could not be let in");
        AWAY
    };
    if let Some(token) = token {
        let found = tokio::time::timeout(
            db::WORK_LIMIT,
            find(ctx, &token, &channel, asked.after.as_deref(), &meta),
        );
        let found = found
            .await
            .map_err(|elapsed| away(&elapsed))?
            .map_err(|error| away(&error))?;
        if let Some(chat) = found {
            let line = ctx.state.registry.join(&chat.id).await.ok_or(AWAY)?;
            let greeting = greeting(&chat.id, &token, true, chat.mode);
            let log = Connection::new(chat.seen, chat.last_seq);
            line.flushed(chat.seen);
            return Ok((
                Author {
                    session: chat.id,
                    channel,
                    meta,
                },
                line,
                log,
                chat.mode,
                greeting,
            ));
        }
    }
    let token = ResumeToken::new(rand::random());
    let (session, line) = begin(ctx, &token, &channel, &meta)
        .await
        .map_err(|error| away(&error))?;
    let greeting = greeting(&session, &token, false, Mode::Bot);
    Ok((
        Author {
            session,
            channel,
            meta,
        },
        line,
        Connection::new(0, 0),
        Mode::Bot,
        greeting,
    ))
}

async fn find(
    ctx: &Context,
    token: &ResumeToken,
    channel: &ChannelName,
    after: Option<&str>,
    meta: &Meta,
) -> Result<Option<Resumed>, sqlx::Error> {
    let _turn = ctx.reading.acquire().await;
    let mut conn = ctx.state.kit.pool.acquire().await?;
    visitor::resume(
        &mut conn,
        channel,
        token.hash(),
        after.and_then(MessageId::parse),
        meta,
    )
    .await
}

async fn begin(
    ctx: &Context,
    token: &ResumeToken,
    channel: &ChannelName,
    meta: &Meta,
) -> Result<(SessionId, Arc<Line>), Box<dyn std::error::Error + Send + Sync>> {
    let state = &ctx.state;
    let now = state.kit.clock.now();
    let session = SessionId::new(now, rand::random());
    let new = NewSession {
        id: &session,
        channel,
        resume_hash: token.hash(),
        meta,
        replica: state.kit.replica.id(),
        at: now,
    };
    let line = state.registry.join_new(&session);
    let mut begun = false;
    let written = tokio::time::timeout(db::WORK_LIMIT, async {
        let _turn = ctx.reading.acquire().await;
        let mut conn = state.kit.pool.acquire().await?;
        begun = true;
        visitor::begin(&mut conn, &new).await
    });
    let outcome: Result<(), Box<dyn std::error::Error + Send + Sync>> = match written.await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(elapsed) => Err(elapsed.into()),
    };
    // What was sent and not confirmed may stand there all the same: leaving takes it off the list then.
    state.registry.joined_new(&session, begun);
    match outcome {
        Ok(()) => {
            state.operators.changed();
            Ok((session, line))
        }
        Err(error) => {
            state.registry.leave(&session, &line);
            Err(error)
        }
    }
}

fn greeting(session: &SessionId, token: &ResumeToken, resumed: bool, mode: Mode) -> String {
    Outgoing::Session {
        session_id: session,
        resume_token: &token.reveal(),
        resumed,
        mode,
    }
    .to_text()
}

/// Browsers send no `Referer` with a WebSocket: the page says where it is, and is believed for its own origin.
fn meta(asked: &Asked) -> Meta {
    let origin = asked.origin.clone().filter(|origin| origin != "null");
    let own_page = |page: &String| {
        let page = Url::parse(page).ok().map(|page| page.origin());
        let site = origin
            .as_deref()
            .and_then(|origin| Url::parse(origin).ok())
            .map(|site| site.origin());
        page.is_some() && page == site
    };
    let referer = asked
        .referer
        .clone()
        .or_else(|| asked.page.clone().filter(own_page));
    Meta {
        origin,
        ua: asked.user_agent.clone(),
        referer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_believed_for_its_own_origin_only() {
        let text = |text: &str| Some(text.to_owned());
        let at = |origin: Option<&str>, referer: Option<&str>, page: Option<&str>| {
            meta(&Asked {
                origin: origin.map(str::to_owned),
                referer: referer.map(str::to_owned),
                page: page.map(str::to_owned),
                ..Asked::default()
            })
            .referer
        };
        let page = "https://a.example/x?y=1";
        assert_eq!(at(Some("https://a.example"), None, Some(page)), text(page));
        assert_eq!(at(Some("https://b.example"), None, Some(page)), None);
        assert_eq!(at(None, None, Some(page)), None);
        assert_eq!(at(Some("https://a.example"), None, Some("x")), None);
        assert_eq!(
            at(Some("https://b.example"), Some("https://b.example/r"), Some(page)),
            text("https://b.example/r")
        );
    }
}
