//! One WebSocket: small buffers, and a closing handshake that ends in order whoever begins it.
//!
//! tungstenite speaks the protocol. What it leaves to its user stands here: which code answers a fault, and that the peer
//! gets to read it. A connection that is closed over unread bytes is reset, and a reset overtakes the Close.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Buffer that every connection holds for what it reads, in bytes. The library's default costs 128 KiB a connection.
const READ_BUFFER_BYTES: usize = 512;
/// Most that is buffered for a peer that does not read: one frame of the largest kind, and what answers its own frames.
const WRITE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Longest wait for the peer's half of the closing handshake.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// Longest that bytes are read and thrown away, so that the peer gets to read our Close.
const LINGER_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes that are thrown away so.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// The last word to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goodbye {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
}

impl Goodbye {
    pub(crate) const fn new(code: CloseCode, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// What the peer sent.
#[derive(Debug)]
pub(crate) enum Frame {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// A ping, which is answered by now, or a pong.
    Sign,
}

/// Why nothing more is read.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer closed, and has our half of the handshake.
    Parted,
    /// The connection broke.
    Gone,
    /// The peer broke the protocol, and is to be told.
    Fault(Goodbye),
}

/// A WebSocket after its handshake.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// A connection after its handshake, on which nothing was said yet.
pub(crate) struct Shaken {
    pub(crate) tcp: TcpStream,
    /// What came behind the request's head.
    pub(crate) early: Vec<u8>,
    /// The largest frame, and message, that is taken.
    pub(crate) frame_bytes: usize,
}

impl Shaken {
    /// The WebSocket.
    pub(crate) async fn socket(self) -> Socket {
        let config = config(self.frame_bytes);
        let stream = WebSocketStream::from_partially_read(self.tcp, self.early, Role::Server, Some(config));
        Socket(stream.await)
    }

    /// The WebSocket, after a first frame. The buffer that the frame was written from is not kept: most connections are
    /// written to again much later.
    pub(crate) async fn greet(self, text: String) -> Result<Socket, Ended> {
        let config = config(self.frame_bytes);
        let mut first = WebSocketStream::from_raw_socket(self.tcp, Role::Server, Some(config)).await;
        let said = timeout(CLOSE_LIMIT, first.send(Message::text(text))).await;
        if !matches!(said, Ok(Ok(()))) {
            return Err(Ended::Gone);
        }
        let tcp = first.into_inner();
        Ok(Self { tcp, ..self }.socket().await)
    }
}

fn config(frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(frame_bytes))
        .max_frame_size(Some(frame_bytes))
}

impl Socket {
    /// The next frame. Nothing more comes after an end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Ended>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.0).poll_next(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Err(fault(&error))),
                None => return Poll::Ready(Err(Ended::Parted)),
            };
            return Poll::Ready(Ok(match frame {
                Message::Text(text) => Frame::Text(text),
                Message::Binary(bytes) => Frame::Binary(bytes),
                Message::Ping(_) | Message::Pong(_) => Frame::Sign,
                // Our half of the handshake is written by the next read.
                Message::Close(_) | Message::Frame(_) => continue,
            }));
        }
    }

    /// Writes everything, to the kernel. Call it again after `Pending`; nothing is lost.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut VecDeque<Message>,
    ) -> Poll<Result<(), Ended>> {
        let mut sink = Pin::new(&mut self.0);
        while !queue.is_empty() {
            if ready!(sink.as_mut().poll_ready(cx)).is_err() {
                return Poll::Ready(Err(Ended::Gone));
            }
            let sent = queue
                .pop_front()
                .map_or(Ok(()), |message| sink.as_mut().start_send(message));
            if sent.is_err() {
                return Poll::Ready(Err(Ended::Gone));
            }
        }
        sink.poll_flush(cx).map_err(|_| Ended::Gone)
    }

    /// The next frame.
    pub(crate) async fn read(&mut self) -> Result<Frame, Ended> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Writes one message, to the kernel.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Ended> {
        let mut queue = VecDeque::from([message]);
        poll_fn(|cx| self.poll_write(cx, &mut queue)).await
    }

    /// Says why, gives the peer the time to say his own goodbye, and hangs up.
    pub(crate) async fn close(mut self, goodbye: Goodbye) {
        let reason = Utf8Bytes::from_static(goodbye.reason);
        let close = Message::Close(Some(CloseFrame {
            code: goodbye.code,
            reason,
        }));
        let parting = async {
            self.0.send(close).await?;
            while self.0.next().await.transpose()?.is_some() {}
            Ok::<_, Error>(())
        };
        if matches!(timeout(CLOSE_LIMIT, parting).await, Ok(Ok(()))) {
            self.hang_up().await;
        }
    }

    /// Hangs up after everything was said, so that the peer gets to read it.
    pub(crate) async fn hang_up(self) {
        hang_up(self.0.into_inner()).await;
    }

    /// After an end: whatever is left to be said or waited for.
    pub(crate) async fn finish(self, ended: Ended) {
        match ended {
            Ended::Parted => self.hang_up().await,
            Ended::Gone => {}
            Ended::Fault(goodbye) => self.close(goodbye).await,
        }
    }
}

/// Ends our half, and reads until the peer ends his.
pub(crate) async fn hang_up(mut tcp: TcpStream) {
    let parting = async {
        tcp.shutdown().await?;
        let (mut scrap, mut left) = ([0; 4096], LINGER_BYTES);
        while left > 0 {
            match tcp.read(&mut scrap).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(LINGER_LIMIT, parting).await;
}

fn fault(error: &Error) -> Ended {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => Ended::Fault(Goodbye::new(CloseCode::Size, "frame too large")),
        Error::Utf8(_) => Ended::Fault(Goodbye::new(CloseCode::Invalid, "text is not UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ended::Gone,
        Error::Protocol(_) => Ended::Fault(Goodbye::new(CloseCode::Protocol, "protocol error")),
        _ => Ended::Gone,
    }
}
