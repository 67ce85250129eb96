//! Where siblings reach this process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use url::Url;

/// Addresses of no machine. Nothing is sent there: the kernel only says from which address it would be.
const FAR_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FAR_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const ANY_PORT: u16 = 9;

/// As configured, else where it listens; where that is everywhere, the address from which this machine speaks to others: a
/// pod's name is known to nobody else.
pub(super) fn advertised(configured: Option<Url>, listens: SocketAddr) -> Option<Url> {
    configured.or_else(|| {
        let address = if listens.ip().is_unspecified() {
            outward(listens.is_ipv6())
        } else {
            listens.ip()
        };
        Url::parse(&format!("http://{}", SocketAddr::new(address, listens.port()))).ok()
    })
}

/// The address at which this machine is reached by others; loopback where there is no other.
fn outward(takes_v6: bool) -> IpAddr {
    let far = if takes_v6 {
        &[FAR_V6, FAR_V4][..]
    } else {
        &[FAR_V4]
    };
    far.iter()
        .find_map(|far| sender(*far))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// From which address something to `far` would be sent.
fn sender(far: IpAddr) -> Option<IpAddr> {
    let any = match far {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(far, ANY_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn of(configured: Option<&str>, listens: &str) -> Url {
        let configured = configured.map(|url| Url::parse(url).unwrap());
        advertised(configured, listens.parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_configured_counts() {
        let url = of(Some("http://10.0.0.12:4000/"), "127.0.0.1:3000");
        assert_eq!(url.as_str(), "http://10.0.0.12:4000/");
    }

    #[test]
    fn who_listens_at_one_address_is_reached_there() {
        assert_eq!(of(None, "127.0.0.1:3000").as_str(), "http://127.0.0.1:3000/");
        assert_eq!(of(None, "[::1]:3000").as_str(), "http://[::1]:3000/");
    }

    #[test]
    fn who_listens_everywhere_is_reached_at_an_address_of_this_machine() {
        for everywhere in ["0.0.0.0:0", "[::]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(everywhere) else {
                continue;
            };
            let url = of(None, &listener.local_addr().unwrap().to_string());
            let named = matches!(url.host(), Some(url::Host::Domain(_)));
            assert!(!named, "{url} is a name");
            let addresses = url.socket_addrs(|| None).unwrap();
            assert!(!addresses[0].ip().is_unspecified(), "{url}");
            TcpStream::connect(&addresses[..]).unwrap();
        }
    }
}
