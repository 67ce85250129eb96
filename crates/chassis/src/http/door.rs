//! The end of the listener: whoever has come in is served, nobody else comes in.
//!
//! A server that stops drops what has been accepted and has not said anything yet, and the kernel breaks off what waits to be
//! accepted: clients see a broken connection and cannot know whether their request was done. So the door is closed
//! first. The kernel ignores who knocks from then on; he knocks again after a second, when there is no listener any more,
//! and is refused, which is safe to try again. Who is in has the time to say what he wants, and every answer closes its connection.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

/// How long whoever has come in just now may take until his request is there: a round trip to anywhere.
const FIRST_WORDS: Duration = Duration::from_millis(400);

/// A listener's door, beside the server that accepts.
pub(crate) struct Door(TcpListener);

impl Door {
    /// The door of this listener.
    pub(crate) fn of(listener: &TcpListener) -> io::Result<Self> {
        listener.try_clone().map(Self)
    }

    /// Closes it, and waits for the requests of those who are in. The listener itself ends with its server.
    pub(crate) async fn close(self) {
        if let Err(error) = ignore_newcomers(&self.0) {
            tracing::debug!(%error, "the door cannot be closed before the listener ends");
            return;
        }
        tokio::time::sleep(FIRST_WORDS).await;
    }
}

/// Lets a segment pass unless it begins a connection (SYN without ACK). What the filter sees begins with the header of TCP.
#[cfg(target_os = "linux")]
fn ignore_newcomers(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    SockRef::from(listener).attach_filter(&[
        // The flags,
        SockFilter::new(0x30, 0, 0, 13),
        // of them SYN and ACK,
        SockFilter::new(0x54, 0, 0, 0x12),
        // and whether SYN stands alone:
        SockFilter::new(0x15, 0, 1, 0x02),
        // ignored,
        SockFilter::new(0x06, 0, 0, 0),
        // or taken whole.
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ])
}

/// Where it runs in production, there is a way; a developer's machine may have none.
#[cfg(not(target_os = "linux"))]
fn ignore_newcomers(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
