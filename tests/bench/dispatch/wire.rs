//! A connection that posts again and again, as cheaply as a load program has to: it shares the machine with what it measures.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Largest head or body of an answer.
const MAX_BYTES: usize = 64 * 1024;

/// An HTTP/1.1 connection that is kept.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// Up to the length of the body.
    head: String,
}

impl Connection {
    /// Opens one to a URL without a query.
    pub(super) async fn open(url: &str, secret: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("a plain URL")?;
        let (host, path) = rest.split_once('/').context("a URL with a path")?;
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\nx-n8n-webhook-secret: {secret}\r\ncontent-type: application/json\r\n\
            content-length: "
        );
        Ok(Self {
            stream: BufReader::new(stream),
            head,
        })
    }

    /// Posts JSON; gives the body of a 200.
    pub(super) async fn post(&mut self, body: &str) -> Result<Vec<u8>> {
        let request = format!("{}{}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes()).await?;
        let status = self.line().await?;
        let mut length = None;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let length = length.context("an answer with its length")?;
        ensure!(length <= MAX_BYTES, "an answer of {length} bytes");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        if status.split(' ').nth(1) != Some("200") {
            bail!("{status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = (&mut self.stream)
            .take(MAX_BYTES as u64)
            .read_line(&mut line)
            .await?;
        ensure!(read > 0, "the connection was closed");
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
