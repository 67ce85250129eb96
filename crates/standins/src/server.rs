//! Sockets and answers: the part of a stand-in that can also break.
//!
//! A [`Port`] accepts HTTP/1.1 connections and can be taken down and up again: while it is down, connections are refused
//! and the port number stays ours. A [`Reply`] is an answer, or one of the ways in which an answer does not come.
//! What is answered is not decided here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long an idle connection is kept, as n8n does (`Keep-Alive: timeout=5`).
const IDLE: Duration = Duration::from_secs(5);
/// Between the first half of a cut answer and the end of the connection: the half must have left.
const CUT_PAUSE: Duration = Duration::from_millis(50);

/// A complete answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Where it is streamed: the time before each line.
    pub(crate) pace: Option<Duration>,
}

/// What happens to a request.
pub(crate) enum Reply {
    /// It is answered.
    Answer(Answer),
    /// The headers and half of the body are sent, then the connection breaks.
    Cut(Answer),
    /// The connection is closed without an answer.
    HangUp,
}

/// Decides about requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request; its body has not been read yet.
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// A listening address that can be taken down and up.
pub(crate) struct Port<H> {
    address: SocketAddr,
    handler: Arc<H>,
    state: Mutex<State>,
}

enum State {
    Listening(JoinHandle<()>),
    /// Bound, not listening: connections are refused, and nobody else gets the number.
    Reserved(TcpSocket),
    /// For the moment of a change only.
    Changing,
}

impl<H: Handler> Port<H> {
    /// Opens a port; number 0 takes a free one.
    pub(crate) fn open(address: SocketAddr, handler: Arc<H>) -> io::Result<Self> {
        let listener = bind(address)?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, Arc::clone(&handler)));
        Ok(Self {
            address,
            handler,
            state: Mutex::new(State::Listening(task)),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and refuses new ones. Nothing when it is down already.
    pub(crate) async fn down(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        match std::mem::replace(&mut *state, State::Changing) {
            State::Listening(task) => {
                task.abort();
                // The listener is closed once the task has ended, and ending by abort is what was asked for.
                let _ = task.await;
            }
            reserved => {
                *state = reserved;
                return Ok(());
            }
        }
        *state = State::Reserved(bind(self.address)?);
        Ok(())
    }

    /// Accepts again on the same number. Nothing when it is up already.
    pub(crate) async fn up(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let socket = match std::mem::replace(&mut *state, State::Changing) {
            State::Reserved(socket) => socket,
            State::Changing => bind(self.address)?,
            listening => {
                *state = listening;
                return Ok(());
            }
        };
        let listener = socket.listen(BACKLOG)?;
        *state = State::Listening(tokio::spawn(accept(listener, Arc::clone(&self.handler))));
        Ok(())
    }
}

impl<H> Drop for Port<H> {
    fn drop(&mut self) {
        if let State::Listening(task) = self.state.get_mut() {
            task.abort();
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts until it is aborted; its connections end with it.
async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&handler)));
            }
            Err(error) => {
                tracing::warn!(%error, "a stand-in could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<H: Handler>(stream: TcpStream, handler: Arc<H>) {
    // Without this, small answers wait for acknowledgements and spoil every measurement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { respond(handler.handle(request).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(16 * 1024);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to a stand-in ended early");
    }
}

/// An error of the service makes hyper close the connection without an answer.
fn respond(reply: Reply) -> io::Result<Response<ReplyBody>> {
    let (answer, cut) = match reply {
        Reply::Answer(answer) => (answer, false),
        Reply::Cut(answer) => (answer, true),
        Reply::HangUp => return Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
    };
    let body = match answer.pace.filter(|_| !cut) {
        Some(pace) => ReplyBody::streamed(answer.body, pace),
        None => ReplyBody::new(answer.body, cut),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name).map_err(io::Error::other)?;
        let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// A body that is sent whole, only its first half, or line by line.
struct ReplyBody {
    next: Option<Bytes>,
    /// Its length, where it is told.
    declared: Option<u64>,
    cut: Option<Pin<Box<Sleep>>>,
    lines: Option<Lines>,
}

/// What is still to be streamed.
struct Lines {
    rest: Bytes,
    pace: Duration,
    pause: Pin<Box<Sleep>>,
}

impl ReplyBody {
    fn new(body: Bytes, cut: bool) -> Self {
        if !cut {
            return Self {
                declared: Some(body.len() as u64),
                next: Some(body).filter(|body| !body.is_empty()),
                cut: None,
                lines: None,
            };
        }
        // A cut answer always announces more than it sends.
        let declared = body.len().max(2) as u64;
        let half = body.slice(..body.len() / 2);
        let pause = Box::pin(tokio::time::sleep(CUT_PAUSE));
        Self {
            next: Some(half).filter(|half| !half.is_empty()),
            declared: Some(declared),
            cut: Some(pause),
            lines: None,
        }
    }

    fn streamed(rest: Bytes, pace: Duration) -> Self {
        Self {
            next: None,
            declared: None,
            cut: None,
            lines: Some(Lines {
                rest,
                pace,
                pause: Box::pin(tokio::time::sleep(pace)),
            }),
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.next.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(lines) = self.lines.as_mut() {
            if lines.rest.is_empty() {
                return Poll::Ready(None);
            }
            std::task::ready!(lines.pause.as_mut().poll(context));
            lines.pause = Box::pin(tokio::time::sleep(lines.pace));
            let end = lines.rest.iter().position(|byte| *byte == b'\n');
            let line = lines.rest.split_to(end.map_or(lines.rest.len(), |end| end + 1));
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        let Some(pause) = self.cut.as_mut() else {
            return Poll::Ready(None);
        };
        std::task::ready!(pause.as_mut().poll(context));
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.cut.is_none() && self.lines.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
