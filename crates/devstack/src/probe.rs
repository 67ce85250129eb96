//! Asks a service whether it is ready. One plain request, so that nothing but the service can fail.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIME: Duration = Duration::from_secs(3);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Whether `GET <url>/readyz` says 200.
///
/// # Errors
/// Why not: no connection, or what the service said.
pub async fn ready(url: &str) -> Result<()> {
    let text = tokio::time::timeout(TIME, get(url, "/readyz"))
        .await
        .context("no answer in time")??;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        status => bail!("/readyz says {}: {}", status.unwrap_or("nothing"), body.trim()),
    }
}

async fn get(url: &str, path: &str) -> Result<String> {
    let host = url
        .strip_prefix("http://")
        .context("only http can be asked")?
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await.context("no connection")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
