//! From which web sites a visitor may connect.

use switchhook_chassis::config::{CommonSettings, Origins};
use url::{Origin, Url};

/// Where the service's own pages stand.
#[derive(Debug, Clone)]
pub(crate) struct OwnPages {
    public: Option<Origin>,
    http_port: u16,
}

impl OwnPages {
    pub(crate) fn new(settings: &CommonSettings, http_port: u16) -> Self {
        Self {
            public: settings.public_url.as_ref().map(Url::origin),
            http_port,
        }
    }

    /// The pages are where `PUBLIC_URL` says; else on the host that was asked for, at the port of the HTTP listener or, behind
    /// a proxy, at the same one.
    fn are_at(&self, origin: &Url, host: Option<&str>) -> bool {
        if let Some(public) = &self.public {
            return origin.origin() == *public;
        }
        let Some(asked) = host.and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok())
        else {
            return false;
        };
        let port = origin.port_or_known_default();
        origin.host() == asked.host()
            && (port == Some(self.http_port) || port == asked.port_or_known_default())
    }
}

/// Whether a connection with this `Origin` may stay. A browser always sends one; who sends none is no browser.
pub(crate) fn allows(origins: &Origins, own: &OwnPages, origin: Option<&str>, host: Option<&str>) -> bool {
    let Some(text) = origin else { return true };
    let origin = match Url::parse(text) {
        Ok(url) if url.origin().is_tuple() => url,
        // `null`: a file, a sandboxed frame.
        _ => return false,
    };
    let listed = match origins {
        Origins::Any => true,
        Origins::These(list) => list.contains(&origin.origin().ascii_serialization()),
    };
    listed || own.are_at(&origin, host)
}

#[cfg(test)]
mod tests {
    use switchhook_chassis::config::SettingValue;

    use super::*;

    fn own(public: Option<&str>) -> OwnPages {
        let public = public.map(|url| Url::parse(url).unwrap().origin());
        OwnPages {
            public,
            http_port: 3001,
        }
    }

    #[test]
    fn listed_origins_and_whoever_is_no_browser_may_connect() {
        let listed = Origins::parse("https://a.example, http://b.example:81").unwrap();
        for (origin, expected) in [
            (None, true),
            (Some("https://a.example"), true),
            (Some("https://A.example:443"), true),
            (Some("http://b.example:81"), true),
            (Some("http://a.example"), false),
            (Some("https://a.example.evil"), false),
            (Some("https://c.example"), false),
            (Some("null"), false),
            (Some("nonsense"), false),
            (Some("file:///x"), false),
        ] {
            assert_eq!(allows(&listed, &own(None), origin, None), expected, "{origin:?}");
        }
        assert!(allows(&Origins::Any, &own(None), Some("https://c.example"), None));
        assert!(!allows(&Origins::Any, &own(None), Some("null"), None));
    }

    #[test]
    fn the_own_pages_may_always_connect() {
        let none = Origins::These(Vec::new());
        for (public, origin, host, expected) in [
            (None, "http://localhost:3001", Some("localhost:8080"), true),
            (None, "http://127.0.0.1:3001", Some("127.0.0.1:8080"), true),
            (None, "https://chat.example", Some("chat.example"), true),
            (None, "http://localhost:3001", Some("127.0.0.1:8080"), false),
            (None, "http://localhost:9999", Some("localhost:8080"), false),
            (None, "https://evil.example", Some("chat.example"), false),
            (None, "http://localhost:3001", None, false),
            (
                Some("https://chat.example"),
                "https://chat.example",
                Some("ws.example"),
                true,
            ),
            (
                Some("https://chat.example"),
                "http://localhost:3001",
                Some("localhost:8080"),
                false,
            ),
        ] {
            assert_eq!(
                allows(&none, &own(public), Some(origin), host),
                expected,
                "{origin} {host:?}"
            );
        }
    }
}
