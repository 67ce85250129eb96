//! Ids, numbers and times that look real and differ from call to call.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rand::Rng;

/// Area codes of the numbers; with 555-01xx, which is kept free for fiction.
const AREAS: [&str; 6] = ["206", "212", "312", "415", "617", "737"];

/// `<prefix>_` and 27 hexadecimal digits, as Retell makes them.
pub(super) fn id(prefix: &str) -> String {
    format!("{prefix}_{}", hex(27))
}

/// Random hexadecimal digits.
pub(super) fn hex(digits: usize) -> String {
    let mut random = rand::rng();
    (0..digits)
        .filter_map(|_| char::from_digit(random.random_range(0..16), 16))
        .collect()
}

/// A telephone number that nobody has.
pub(super) fn phone() -> String {
    let mut random = rand::rng();
    let area = one_of(&AREAS);
    format!("+1{area}55501{:02}", random.random_range(0..100))
}

/// One of them; they must not be empty.
pub(super) fn one_of<T>(choices: &[T]) -> &T {
    &choices[rand::rng().random_range(0..choices.len())]
}

/// Up to a tenth more or less.
pub(super) fn about(value: u64) -> u64 {
    let tenth = value / 10;
    rand::rng().random_range(value - tenth..=value + tenth)
}

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    DateTime::<Utc>::from(SystemTime::now()).timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_have_their_form() {
        let id = id("call");
        let digits = id.strip_prefix("call_").unwrap();
        assert!(
            digits.len() == 27 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
        let phone = phone();
        assert!(
            phone.len() == 12 && phone.starts_with("+1") && phone[5..].starts_with("55501"),
            "{phone}"
        );
        assert!((90..=110).contains(&about(100)));
        assert_eq!(about(3), 3);
    }
}
