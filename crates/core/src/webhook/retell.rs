//! The signature of Retell's webhooks: `x-retell-signature: v=<ms>,d=<hex>`.
//!
//! The digest is HMAC-SHA256 under the API key, over the raw bytes of the body and then the time in decimal milliseconds,
//! with nothing in between. Only the bytes that came count: JSON that was parsed and written again has another digest.
//! Several keys (a rotation, one per customer) are tried by calling [`Signature::verify`] once for each.

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header that carries the signature.
pub const HEADER: &str = "x-retell-signature";
/// How far the signature's time may be from ours, in milliseconds, in the past and in the future.
pub const TOLERANCE_MS: u64 = 5 * 60 * 1000;

const DIGEST_BYTES: usize = 32;

/// Why a request does not count as Retell's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The header's text is no signature.
    #[error("the signature is not of the form v=<milliseconds>,d=<64 hexadecimal digits>")]
    Malformed,
    /// Signed too long ago, or too far in the future.
    #[error("the signature's time is more than five minutes from ours")]
    Stale,
    /// Signed with another key, or over another body.
    #[error("the signature does not fit the body and the key")]
    Mismatch,
}

/// A signature as it stands in the header; nothing is proven by having one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    signed_at_ms: u64,
    digest: [u8; DIGEST_BYTES],
}

impl Signature {
    /// Reads the header's text; the case of its letters does not matter.
    ///
    /// # Errors
    /// [`Refused::Malformed`].
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let (time, digest) = text.split_once(',').ok_or(Refused::Malformed)?;
        let time = value_of(time, b'v').ok_or(Refused::Malformed)?;
        let digest = value_of(digest, b'd').ok_or(Refused::Malformed)?;
        // `parse` alone would take a leading plus.
        if !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Malformed);
        }
        Ok(Self {
            signed_at_ms: time.parse().map_err(|_| Refused::Malformed)?,
            digest: bytes_of_hex(digest).ok_or(Refused::Malformed)?,
        })
    }

    /// Checks its time alone, which needs no key.
    ///
    /// # Errors
    /// [`Refused::Stale`].
    pub fn is_timely(&self, now: DateTime<Utc>) -> Result<(), Refused> {
        let now_ms = u64::try_from(now.timestamp_millis()).map_err(|_| Refused::Stale)?;
        match now_ms.abs_diff(self.signed_at_ms) > TOLERANCE_MS {
            true => Err(Refused::Stale),
            false => Ok(()),
        }
    }

    /// Checks it against one key and the raw body, in constant time.
    ///
    /// # Errors
    /// [`Refused::Stale`], [`Refused::Mismatch`].
    pub fn verify(&self, key: &SecretString, body: &[u8], now: DateTime<Utc>) -> Result<(), Refused> {
        self.is_timely(now)?;
        mac(key, body, self.signed_at_ms)
            .ok_or(Refused::Mismatch)?
            .verify_slice(&self.digest)
            .map_err(|_| Refused::Mismatch)
    }
}

/// The header's text for a body that is sent at this time.
#[must_use]
pub fn sign(key: &SecretString, body: &[u8], at: DateTime<Utc>) -> String {
    let at_ms = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let digest = mac(key, body, at_ms).map(|mac| mac.finalize().into_bytes());
    let digest: String = digest
        .iter()
        .flatten()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("v={at_ms},d={digest}")
}

/// HMAC takes a key of any length: there is always one.
fn mac(key: &SecretString, body: &[u8], at_ms: u64) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
    mac.update(body);
    mac.update(at_ms.to_string().as_bytes());
    Some(mac)
}

/// What stands behind `v=` or `V=`.
fn value_of(part: &str, name: u8) -> Option<&str> {
    let (found, value) = part.split_once('=')?;
    found.as_bytes().eq_ignore_ascii_case(&[name]).then_some(value)
}

fn bytes_of_hex(text: &str) -> Option<[u8; DIGEST_BYTES]> {
    let mut bytes = [0; DIGEST_BYTES];
    if text.len() != 2 * DIGEST_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"event":"call_ended","call":{"call_id":"c1"}}"#;
    const SIGNED: &str = "v=1700000000000,d=0633a2f1cf298204a95c5693702cf9bc17929f3820e1ff5272a18a4125d6a51b";

    fn key() -> SecretString {
        SecretString::from("key_0123456789abcdef")
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    fn verdict(header: &str, key: &SecretString, body: &[u8], now: DateTime<Utc>) -> Result<(), Refused> {
        Signature::parse(header)?.verify(key, body, now)
    }

    #[test]
    fn the_vendor_s_vector_is_signed_alike_and_accepted() {
        assert_eq!(sign(&key(), BODY, at()), SIGNED);
        assert_eq!(verdict(SIGNED, &key(), BODY, at()), Ok(()));
    }

    #[test]
    fn the_case_of_the_header_s_letters_does_not_matter() {
        assert_eq!(verdict(&SIGNED.to_uppercase(), &key(), BODY, at()), Ok(()));
    }

    #[test]
    fn a_changed_body_another_key_and_another_time_are_refused() {
        let tampered = br#"{"event":"call_ended","call":{"call_id":"c2"}}"#;
        assert_eq!(verdict(SIGNED, &key(), tampered, at()), Err(Refused::Mismatch));
        assert_eq!(verdict(SIGNED, &key(), b"", at()), Err(Refused::Mismatch));
        let other = SecretString::from("key_0123456789abcdee");
        assert_eq!(verdict(SIGNED, &other, BODY, at()), Err(Refused::Mismatch));
        let later = SIGNED.replace("1700000000000", "1700000000001");
        assert_eq!(verdict(&later, &key(), BODY, at()), Err(Refused::Mismatch));
        let none = SecretString::from("");
        assert_eq!(verdict(SIGNED, &none, BODY, at()), Err(Refused::Mismatch));
    }

    #[test]
    fn a_body_that_was_parsed_and_written_again_is_refused() {
        let sent = br#"{"event": "call_ended", "call": {"call_id": "c1", "cost": 10.0}}"#;
        let header = sign(&key(), sent, at());
        let again = serde_json::from_slice::<serde_json::Value>(sent)
            .unwrap()
            .to_string();
        assert_eq!(verdict(&header, &key(), sent, at()), Ok(()));
        assert_eq!(
            verdict(&header, &key(), again.as_bytes(), at()),
            Err(Refused::Mismatch)
        );
    }

    #[test]
    fn five_minutes_count_in_both_directions() {
        let tolerance = TimeDelta::milliseconds(i64::try_from(TOLERANCE_MS).unwrap());
        let more = tolerance + TimeDelta::milliseconds(1);
        for now in [at() - tolerance, at() + tolerance] {
            assert_eq!(verdict(SIGNED, &key(), BODY, now), Ok(()), "{now}");
        }
        for now in [
            at() - more,
            at() + more,
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
        ] {
            assert_eq!(verdict(SIGNED, &key(), BODY, now), Err(Refused::Stale), "{now}");
        }
    }

    #[test]
    fn what_is_no_signature_is_malformed() {
        let digest = &SIGNED[SIGNED.len() - 64..];
        let cases = [
            String::new(),
            "v=1700000000000".to_owned(),
            format!("d={digest},v=1700000000000"),
            format!("v=,d={digest}"),
            format!("v=+1700000000000,d={digest}"),
            format!("v=-1,d={digest}"),
            format!("v=1.7e12,d={digest}"),
            format!("v=99999999999999999999,d={digest}"),
            format!("v=1700000000000,d={}", &digest[1..]),
            format!("v=1700000000000,d={digest}0"),
            format!("v=1700000000000,d=g{}", &digest[1..]),
            format!("v=1700000000000,d={}ä", &digest[2..]),
            format!("v=1700000000000;d={digest}"),
            format!("v=1700000000000, d={digest}"),
            format!(" {SIGNED}"),
            format!("{SIGNED},d={digest}"),
            format!("t=1700000000000,d={digest}"),
        ];
        for header in cases {
            assert_eq!(Signature::parse(&header), Err(Refused::Malformed), "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_nothing_else_does(
            key in "[ -~]{1,80}",
            other in "[ -~]{1,80}",
            body in prop::collection::vec(any::<u8>(), 0..300),
            flipped in any::<prop::sample::Index>(),
            at_ms in 0_i64..4_000_000_000_000,
            off_ms in -400_000_i64..400_000,
        ) {
            let at = DateTime::from_timestamp_millis(at_ms).unwrap();
            let now = DateTime::from_timestamp_millis(at_ms.saturating_add(off_ms).max(0)).unwrap();
            let off = (now - at).num_milliseconds().unsigned_abs();
            let secret = SecretString::from(key.clone());
            let header = sign(&secret, &body, at);
            let expected = if off > TOLERANCE_MS { Err(Refused::Stale) } else { Ok(()) };
            prop_assert_eq!(verdict(&header, &secret, &body, now), expected);
            // HMAC pads a short key with zeros and hashes a long one; printable keys up to 64 bytes stay apart.
            if other != key {
                prop_assert_eq!(verdict(&header, &SecretString::from(other), &body, at), Err(Refused::Mismatch));
            }
            if !body.is_empty() {
                let mut changed = body.clone();
                changed[flipped.index(body.len())] ^= 1;
                prop_assert_eq!(verdict(&header, &secret, &changed, at), Err(Refused::Mismatch));
            }
        }

        #[test]
        fn no_header_makes_the_parser_stumble(header in "\\PC{0,90}") {
            if let Ok(signature) = Signature::parse(&header) {
                prop_assert!(signature.verify(&key(), BODY, at()).is_err());
            }
        }
    }
}
