//! The carrier's words, where an agent's error repeats them: a SIP status and its reason, as LiveKit writes them.

use std::fmt;

/// Longest reason that is taken over, in characters.
const MAX_REASON_CHARS: usize = 200;
/// A final status of SIP that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SipStatus {
    /// 300..=699.
    pub(crate) code: u16,
    /// The carrier's words; may be empty.
    pub(crate) reason: String,
}

impl fmt::Display for SipStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}

/// The SIP status in an error: `… sip status: 486: Busy here`, `… {'sip_status_code': '486', 'sip_status': 'Busy here'}`, or
/// an error that begins with it, `486 Busy here`.
pub(crate) fn sip_status(text: &str) -> Option<SipStatus> {
    metadata(text).or_else(|| named(text)).or_else(|| leading(text))
}

fn metadata(text: &str) -> Option<SipStatus> {
    let code = value_of(text, "sip_status_code")?
        .parse()
        .ok()
        .filter(is_failure)?;
    let reason = value_of(text, "sip_status").unwrap_or_default();
    Some(SipStatus {
        code,
        reason: bounded(reason),
    })
}

/// The value that stands behind a name, with whatever quotes and separators between.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_name = |(at, _): &(usize, &str)| {
        let next = text[at + name.len()..].chars().next();
        next.is_some_and(|next| !next.is_ascii_alphanumeric() && next != '_')
    };
    let (at, _) = text.match_indices(name).find(is_name)?;
    let value = text[at + name.len()..].trim_start_matches([' ', '\'', '"', ':', '=', '\\']);
    let end = value
        .find(['\'', '"', ',', '}', ')', '\\', '\n'])
        .unwrap_or(value.len());
    Some(value[..end].trim())
}

fn named(text: &str) -> Option<SipStatus> {
    const NAME: &str = "sip status";
    let at = text.to_ascii_lowercase().find(NAME)?;
    leading(text[at + NAME.len()..].trim_start_matches([' ', ':', '=']))
}

/// Three digits and the words behind them.
fn leading(text: &str) -> Option<SipStatus> {
    let text = text.trim_start();
    let digits = text.get(..3)?;
    let rest = text.get(3..)?;
    if rest.starts_with(|next: char| !matches!(next, ' ' | ':' | ',' | ')')) {
        return None;
    }
    let code = digits.parse().ok().filter(is_failure)?;
    let rest = rest.trim_start_matches([' ', ':']);
    let end = rest.find([',', ';', '}', ')', '"', '\n']).unwrap_or(rest.len());
    Some(SipStatus {
        code,
        reason: bounded(rest[..end].trim()),
    })
}

fn is_failure(code: &u16) -> bool {
    (300..=699).contains(code)
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_is_found_wherever_livekit_writes_it() {
        for (text, shown) in [
            ("403 Forbidden auth ID", "403 Forbidden auth ID"),
            (
                "twirp error unknown: INVITE failed: sip status: 486: Busy here",
                "486 Busy here",
            ),
            ("INVITE failed: SIP status: 503", "503"),
            (
                "TwirpError(code=resource_exhausted, message=busy, status=429, metadata={'sip_status_code': '486', \
                 'sip_status': 'Busy Here'})",
                "486 Busy Here",
            ),
            (
                r#"{"sip_status":"Decline","sip_status_code":"603"}"#,
                "603 Decline",
            ),
        ] {
            assert_eq!(
                sip_status(text).map(|status| status.to_string()).as_deref(),
                Some(shown),
                "{text}"
            );
        }
    }

    #[test]
    fn other_numbers_are_no_status() {
        for text in [
            "",
            "200 OK",
            "tool failed after 404 tries",
            "4031 things",
            "sip status: ",
            "99",
            "é12 x",
        ] {
            assert_eq!(sip_status(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}", at in 0_usize..3) {
            let prefix = ["", "sip status: ", "sip_status_code"][at];
            let _ = sip_status(&format!("{prefix}{text}"));
        }
    }
}
