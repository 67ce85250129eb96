//! The types a setting may have, each with the words for what it expects.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

/// A value that can be typed into an environment variable.
pub trait SettingValue: Sized {
    /// Reads it; the error completes the sentence `<VARIABLE> …`.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value of an absent setting, where that is possible.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl SettingValue for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl SettingValue for SecretString {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned().into())
    }
}

impl SettingValue for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }
}

impl SettingValue for chrono_tz::Tz {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("names no IANA time zone: {text:?}"))
    }
}

impl SettingValue for Url {
    fn parse(text: &str) -> Result<Self, String> {
        let url = Self::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        match url.scheme() {
            "http" | "https" if url.host().is_some() => Ok(url),
            _ => Err("must be an http or https URL".into()),
        }
    }
}

/// A URL that may be absent.
pub type OptionalUrl = Option<Url>;

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> SettingValue for Bounded<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|n| (MIN..=MAX).contains(n));
        number
            .map(Self)
            .ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
    }
}

/// A duration: `30s`, `5m`, `24h`, or seconds without a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl SettingValue for Span {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => humantime::parse_duration(text).ok(),
        };
        // Ten years: what is longer is a typing error, and would overflow a deadline.
        let bounded = parsed.filter(|span| *span <= Duration::from_secs(10 * 366 * 86_400));
        bounded
            .map(Self)
            .ok_or_else(|| "must be a duration such as 30s, 5m or 24h".into())
    }
}

/// Address and port of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddr(pub SocketAddr);

impl SettingValue for ListenAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| "must be an IP address and a port".into())
    }
}

/// Networks, comma-separated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cidrs(pub Vec<IpNet>);

impl Cidrs {
    /// Whether one of them holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
}

impl SettingValue for Cidrs {
    fn parse(text: &str) -> Result<Self, String> {
        let one = |entry: &str| {
            let net = entry
                .parse::<IpNet>()
                .ok()
                .or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
            net.ok_or_else(|| format!("has an entry that is no network: {entry:?}"))
        };
        list(text).map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Web origins, comma-separated, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// `*`.
    Any,
    /// These, as browsers send them: scheme, host and port, without a path.
    These(Vec<String>),
}

impl SettingValue for Origins {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let one = |entry: &str| match Url::parse(entry) {
            Ok(url) if url.origin().is_tuple() => Ok(url.origin().ascii_serialization()),
            _ => Err(format!("has an entry that is no origin: {entry:?}")),
        };
        list(text).map(one).collect::<Result<_, _>>().map(Self::These)
    }
}

/// Where an entry of the pages' menu leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageLink {
    /// To the service's prefix on the same host.
    SameHost,
    /// To this address.
    Elsewhere(Url),
    /// The entry is hidden.
    Off,
}

impl SettingValue for PageLink {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::SameHost),
            "off" => Ok(Self::Off),
            url => <Url as SettingValue>::parse(url)
                .map(Self::Elsewhere)
                .map_err(|why| format!("{why}, or off")),
        }
    }
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toggle {
    /// On.
    On,
    /// Off.
    Off,
}

impl SettingValue for Toggle {
    fn parse(text: &str) -> Result<Self, String> {
        <bool as SettingValue>::parse(text)
            .map(|on| if on { Self::On } else { Self::Off })
            .map_err(|_| "must be on or off".into())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl SettingValue for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err("must be json or pretty".into()),
        }
    }
}

impl fmt::Display for PageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameHost => Ok(()),
            Self::Elsewhere(url) => url.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(Span::parse("90").unwrap().0, Duration::from_secs(90));
        assert_eq!(Span::parse("24h").unwrap().0, Duration::from_secs(86_400));
        for wrong in ["", "x", "-1", "5 parsecs", "99999999999999"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_may_be_single_addresses() {
        let nets = Cidrs::parse("10.0.0.0/8, 192.168.1.1 ,fd00::/8").unwrap();
        assert!(nets.contains("10.1.2.3".parse().unwrap()));
        assert!(nets.contains("192.168.1.1".parse().unwrap()));
        assert!(!nets.contains("192.168.1.2".parse().unwrap()));
        assert!(Cidrs::parse("10.0.0.0/33").is_err());
    }

    #[test]
    fn origins_lose_their_path() {
        assert_eq!(
            Origins::parse("https://a.example/x, http://b.example:8080").unwrap(),
            Origins::These(vec!["https://a.example".into(), "http://b.example:8080".into()])
        );
        assert!(Origins::parse("a.example").is_err());
        assert_eq!(Origins::parse("*").unwrap(), Origins::Any);
    }

    #[test]
    fn urls_are_web_addresses() {
        assert!(<Url as SettingValue>::parse("ftp://x").is_err());
        assert!(<Url as SettingValue>::parse("https://").is_err());
        assert!(<Url as SettingValue>::parse("http://n8n:5678/webhook/x").is_ok());
    }
}
