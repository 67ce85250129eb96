//! The opening handshake: the request's head is read within bounds, what is no WebSocket gets an HTTP answer that says so,
//! and what is one is described by [`Asked`]. Who may connect is not decided here.

use std::net::IpAddr;
use std::time::Duration;

use switchhook_chassis::config::Cidrs;
use switchhook_chassis::http::address::ClientAddress;
use switchhook_core::problem::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response, write_response};
use tokio_tungstenite::tungstenite::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::socket::{Shaken, hang_up};

/// Longest that a handshake may take: whoever trickles costs a connection this long, no longer.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes: cookies of the site are part of it.
const HEAD_BYTES: usize = 16 * 1024;
/// Longest of what is taken over from the head, in bytes; longer values count as absent.
const VALUE_BYTES: usize = 2048;
/// The protocol that we speak.
const PROTOCOL: &str = "switchhook.v1";
/// What a token stands behind, among the protocols that are offered.
const RESUME: &str = "resume.";
const PATHS: [&str; 2] = ["/ws", "/"];
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What the head of the request says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) channel: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) page: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) forwarded: Vec<String>,
}

impl Asked {
    /// Who is at the other end: what proxies say is believed only from those that are trusted.
    pub(crate) fn client(&self, peer: IpAddr, trusted: &Cidrs) -> ClientAddress {
        ClientAddress::behind(peer, self.forwarded.iter().map(String::as_str), trusted)
    }
}

/// Reads the request and answers it. `None`: it was no WebSocket, and is dealt with.
pub(crate) async fn accept(mut tcp: TcpStream, frame_bytes: usize) -> Option<(Shaken, Asked)> {
    // Frames are small, and each is written at once.
    let _ = tcp.set_nodelay(true);
    let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, shake(&mut tcp)).await;
    match shaken {
        Ok(Ok((asked, early))) => {
            let shaken = Shaken {
                tcp,
                early,
                frame_bytes,
            };
            Some((shaken, asked))
        }
        Ok(Err(Refusal::Gone)) => None,
        Ok(Err(Refusal::Told(problem))) => {
            refuse(tcp, &problem).await;
            None
        }
        Err(_elapsed) => {
            refuse(
                tcp,
                &Problem::new(408, "request_timeout", "The request did not arrive in time"),
            )
            .await;
            None
        }
    }
}

/// Why it is no WebSocket.
enum Refusal {
    /// Nobody is there to be told.
    Gone,
    Told(Problem),
}

impl From<std::io::Error> for Refusal {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

async fn shake(tcp: &mut TcpStream) -> Result<(Asked, Vec<u8>), Refusal> {
    let mut bytes = Vec::with_capacity(1024);
    let end = loop {
        let searched = bytes.len().saturating_sub(END_OF_HEAD.len() - 1);
        if tcp.read_buf(&mut bytes).await? == 0 {
            return Err(Refusal::Gone);
        }
        let found = bytes[searched..]
            .windows(END_OF_HEAD.len())
            .position(|window| window == END_OF_HEAD);
        let end = found.map_or(bytes.len(), |found| searched + found + END_OF_HEAD.len());
        if end > HEAD_BYTES {
            return Err(Refusal::Told(Problem::new(
                431,
                "head_too_large",
                "The head of the request is too large",
            )));
        }
        if found.is_some() {
            break end;
        }
    };
    let early = bytes.split_off(end);
    let request = read(&bytes).map_err(|error| Refusal::Told(problem_of(&error)))?;
    if !PATHS.contains(&request.uri().path()) {
        return Err(Refusal::Told(Problem::not_found(
            "There is nothing at this address; chats are at /ws",
        )));
    }
    let mut response = create_response(&request).map_err(|error| Refusal::Told(problem_of(&error)))?;
    if protocols(request.headers()).any(|protocol| protocol == PROTOCOL) {
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let mut answer = Vec::new();
    write_response(&mut answer, &response).map_err(|_| Refusal::Gone)?;
    let asked = asked(&request);
    tcp.write_all(&answer).await?;
    Ok((asked, early))
}

fn read(head: &[u8]) -> Result<Request, Error> {
    let parsed = Request::try_parse(head)?;
    parsed
        .map(|(_, request)| request)
        .ok_or(Error::Protocol(ProtocolError::HandshakeIncomplete))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn asked(request: &Request) -> Asked {
    let named = |name: HeaderName| {
        let value = request.headers().get(name)?.to_str().ok()?;
        kept(value)
    };
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let asked_for = |name: &str| {
        let (_, value) = form_urlencoded::parse(query).find(|(key, _)| key == name)?;
        kept(&value)
    };
    let forwarded = request.headers().get_all("x-forwarded-for").into_iter();
    Asked {
        channel: asked_for("channel"),
        after: asked_for("after"),
        page: asked_for("page"),
        token: protocols(request.headers())
            .find_map(|protocol| protocol.strip_prefix(RESUME))
            .map(str::to_owned),
        host: named(header::HOST),
        origin: named(header::ORIGIN),
        user_agent: named(header::USER_AGENT),
        referer: named(header::REFERER),
        forwarded: forwarded
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect(),
    }
}

/// PostgreSQL cannot store U+0000.
fn kept(value: &str) -> Option<String> {
    (!value.is_empty() && value.len() <= VALUE_BYTES && !value.contains('\0')).then(|| value.to_owned())
}

fn problem_of(error: &Error) -> Problem {
    match error {
        Error::Protocol(ProtocolError::WrongHttpMethod) => Problem::method_not_allowed("GET"),
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        ) => Problem::new(
            426,
            "upgrade_required",
            "This address takes WebSocket connections of version 13 only",
        ),
        _ => Problem::new(400, "invalid_request", "The request is malformed"),
    }
}

async fn refuse(mut tcp: TcpStream, problem: &Problem) {
    let status = problem.status;
    let reason = tokio_tungstenite::tungstenite::http::StatusCode::from_u16(status).ok();
    let reason = reason
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let more = match status {
        405 => "Allow: GET\r\n",
        426 => "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let body = problem.to_json().to_string();
    let answer = format!(
        "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{more}\r\n{body}",
        body.len()
    );
    let told = tokio::time::timeout(HANDSHAKE_LIMIT, tcp.write_all(answer.as_bytes())).await;
    if matches!(told, Ok(Ok(()))) {
        hang_up(tcp).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Request {
        let head = format!("GET {lines}\r\n\r\n");
        read(head.as_bytes()).unwrap()
    }

    fn asked_by(lines: &str) -> Asked {
        asked(&request(lines))
    }

    #[test]
    fn everything_that_counts_is_read_from_the_head() {
        let asked = asked_by(
            "/ws?channel=acme&after=msg-1&page=https%3A%2F%2Fa.example%2Fx%3Fy%3D1 HTTP/1.1\r\nHost: chat.example\r\n\
             Origin: https://a.example\r\nUser-Agent: Mozilla\r\nReferer: https://a.example/r\r\n\
             Sec-WebSocket-Protocol: switchhook.v1, resume.abc\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2",
        );
        let text = |text: &str| Some(text.to_owned());
        let expected = Asked {
            channel: text("acme"),
            after: text("msg-1"),
            page: text("https://a.example/x?y=1"),
            token: text("abc"),
            host: text("chat.example"),
            origin: text("https://a.example"),
            user_agent: text("Mozilla"),
            referer: text("https://a.example/r"),
            forwarded: vec!["192.0.2.1".into(), "10.0.0.2".into()],
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn what_is_missing_empty_or_too_long_is_absent() {
        assert_eq!(asked_by("/ HTTP/1.1\r\nHost: "), Asked::default());
        let long = format!("/?page={} HTTP/1.1\r\nX: y", "a".repeat(VALUE_BYTES + 1));
        assert_eq!(asked_by(&long), Asked::default());
        assert_eq!(
            asked_by("/?channel=a%00b&channel=c HTTP/1.1\r\nX: y"),
            Asked::default()
        );
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        use switchhook_chassis::config::SettingValue;
        let trusted = Cidrs::parse("10.0.0.0/8").unwrap();
        for (peer, forwarded, expected) in [
            ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.9", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
            ("::ffff:10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ] {
            let asked = Asked {
                forwarded: vec![forwarded.to_owned()],
                ..Asked::default()
            };
            let client = asked.client(peer.parse().unwrap(), &trusted);
            assert_eq!(client.0.to_string(), expected, "{peer} {forwarded}");
        }
    }

    #[test]
    fn what_is_no_websocket_is_told_what_it_should_be() {
        let status = |head: &str| match read(head.as_bytes()).and_then(|request| create_response(&request)) {
            Ok(_) => 101,
            Err(error) => problem_of(&error).status,
        };
        let good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        for (head, expected) in [
            (format!("GET / HTTP/1.1\r\n{good}"), 101),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 426),
            (format!("GET / HTTP/1.1\r\n{}", good.replace("13", "8")), 426),
            (format!("POST / HTTP/1.1\r\n{good}"), 405),
            (format!("GET / HTTP/1.1\r\n{}", good.replace("AA==", "")), 400),
            ("\u{1}\r\n\r\n".to_owned(), 400),
        ] {
            assert_eq!(status(&head), expected, "{head}");
        }
    }
}
