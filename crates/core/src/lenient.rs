//! Values as n8n sends them: numbers and booleans that arrive as text, ids that arrive as numbers.
//!
//! Each reader takes a JSON value and gives the value or a reason that completes the sentence `<field> …`.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// A whole number within `min..=max`; takes `7`, `7.0`, `"7"`.
pub fn integer(value: &Value, min: i64, max: i64) -> Result<i64, String> {
    let expected = || format!("must be a whole number from {min} to {max}");
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse::<i64>()
                .ok()
                .or_else(|| whole(text.parse::<f64>().ok()?))
        }
        _ => None,
    };
    number.filter(|n| (min..=max).contains(n)).ok_or_else(expected)
}

fn whole(number: f64) -> Option<i64> {
    // 2^53: above it a float no longer names one whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A boolean; takes `true`, `"true"`, `"FALSE"`.
pub fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

/// Text of `min..=max` characters, without U+0000.
pub fn text(value: &Value, min: usize, max: usize) -> Result<String, String> {
    match value {
        Value::String(text) => bounded(text.clone(), min, max),
        _ => Err("must be text".into()),
    }
}

/// An id or number in text; takes a JSON integer too.
pub fn id_text(value: &Value, min: usize, max: usize) -> Result<String, String> {
    match value {
        Value::String(text) => bounded(text.clone(), min, max),
        Value::Number(number) if number.is_i64() || number.is_u64() => bounded(number.to_string(), min, max),
        _ => Err("must be text or a whole number".into()),
    }
}

/// A moment since 1970, in seconds, milliseconds, microseconds or nanoseconds: the magnitude tells which. Moments before 1973
/// cannot be told apart and are refused, and so is what lies after the year 2262, where nanoseconds end.
pub fn timestamp(value: &Value) -> Result<DateTime<Utc>, String> {
    let text = value.as_str().map(str::trim);
    let whole = value.as_i64().or_else(|| text?.parse().ok());
    let number = value.as_f64().or_else(|| text?.parse().ok());
    // 1e8 s is March 1973, and so is 1e11 ms.
    let unit = match number.map_or(0.0, f64::abs) {
        size if (1e8..9.2e9).contains(&size) => Some(1e9),
        size if (1e11..9.2e12).contains(&size) => Some(1e6),
        size if (1e14..9.2e15).contains(&size) => Some(1e3),
        size if (1e17..9.2e18).contains(&size) => Some(1.0),
        _ => None,
    };
    // In microseconds, which PostgreSQL keeps.
    let in_microseconds = |unit: f64| match whole {
        Some(whole) => Some(whole.checked_mul(unit as i64)?.div_euclid(1000)),
        None => Some((number? * unit / 1000.0).round() as i64),
    };
    let at = unit
        .and_then(in_microseconds)
        .and_then(DateTime::from_timestamp_micros);
    at.filter(|at| at.timestamp() > 0)
        .ok_or_else(|| "must be a time in milliseconds since 1970".into())
}

fn bounded(text: String, min: usize, max: usize) -> Result<String, String> {
    let chars = text.chars().count();
    if text.contains('\0') {
        Err("must not contain U+0000".into())
    } else if chars < min {
        Err(if min == 1 {
            "must not be empty".into()
        } else {
            format!("must have at least {min} characters")
        })
    } else if chars > max {
        Err(format!("must have at most {max} characters"))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_arrive_in_many_forms() {
        for value in [
            json!(100),
            json!(100.0),
            json!("100"),
            json!(" 100 "),
            json!("1e2"),
        ] {
            assert_eq!(integer(&value, 1, 1000), Ok(100), "{value}");
        }
        for value in [
            json!(0),
            json!(1001),
            json!(1.5),
            json!("x"),
            json!(""),
            json!(null),
            json!([1]),
            json!({"a": 1}),
            json!(true),
            json!(1e300),
            json!("inf"),
            json!("NaN"),
        ] {
            assert!(integer(&value, 1, 1000).is_err(), "{value}");
        }
    }

    #[test]
    fn booleans_arrive_as_text() {
        assert_eq!(boolean(&json!("True")), Ok(true));
        assert_eq!(boolean(&json!(false)), Ok(false));
        assert!(boolean(&json!(1)).is_err());
    }

    #[test]
    fn ids_arrive_as_numbers() {
        assert_eq!(id_text(&json!(61402012298_u64), 1, 20), Ok("61402012298".into()));
        assert!(id_text(&json!(1.5), 1, 20).is_err());
        assert!(id_text(&json!("a\u{0}b"), 1, 20).is_err());
    }

    #[test]
    fn moments_arrive_in_any_unit() {
        let expected = DateTime::from_timestamp(1_759_838_400, 0).unwrap();
        for value in [
            json!(1_759_838_400),
            json!(1_759_838_400_000_i64),
            json!(1_759_838_400_000_000_i64),
            json!(1_759_838_400_000_000_000_i64),
            json!("1759838400000"),
            json!(1_759_838_400.0),
        ] {
            assert_eq!(timestamp(&value), Ok(expected), "{value}");
        }
        let milliseconds = timestamp(&json!(1_759_838_400_123_i64)).unwrap();
        assert_eq!(milliseconds.timestamp_subsec_millis(), 123);
        for value in [
            json!("1759838400001"),
            json!(1_759_838_400.001),
            json!("1759838400.001"),
            json!(1_759_838_400_001_000_999_i64),
        ] {
            assert_eq!(
                timestamp(&value),
                Ok(expected + chrono::TimeDelta::milliseconds(1)),
                "{value}"
            );
        }
        for value in [
            json!(0),
            json!(-1_759_838_400_000_i64),
            json!(12_345),
            json!(u64::MAX),
            json!(1e300),
            json!("yesterday"),
            json!(null),
            json!(true),
        ] {
            assert!(timestamp(&value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn whatever_fits_is_read_as_itself(n in -1_000_000_i64..1_000_000) {
            prop_assert_eq!(integer(&json!(n), -1_000_000, 1_000_000), Ok(n));
            prop_assert_eq!(integer(&json!(n.to_string()), -1_000_000, 1_000_000), Ok(n));
        }
    }
}
