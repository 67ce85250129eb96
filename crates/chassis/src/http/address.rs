//! Who is at the other end, and under which address the other end knows us: what proxies say is believed only from
//! those in `TRUSTED_PROXIES`.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::dev::{Payload, RequestHead};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use ipnet::IpNet;

use super::Failure;
use crate::config::{Cidrs, CommonSettings};

/// The client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    pub(crate) fn of(head: &RequestHead, trusted: &Cidrs) -> Self {
        let peer = head
            .peer_addr
            .map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        let forwarded = head.headers.get_all(header::X_FORWARDED_FOR);
        Self::behind(peer, forwarded.filter_map(|value| value.to_str().ok()), trusted)
    }

    /// The last address that no trusted proxy has: the peer, or what trusted proxies wrote into `X-Forwarded-For`, whose
    /// values come in their order.
    pub fn behind<'a>(peer: IpAddr, forwarded: impl IntoIterator<Item = &'a str>, trusted: &Cidrs) -> Self {
        let values = forwarded.into_iter();
        let entries: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        let mut client = canonical(peer);
        for entry in entries.iter().rev() {
            if !trusted.contains(client) {
                break;
            }
            match parse(entry.trim()) {
                Some(address) => client = address,
                // Whoever wrote that is the last one who is known.
                None => break,
            }
        }
        Self(client)
    }

    /// The network that counts as one visitor: the address, or the /64 of an IPv6 address.
    pub fn visitor(self) -> IpNet {
        let bits = if self.0.is_ipv4() { 32 } else { 64 };
        IpNet::new(self.0, bits).map_or_else(|_| IpNet::from(self.0), |net| net.trunc())
    }
}

impl FromRequest for ClientAddress {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().copied();
        ready(Ok(
            known.unwrap_or_else(|| Self::of(request.head(), &Cidrs::default()))
        ))
    }
}

fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_matches(|c| c == '[' || c == ']');
    let address = bare
        .parse()
        .ok()
        .or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(canonical)
}

/// `::ffff:10.0.0.1` is `10.0.0.1`.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The URL under which the caller reaches the service, without a slash at its end: `PUBLIC_URL`, else the request's `Host`.
pub fn base_url(head: &RequestHead, settings: &CommonSettings) -> String {
    if let Some(public) = &settings.public_url {
        return public.as_str().trim_end_matches('/').to_owned();
    }
    let scheme = if is_secure(head, settings) {
        "https"
    } else {
        "http"
    };
    let host = host(&head.headers);
    let host = host.map_or_else(
        || format!("localhost:{}", settings.bind_addr.0.port()),
        str::to_owned,
    );
    format!("{scheme}://{host}")
}

/// Whether the caller came by https.
pub(crate) fn is_secure(head: &RequestHead, settings: &CommonSettings) -> bool {
    if let Some(public) = &settings.public_url {
        return public.scheme() == "https";
    }
    let from_proxy = head
        .peer_addr
        .is_some_and(|peer| settings.trusted_proxies.contains(canonical(peer.ip())));
    let forwarded = head
        .headers
        .get(header::X_FORWARDED_PROTO)
        .and_then(|value| value.to_str().ok());
    from_proxy && forwarded.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

/// The request's `Host`, where it is one.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let sane = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(sane)).then_some(host)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::config::SettingValue;

    fn client(peer: &str, forwarded: &[&str], trusted: &str) -> String {
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for value in forwarded {
            request = request.append_header((header::X_FORWARDED_FOR, *value));
        }
        let trusted = Cidrs::parse(trusted).unwrap();
        ClientAddress::of(request.to_http_request().head(), &trusted)
            .0
            .to_string()
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        assert_eq!(
            client("203.0.113.7:1", &["198.51.100.1"], "10.0.0.0/8"),
            "203.0.113.7"
        );
        assert_eq!(
            client("10.0.0.1:1", &["198.51.100.1"], "10.0.0.0/8"),
            "198.51.100.1"
        );
        assert_eq!(client("10.0.0.1:1", &["198.51.100.1"], ""), "10.0.0.1");
        assert_eq!(
            client("[::ffff:10.0.0.1]:1", &["198.51.100.1"], "10.0.0.0/8"),
            "198.51.100.1"
        );
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        assert_eq!(
            client("10.0.0.1:1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"], "10.0.0.0/8"),
            "198.51.100.1"
        );
        assert_eq!(
            client("10.0.0.1:1", &["1.1.1.1", "198.51.100.1"], "10.0.0.0/8"),
            "198.51.100.1"
        );
        assert_eq!(
            client("10.0.0.1:1", &["198.51.100.1, rubbish"], "10.0.0.0/8"),
            "10.0.0.1"
        );
        assert_eq!(client("10.0.0.1:1", &[""], "10.0.0.0/8"), "10.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_no_part_of_an_address() {
        assert_eq!(
            client("10.0.0.1:1", &["[2001:db8::1]:443"], "10.0.0.0/8"),
            "2001:db8::1"
        );
        assert_eq!(
            client("10.0.0.1:1", &["198.51.100.1:5000"], "10.0.0.0/8"),
            "198.51.100.1"
        );
    }

    #[test]
    fn one_visitor_has_a_64() {
        let one = ClientAddress("2001:db8:1:2:aaaa::1".parse().unwrap()).visitor();
        assert_eq!(
            one,
            ClientAddress("2001:db8:1:2:bbbb::9".parse().unwrap()).visitor()
        );
        assert_ne!(one, ClientAddress("2001:db8:1:3::1".parse().unwrap()).visitor());
        assert_eq!(
            ClientAddress("10.0.0.1".parse().unwrap()).visitor().to_string(),
            "10.0.0.1/32"
        );
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for (host_header, expected) in [
            ("a.example:3000", Some("a.example:3000")),
            ("[::1]:3000", Some("[::1]:3000")),
            ("a\"b", None),
            ("", None),
        ] {
            let request = TestRequest::default()
                .insert_header((header::HOST, host_header))
                .to_http_request();
            assert_eq!(host(request.headers()), expected, "{host_header}");
        }
    }
}
