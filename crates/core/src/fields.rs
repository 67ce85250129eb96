//! Reads a JSON object field by field and collects every fault, so that a caller learns all of them at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::problem::Problem;

/// A JSON object being read. Unknown fields are ignored; `null` counts as absent.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    faults: BTreeMap<String, String>,
}

impl Fields {
    /// Takes the body. Anything but an object is a 400.
    pub fn of(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(values) => Ok(Self {
                values,
                faults: BTreeMap::new(),
            }),
            other => Err(Problem::invalid_json(format!(
                "The body must be a JSON object, not {}",
                kind(&other)
            ))),
        }
    }

    /// Reads a field that must be there. A fault is kept for [`Fields::finish`], which then fails.
    pub fn required<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        match self.values.get(name) {
            None | Some(Value::Null) => {
                self.fault(name, "is required");
                None
            }
            Some(value) => self.judged(name, read(value)),
        }
    }

    /// Reads a field that may be absent.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        match self.values.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.judged(name, read(value)),
        }
    }

    /// A field as it came.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Notes a fault that a reader above found.
    pub fn fault(&mut self, name: &str, why: impl Into<String>) {
        self.faults.insert(name.to_owned(), why.into());
    }

    /// Ends the reading: a 400 that names every fault, or nothing.
    pub fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(self.faults))
        }
    }

    fn judged<T>(&mut self, name: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|why| self.fault(name, why)).ok()
    }
}

/// A request body that can be read from a JSON object.
pub trait FromFields: Sized {
    /// Reads the body or says what is wrong with it.
    fn from_fields(fields: Fields) -> Result<Self, Problem>;
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lenient;

    #[test]
    fn all_faults_are_told_at_once() {
        let mut fields = Fields::of(json!({"limit": "x", "note": null})).unwrap();
        assert_eq!(fields.required("limit", |v| lenient::integer(v, 1, 9)), None);
        assert_eq!(fields.optional("note", |v| lenient::text(v, 1, 9)), None);
        assert_eq!(fields.required("name", |v| lenient::text(v, 1, 9)), None);
        let problem = fields.finish().unwrap_err();
        assert_eq!(problem.to_json()["fields"].as_object().map(|f| f.len()), Some(2));
    }

    #[test]
    fn only_an_object_is_a_body() {
        for body in [json!([]), json!("x"), json!(3), json!(null), json!(true)] {
            assert_eq!(Fields::of(body).unwrap_err().code, "invalid_json");
        }
    }
}
