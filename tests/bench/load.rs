//! Load over plain keep-alive connections: an HTTP client would cost more than what is measured. Bounded in time; every answer
//! must be a success.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figures::Series;

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the bytes of a request, from the number of the connection and of the request on it.
pub(crate) type Make = Arc<dyn Fn(usize, usize) -> Vec<u8> + Send + Sync>;

/// What a round of load brought.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) waits: Series,
    pub(crate) took: Duration,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

/// The bytes of a POST with a JSON body; `headers` are whole lines.
pub(crate) fn post(host: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let length = body.as_ref().len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_ref()].concat()
}

/// The bytes of a GET; `headers` are whole lines.
pub(crate) fn get(host: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").into_bytes()
}

/// Each connection sends, waits for the answer, and sends the next one, until the time is up.
pub(crate) async fn closed(host: &str, connections: usize, within: Duration, make: &Make) -> Result<Load> {
    let begun = Instant::now();
    let until = begun + within;
    let running: Vec<_> = (0..connections)
        .map(|connection| {
            let (host, make) = (host.to_owned(), Arc::clone(make));
            tokio::spawn(async move {
                let mut line = Connection::open(&host).await?;
                let (mut waits, mut nth) = (Vec::new(), 0);
                while Instant::now() < until {
                    let request = make(connection, nth);
                    let sent = Instant::now();
                    line.ask(&request).await?;
                    waits.push(sent.elapsed());
                    nth += 1;
                }
                anyhow::Ok(waits)
            })
        })
        .collect();
    gather(running, begun).await
}

/// So many requests a second, whether the answers keep up or not: who waits for a free connection waits for his answer.
pub(crate) async fn paced(
    host: &str,
    connections: usize,
    per_second: f64,
    within: Duration,
    make: &Make,
) -> Result<Load> {
    let begun = Instant::now();
    let last = (per_second * within.as_secs_f64()) as usize;
    let next = Arc::new(AtomicUsize::new(0));
    let running: Vec<_> = (0..connections)
        .map(|connection| {
            let (host, make, next) = (host.to_owned(), Arc::clone(make), Arc::clone(&next));
            tokio::spawn(async move {
                let mut line = Connection::open(&host).await?;
                let (mut waits, mut nth) = (Vec::new(), 0);
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= last {
                        return anyhow::Ok(waits);
                    }
                    let request = make(connection, nth);
                    let due = begun + Duration::from_secs_f64(turn as f64 / per_second);
                    let now = Instant::now();
                    // A timer that comes late is ours; an answer that comes late is theirs.
                    let sent = if now < due {
                        tokio::time::sleep_until(due.into()).await;
                        Instant::now()
                    } else {
                        due
                    };
                    line.ask(&request).await?;
                    waits.push(sent.elapsed());
                    nth += 1;
                }
            })
        })
        .collect();
    gather(running, begun).await
}

type Running = tokio::task::JoinHandle<Result<Vec<Duration>>>;

async fn gather(running: Vec<Running>, begun: Instant) -> Result<Load> {
    let mut load = Load::default();
    for connection in running {
        for wait in connection.await?? {
            load.waits.push(wait);
        }
    }
    load.took = begun.elapsed();
    Ok(load)
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)
            .await
            .with_context(|| format!("{host} does not listen"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads its answer, which must be a success; gives the body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<&str> {
        self.stream.write_all(request).await?;
        let read = tokio::time::timeout(PATIENCE, self.read());
        let body = read.await.context("no answer in time")??;
        Ok(std::str::from_utf8(&self.answer[body..])?)
    }

    /// Reads one answer; gives where its body begins.
    async fn read(&mut self) -> Result<usize> {
        self.answer.clear();
        let body = loop {
            self.more().await?;
            if let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..body])?;
        let refused = !head.starts_with("HTTP/1.1 2");
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>())
            });
        let length = length.with_context(|| format!("an answer without a length: {head}"))??;
        while self.answer.len() < body + length {
            self.more().await?;
        }
        ensure!(!refused, "{}", String::from_utf8_lossy(&self.answer));
        Ok(body)
    }

    async fn more(&mut self) -> Result<()> {
        ensure!(self.answer.len() < MAX_ANSWER_BYTES, "the answer is too long");
        let count = self.stream.read_buf(&mut self.answer).await?;
        ensure!(count > 0, "the connection was closed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request with these bytes, in pieces.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                        for piece in answer.as_bytes().chunks(7) {
                            stream.write_all(piece).await?;
                        }
                    }
                    anyhow::Ok(())
                });
            }
        });
        host
    }

    fn asks(host: &str) -> Make {
        let request = get(host, "/", "");
        Arc::new(move |_, _| request.clone())
    }

    #[tokio::test]
    async fn load_counts_answers_and_keeps_its_pace() {
        let host = server("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nthere").await;
        let load = closed(&host, 4, Duration::from_millis(50), &asks(&host))
            .await
            .expect("it is answered");
        assert!(load.waits.len() >= 4);
        let load = paced(&host, 4, 200.0, Duration::from_millis(100), &asks(&host))
            .await
            .expect("it is answered");
        assert_eq!(load.waits.len(), 20);
        assert!(load.took >= Duration::from_millis(90), "{:?}", load.took);
    }

    #[tokio::test]
    async fn a_refusal_ends_the_load_with_its_words() {
        let host = server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy").await;
        let ended = closed(&host, 1, Duration::from_millis(50), &asks(&host)).await;
        let words = ended.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(words.contains("503") && words.contains("busy"), "{words}");
    }
}
