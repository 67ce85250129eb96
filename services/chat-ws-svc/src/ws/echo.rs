//! Echo: what a conformance suite talks to. The same handshake and the same sockets as visitors', without a chat.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::accept::accept;
use super::socket::{Ended, Frame};

/// Largest message that is sent back, in bytes.
const FRAME_BYTES: usize = 4 * 1024 * 1024;
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Sends back whatever comes, for ever.
pub async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => drop(tokio::spawn(async move {
                let Some((shaken, _)) = accept(tcp, FRAME_BYTES).await else {
                    return;
                };
                let mut socket = shaken.socket().await;
                let ended = loop {
                    let frame = match socket.read().await {
                        Ok(frame) => frame,
                        Err(ended) => break ended,
                    };
                    let sent = match frame {
                        Frame::Text(text) => socket.send(Message::Text(text)).await,
                        Frame::Binary(bytes) => socket.send(Message::Binary(bytes)).await,
                        Frame::Sign => Ok(()),
                    };
                    if sent.is_err() {
                        break Ended::Gone;
                    }
                };
                socket.finish(ended).await;
            })),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
