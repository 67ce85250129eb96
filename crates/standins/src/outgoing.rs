//! Requests that a stand-in makes by itself: a new connection each time, headers in the order given, nothing added.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::{Position, Url};

use crate::log::{Arrival, Direction, Log};

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What came back.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Host and port, as the header `Host` wants them.
pub(crate) fn host(url: &Url) -> io::Result<String> {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL has no host")),
    }
}

/// Posts a body and writes it down; gives the status when there was one. The headers that every request has are added.
pub(crate) async fn post_and_note(
    log: &Log,
    url: &Url,
    own_headers: &[(&'static str, String)],
    body: Bytes,
    within: Duration,
) -> Option<u16> {
    let mut headers = vec![("host", host(url).unwrap_or_default())];
    headers.extend_from_slice(own_headers);
    headers.push(("content-length", body.len().to_string()));
    headers.push(("connection", "close".to_owned()));
    let seq = log.arrived(Arrival {
        direction: Direction::Sent,
        method: "POST".to_owned(),
        path: url.path().to_owned(),
        query: url.query().unwrap_or_default().to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        text: String::from_utf8_lossy(&body).into_owned(),
    });
    let answer = post(url, &headers, body, within).await;
    let (status, text) = match &answer {
        Ok(answer) => (
            Some(answer.status.as_u16()),
            String::from_utf8_lossy(&answer.body).into_owned(),
        ),
        Err(error) => (None, error.to_string()),
    };
    log.answered(seq, status, text, None);
    status
}

/// Posts a body, and gives up when the whole exchange takes longer than this.
pub(crate) async fn post(
    url: &Url,
    headers: &[(&str, String)],
    body: Bytes,
    within: Duration,
) -> io::Result<Response> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&url[Position::BeforePath..Position::AfterQuery]);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::from(body)).map_err(io::Error::other)?;
    tokio::time::timeout(within, exchange(url, request)).await?
}

async fn exchange(url: &Url, request: Request<Full<Bytes>>) -> io::Result<Response> {
    let address = host(url)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let limited = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let body = limited.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response { status, body })
    };
    // The connection only moves while it is polled, and must not outlive the exchange.
    tokio::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        _ = &mut connection => answer.await,
    }
}
