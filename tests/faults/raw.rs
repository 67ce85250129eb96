//! A client that sends whatever bytes it likes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most bytes that are read of an answer.
const MAX_BYTES: usize = 1 << 20;

/// What came back.
#[derive(Debug)]
pub(crate) struct Came {
    /// The bytes, as text.
    pub(crate) text: String,
    /// Whether the other side closed the connection in time.
    pub(crate) closed: bool,
    /// Until it was closed, or the time was up.
    pub(crate) took: Duration,
}

impl Came {
    /// The statuses of the answers, in their order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let heads = self.text.split("HTTP/1.1 ").skip(1);
        heads.filter_map(|head| head.get(..3)?.parse().ok()).collect()
    }
}

/// `host:port` of a URL.
pub(crate) fn host(url: &str) -> String {
    let rest = url.split("://").nth(1).unwrap_or(url);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

/// Reads until the other side closes, or nothing more comes within the time.
pub(crate) async fn read(stream: &mut TcpStream, within: Duration) -> Came {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let mut closed = false;
    let reading = async {
        let mut chunk = vec![0; 16 * 1024];
        while bytes.len() < MAX_BYTES {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => {
                    closed = true;
                    break;
                }
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            }
        }
    };
    let _ = tokio::time::timeout(within, reading).await;
    Came {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        closed,
        took: begun.elapsed(),
    }
}

/// Sends these bytes over a connection of their own and reads what comes back.
pub(crate) async fn exchange(host: &str, bytes: &[u8], within: Duration) -> Came {
    let mut stream = TcpStream::connect(host).await.unwrap();
    // It may be closed before everything is written, which the answer then tells.
    let _ = tokio::time::timeout(within, stream.write_all(bytes)).await;
    read(&mut stream, within).await
}
