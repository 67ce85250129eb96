//! Telephone numbers as callers write them: passed on as given, compared by their digits.

use serde_json::Value;
use switchhook_core::lenient;

/// Longest text that may be a number.
const MAX_CHARS: usize = 40;
/// Fewest and most digits.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
const EXPECTED: &str = "must be a telephone number of 7 to 15 digits";

/// A number: 7 to 15 digits with an optional `+`; spaces, dots, dashes and brackets are tolerated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    given: String,
    digits: String,
}

impl Number {
    /// Reads text, or a JSON integer.
    pub fn read(value: &Value) -> Result<Self, String> {
        let text = lenient::id_text(value, 0, MAX_CHARS)?;
        let given = text.trim().to_owned();
        let bare = given.strip_prefix('+').unwrap_or(&given);
        let tolerated = |c: char| c.is_ascii_digit() || " .-()[]".contains(c);
        // A dash in front is a sign, of a number that is none.
        if bare.starts_with('-') || !bare.chars().all(tolerated) {
            return Err(EXPECTED.into());
        }
        let all: String = bare.chars().filter(char::is_ascii_digit).collect();
        let digits = match all.strip_prefix("00") {
            Some(rest) if !given.starts_with('+') => rest.to_owned(),
            _ => all,
        };
        if !DIGITS.contains(&digits.len()) {
            return Err(EXPECTED.into());
        }
        Ok(Self { given, digits })
    }

    /// As it was given.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The digits, without `+` or `00`.
    pub fn digits(&self) -> &str {
        &self.digits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_number_is_written_in_many_ways() {
        for value in [
            json!("61402012298"),
            json!("+61402012298"),
            json!("0061402012298"),
            json!(61_402_012_298_u64),
            json!(" +61 (402) 012-298 "),
            json!("61.402.012.298"),
            json!("[61] 402012298"),
        ] {
            assert_eq!(Number::read(&value).unwrap().digits(), "61402012298", "{value}");
        }
        assert_eq!(
            Number::read(&json!("+61 402 012 298")).unwrap().given(),
            "+61 402 012 298"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for value in [
            json!(""),
            json!("+"),
            json!("123456"),
            json!("1234567890123456"),
            json!("6140x012298"),
            json!("++61402012298"),
            json!("61402012298+"),
            json!("sip:61402012298@x"),
            json!("٦١٤٠٢٠١٢٢٩٨"),
            json!(1.5),
            json!(-61_402_012_298_i64),
            json!(true),
            json!(["61402012298"]),
            json!("61402012298\u{0}"),
        ] {
            assert!(Number::read(&value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_has_seven_to_fifteen_digits(text in "[+0-9 ().-]{0,24}") {
            if let Ok(number) = Number::read(&json!(text)) {
                prop_assert!(DIGITS.contains(&number.digits().len()));
                prop_assert!(number.digits().bytes().all(|b| b.is_ascii_digit()));
            }
        }
    }
}
