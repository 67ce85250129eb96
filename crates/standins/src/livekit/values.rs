//! Ids and times as LiveKit makes them.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rand::Rng;
use rand::distr::Alphanumeric;

/// Letters of an id behind its prefix.
const ID_LETTERS: usize = 12;

/// `<prefix>` and twelve letters and digits.
pub(super) fn id(prefix: &str) -> String {
    let letters: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(ID_LETTERS)
        .map(char::from)
        .collect();
    format!("{prefix}{letters}")
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

pub(super) fn now_seconds() -> i64 {
    now().timestamp()
}

pub(super) fn now_ms() -> i64 {
    now().timestamp_millis()
}

pub(super) fn now_nanos() -> i64 {
    now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}

/// The digits of a telephone number, without `+` or `00`.
pub(super) fn digits(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map_or(digits.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_their_digits() {
        for number in [
            "+61 402 012 298",
            "0061402012298",
            "61402012298",
            "(61) 402.012-298",
        ] {
            assert_eq!(digits(number), "61402012298", "{number}");
        }
    }

    #[test]
    fn ids_have_their_form() {
        let id = id("AD_");
        let letters = id.strip_prefix("AD_").unwrap();
        assert!(
            letters.len() == ID_LETTERS && letters.chars().all(char::is_alphanumeric),
            "{id}"
        );
    }
}
