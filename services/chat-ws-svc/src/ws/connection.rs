//! One visitor's connection: one task that reads his frames, writes what lies ready for him, and waits for nobody else.
//!
//! It decides nothing about the log ([`Connection`] does), puts nothing into words ([`Display`] does) and stores nothing itself
//! ([`post`] does): it is the loop between them. What comes faster than it can be written, or stored, is not read: it waits in the peer's own buffers.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::task::AbortOnDropHandle;

use super::display::Display;
use super::handshakes::Handshake;
use super::heartbeat::{Beat, Heartbeat};
use super::opening::{Opened, open};
use super::places::Place;
use super::post::{Author, Post, Posted, post};
use super::socket::{Ended, Frame, Goodbye, Socket};
use super::{Context, RESTART, catch_up};
use crate::domain::connection::{Connection, Tap};
use crate::domain::entry::{Mode, Sender};
use crate::domain::ids::MessageId;
use crate::hub::Line;
use crate::protocol::{FaultKind, Incoming};
use crate::store::visitor::Part;

/// How long a peer may leave unread what is written to him.
const STALL_LIMIT_MS: u64 = 30_000;
/// Messages of one connection that may wait for their acks before the next is read.
const UNACKED: usize = 32;
/// That he still writes is passed on at these intervals.
const TYPING_EVERY_MS: u64 = 1_000;

const IDLE: Goodbye = Goodbye::new(CloseCode::Normal, "nobody said anything for long: connect again");

/// Serves one connection from its first byte to its last. What only the beginning and the end need is on the heap while
/// they last, and not in every idle connection.
pub(super) fn serve(
    ctx: Arc<Context>,
    tcp: TcpStream,
    peer: SocketAddr,
    handshake: Handshake,
) -> impl Future<Output = ()> + Send {
    let entering = Box::pin(enter(ctx, tcp, peer, handshake));
    async move {
        if let Some(mut visit) = entering.await {
            let end = poll_fn(|cx| visit.poll(cx)).await;
            Box::pin(leave(visit, end)).await;
        }
    }
}

async fn enter(ctx: Arc<Context>, tcp: TcpStream, peer: SocketAddr, handshake: Handshake) -> Option<Visit> {
    let opened = open(&ctx, tcp, peer, handshake).await?;
    let Opened {
        place,
        socket,
        author,
        line,
        log,
        mode,
    } = opened;
    let seat = Seat {
        ctx,
        author,
        line,
        _place: place,
    };
    Some(Visit::new(seat, socket, log, mode))
}

async fn leave(visit: Visit, end: End) {
    let Visit {
        mut socket,
        mut display,
        seat,
        ..
    } = visit;
    seat.give_up();
    match end {
        End::Peer(ended) => socket.finish(ended).await,
        End::Ours(goodbye) => {
            metrics::counter!("ws_closed_total", "code" => u16::from(goodbye.code).to_string()).increment(1);
            if !display.out.is_empty() {
                let rest = poll_fn(|cx| socket.poll_write(cx, &mut display.out));
                let _ = tokio::time::timeout(Duration::from_millis(STALL_LIMIT_MS), rest).await;
            }
            socket.close(goodbye).await;
        }
        End::Lost(why) => {
            metrics::counter!("ws_lost_total", "why" => why).increment(1);
            tracing::debug!(why, "a connection was given up");
        }
    }
}

/// Why a connection ends.
enum End {
    /// The peer, or the way to him, ended it.
    Peer(Ended),
    /// We do, and say why.
    Ours(Goodbye),
    /// There is nobody to be told.
    Lost(&'static str),
}

/// The connection's place in the hub; given up when dropped at the latest.
struct Seat {
    ctx: Arc<Context>,
    author: Arc<Author>,
    line: Arc<Line>,
    _place: Place,
}

impl Seat {
    /// Nothing more comes in; the place itself is free once the last word is said.
    fn give_up(&self) {
        self.ctx.state.registry.leave(&self.author.session, &self.line);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_up();
    }
}

struct Visit {
    seat: Seat,
    socket: Socket,
    /// While there is something in it to be written, nothing is read.
    display: Display,
    storing: Option<(MessageId, JoinHandle<Posted>)>,
    reading: Option<AbortOnDropHandle<Option<Part>>>,
    tap: Tap,
    heart: Heartbeat,
    stalled_since_ms: Option<u64>,
    /// When it was last passed on that he writes; nothing while he does not.
    typing_at_ms: Option<u64>,
    alarm: Pin<Box<Sleep>>,
}

impl Visit {
    fn new(seat: Seat, socket: Socket, log: Connection, mode: Mode) -> Self {
        let hub = &seat.ctx.state.hub;
        let now_ms = hub.now_ms();
        let alarm = Box::pin(tokio::time::sleep_until(hub.at(now_ms)));
        if seat.ctx.state.kit.tasks.stopping().is_cancelled() {
            // Whoever came in while the others were seen off already.
            seat.line.close(RESTART);
        }
        Self {
            seat,
            socket,
            display: Display::new(log, mode),
            storing: None,
            reading: None,
            tap: Tap::new(),
            heart: Heartbeat::new(now_ms),
            stalled_since_ms: None,
            typing_at_ms: None,
            alarm,
        }
    }

    /// Does everything that can be done now. Ready when the connection is at its end.
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<End> {
        loop {
            match self.step(cx) {
                Ok(Progress::Made) => {}
                Ok(Progress::None) => return Poll::Pending,
                Err(end) => {
                    self.say_typing(false);
                    return Poll::Ready(end);
                }
            }
        }
    }

    /// One thing, the most pressing one.
    fn step(&mut self, cx: &mut Cx<'_>) -> Result<Progress, End> {
        if self.display.is_unflushed() && !self.write(cx)? {
            if let Poll::Ready(_unsayable) = self.seat.line.poll_goodbye(cx) {
                return Err(End::Lost("closed while it did not read"));
            }
            return self.watch_clock(cx);
        }
        if let Some(reading) = &mut self.reading
            && let Poll::Ready(part) = Pin::new(reading).poll(cx)
        {
            self.reading = None;
            let shown = self.display.part(part.ok().flatten());
            return self.has_shown(shown);
        }
        if let Some((id, storing)) = &mut self.storing
            && let Poll::Ready(posted) = Pin::new(storing).poll(cx)
        {
            let id = *id;
            self.storing = None;
            let posted = posted.unwrap_or(Posted::Refused(FaultKind::Unavailable));
            let shown = self.display.posted(id, posted);
            return self.has_shown(shown);
        }
        if let Poll::Ready(inbox) = self.seat.line.poll_take(cx) {
            let shown = self.display.inbox(inbox);
            return self.has_shown(shown);
        }
        if self.display.log.is_behind() && self.reading.is_none() {
            let (ctx, author) = (Arc::clone(&self.seat.ctx), Arc::clone(&self.seat.author));
            let read = catch_up::read(Arc::clone(&ctx), author, self.display.log.cursor());
            self.reading = Some(AbortOnDropHandle::new(ctx.state.kit.tasks.spawn(read)));
            return Ok(Progress::Made);
        }
        let now_ms = self.now_ms();
        let may_store = self.storing.is_none() && self.display.log.unacked() < UNACKED;
        if may_store && self.tap.closed_until(now_ms).is_none() {
            match self.socket.poll_read(cx) {
                Poll::Ready(Ok(frame)) => {
                    self.tap.drew(now_ms);
                    self.seat.line.heard(now_ms);
                    self.take(frame, now_ms);
                    return Ok(Progress::Made);
                }
                Poll::Ready(Err(ended)) => return Err(End::Peer(ended)),
                Poll::Pending => {}
            }
        }
        self.watch_clock(cx)
    }

    /// After something was put into words. What the cursor has passed without a word counts as written, too.
    fn has_shown(&mut self, shown: Result<(), Goodbye>) -> Result<Progress, End> {
        shown.map_err(End::Ours)?;
        if self.display.has_talked() {
            self.heart.talked(self.now_ms());
        }
        if !self.display.is_unflushed() {
            self.seat.line.flushed(self.display.log.cursor());
        }
        Ok(Progress::Made)
    }

    /// Whether everything is written.
    fn write(&mut self, cx: &mut Cx<'_>) -> Result<bool, End> {
        match self.socket.poll_write(cx, &mut self.display.out) {
            Poll::Ready(Ok(())) => {
                self.display.flushed();
                self.stalled_since_ms = None;
                self.seat.line.flushed(self.display.log.cursor());
                Ok(true)
            }
            Poll::Ready(Err(ended)) => Err(End::Peer(ended)),
            Poll::Pending => {
                let now_ms = self.now_ms();
                self.stalled_since_ms.get_or_insert(now_ms);
                Ok(false)
            }
        }
    }

    fn watch_clock(&mut self, cx: &mut Cx<'_>) -> Result<Progress, End> {
        let now_ms = self.now_ms();
        let stalled_until = self.stalled_since_ms.map(|since| since + STALL_LIMIT_MS);
        if stalled_until.is_some_and(|until| until <= now_ms) {
            return Err(End::Lost("it did not read"));
        }
        let pressing = stalled_until
            .into_iter()
            .chain(self.tap.closed_until(now_ms))
            .min();
        let pressing = pressing.map(|ms| self.seat.ctx.state.hub.at(ms));
        if let Some(at) = pressing
            && at < self.alarm.deadline()
        {
            self.alarm.as_mut().reset(at);
        }
        if self.alarm.as_mut().poll(cx).is_pending() {
            return Ok(Progress::None);
        }
        let heard_at_ms = self.seat.line.heard_at_ms();
        let (beat, next_ms) = self.heart.beat(now_ms, heard_at_ms, self.seat.ctx.rhythm);
        let next = self.seat.ctx.state.hub.at(next_ms);
        self.alarm
            .as_mut()
            .reset(pressing.map_or(next, |at| at.min(next)));
        match beat {
            Beat::Dead => Err(End::Lost("it showed no life")),
            Beat::Idle => Err(End::Ours(IDLE)),
            Beat::Ping if !self.display.is_unflushed() => {
                self.display.put(Message::Ping(Vec::new().into()));
                Ok(Progress::Made)
            }
            Beat::Ping | Beat::Rest => Ok(Progress::Made),
        }
    }

    /// A frame of the visitor.
    fn take(&mut self, frame: Frame, now_ms: u64) {
        let read = match &frame {
            Frame::Sign => return,
            Frame::Text(text) => Incoming::read(text, self.seat.ctx.max_chars),
            Frame::Binary(_) => return self.display.say(&FaultKind::InvalidFrame.frame(None)),
        };
        match read {
            Ok(Incoming::Message { text, client_id }) => {
                self.heart.talked(now_ms);
                self.say_typing(false);
                self.store(text, client_id);
            }
            Ok(Incoming::Typing { active }) => self.say_typing(active),
            Err(fault) => self.display.say(&fault.kind.frame(fault.client_id.as_deref())),
        }
    }

    fn store(&mut self, text: String, client_id: Option<String>) {
        let Seat {
            ctx, author, line, ..
        } = &self.seat;
        let id = MessageId::new(ctx.state.kit.clock.now());
        self.display.log.sends(id, client_id.clone());
        let new = Post { id, text, client_id };
        let storing = post(Arc::clone(ctx), Arc::clone(author), Arc::clone(line), new);
        self.storing = Some((id, ctx.state.kit.tasks.spawn(storing)));
    }

    /// Operators see that he writes.
    fn say_typing(&mut self, active: bool) {
        let now_ms = self.now_ms();
        let news = match (active, self.typing_at_ms) {
            (true, Some(at)) => now_ms >= at + TYPING_EVERY_MS,
            (true, None) => true,
            (false, said) => said.is_some(),
        };
        if news {
            self.typing_at_ms = active.then_some(now_ms);
            let Seat { ctx, author, .. } = &self.seat;
            ctx.state.registry.typing(&author.session, Sender::User, active);
        }
    }

    fn now_ms(&self) -> u64 {
        self.seat.ctx.state.hub.now_ms()
    }
}

/// Whether there may be more to do at once.
enum Progress {
    Made,
    None,
}
