//! Peers that vanish without a word: the kernel asks whoever is silent, and gives up whoever does not answer.
//!
//! A stream to a reader who is gone would otherwise last until TCP has tried again for a quarter of an hour.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence after which a peer is asked whether he is there; no more than a stream is silent ([`super::sse::HEARTBEAT`]).
const ASKED_AFTER: Duration = Duration::from_secs(15);
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// A peer who acknowledges nothing for this long, or takes nothing of what is there for him, is gone.
#[cfg(target_os = "linux")]
const GONE_AFTER: Duration = Duration::from_secs(45);

/// Says so for every connection that the listener will accept: they inherit it.
pub(crate) fn notice_who_is_gone(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    let asking = TcpKeepalive::new()
        .with_time(ASKED_AFTER)
        .with_interval(ASKED_EVERY);
    socket.set_tcp_keepalive(&asking)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(GONE_AFTER))?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn whoever_is_accepted_is_watched() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        notice_who_is_gone(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GONE_AFTER));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), ASKED_AFTER);
        assert!(socket.keepalive().unwrap());
    }
}
