//! Query parameters, read by the same field readers as bodies. Every value is text.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde_json::{Map, Value};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::problem::Problem;

use super::Failure;

/// The parameters of a request.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: FromFields + 'static> FromRequest for Query<T> {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self).map_err(Failure))
    }
}

pub(super) fn read<T: FromFields>(query: &str) -> Result<T, Problem> {
    T::from_fields(Fields::of(Value::Object(values(query)?))?)
}

fn values(query: &str) -> Result<Map<String, Value>, Problem> {
    let mut values = Map::new();
    let mut faults = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name) else {
            return Err(Problem::new(
                400,
                "invalid_field",
                "A parameter's name is not percent-encoded UTF-8",
            ));
        };
        match decode(value) {
            None => drop(faults.insert(name, "is not percent-encoded UTF-8".to_owned())),
            Some(text) => {
                if values.insert(name.clone(), Value::String(text)).is_some() {
                    faults.insert(name, "is given more than once".to_owned());
                }
            }
        }
    }
    if faults.is_empty() {
        Ok(values)
    } else {
        Err(Problem::invalid_fields(faults))
    }
}

/// The text behind percent-encoding, `+` being a space. Nothing is guessed: a `%` stands before two hex digits.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_text() {
        let read = values("a=1&b=x+y%20z&c&d=%C3%A9&&e=a=b").unwrap();
        let expected = [("a", "1"), ("b", "x y z"), ("c", ""), ("d", "é"), ("e", "a=b")];
        assert_eq!(read.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(read[name], value);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, name) in [
            ("a=1&a=2", "a"),
            ("limit=%zz", "limit"),
            ("limit=%4", "limit"),
            ("x=%ff", "x"),
            ("x=%", "x"),
        ] {
            let problem = values(query).unwrap_err();
            assert_eq!(problem.code, "invalid_field");
            assert!(problem.to_json()["fields"][name].is_string(), "{query}");
        }
        assert_eq!(values("%zz=1").unwrap_err().status, 400);
    }
}
