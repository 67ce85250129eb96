//! The report that an agent sends at the end of a call: any JSON object that says which call it is about. What is in it is
//! the agent's affair: it is kept and passed on as it came.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;
use uuid::Uuid;

/// Before the id in the keys of reports in the outbox.
const KEY: &str = "summary:";

/// The key of a report in the outbox, made of its call's id, or of its own where it names no known call: another than the
/// result's, so that a large report never holds back the result of its call.
pub(crate) fn key(of: Uuid) -> String {
    format!("{KEY}{of}")
}

/// The id in a key of a report, or of a result.
pub(crate) fn id_in_key(key: &str) -> &str {
    key.strip_prefix(KEY).unwrap_or(key)
}

/// Largest report, in bytes: n8n's own limit.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Longest id of a call, in characters.
const MAX_ID_CHARS: usize = 255;

/// Which call a report is about, as far as it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallNames {
    pub(crate) dispatch_id: Option<String>,
    pub(crate) room: Option<String>,
    pub(crate) job_id: Option<String>,
}

impl CallNames {
    /// Every name that there is.
    pub(crate) fn all(&self) -> Vec<&str> {
        let names = [&self.dispatch_id, &self.room, &self.job_id];
        names.into_iter().flatten().map(String::as_str).collect()
    }
}

/// A report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) names: CallNames,
    content: Map<String, Value>,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// It is no object, or names no call.
    pub(crate) fn read(value: Value) -> Result<Self, Problem> {
        let Value::Object(content) = value else {
            return Err(Problem::invalid_json("The body must be a JSON object"));
        };
        let mut faults = BTreeMap::new();
        let mut id = |name: &str| match content.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => lenient::id_text(value, 1, MAX_ID_CHARS)
                .map_err(|why| faults.insert(name.to_owned(), why))
                .ok(),
        };
        let names = CallNames {
            dispatch_id: id("dispatch_id"),
            room: id("room"),
            job_id: id("job_id"),
        };
        if !faults.is_empty() {
            return Err(Problem::invalid_fields(faults));
        }
        if names == CallNames::default() {
            let why = "is required, or else room or job_id: the report must say which call it is about";
            return Err(Problem::invalid_field("dispatch_id", why));
        }
        Ok(Self { names, content })
    }

    /// The report as it is stored; its names stand in one order, so that the same report is the same bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        // A map of JSON values can always be written.
        serde_json::to_vec(&self.content).unwrap_or_default()
    }

    /// What n8n gets: the report as it came, and which call it is about as far as that is known here.
    pub(crate) fn for_n8n(&self, known: Option<&CallNames>) -> Vec<u8> {
        let names = known.unwrap_or(&self.names);
        let mut body = self.content.clone();
        body.insert("event".into(), "call_summary".into());
        for (name, value) in [
            ("dispatch_id", &names.dispatch_id),
            ("room", &names.room),
            ("job_id", &names.job_id),
        ] {
            body.insert(name.into(), Value::from(value.clone()));
        }
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// What tells one report from another.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(value: Value) -> Report {
        Report::read(value).unwrap()
    }

    #[test]
    fn any_object_that_names_its_call_is_a_report() {
        for (body, expected) in [
            (json!({"dispatch_id": "AD_1", "usage": {"llm": 3}}), "AD_1"),
            (json!({"room": "AD_1", "transcript": []}), "AD_1"),
            (json!({"job_id": "AD_1"}), "AD_1"),
        ] {
            let names = report(body).names;
            let name = names.dispatch_id.or(names.room).or(names.job_id);
            assert_eq!(name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_names_no_call_is_refused() {
        for body in [
            json!({}),
            json!({"usage": 1}),
            json!({"dispatch_id": null}),
            json!({"room": ""}),
            json!({"dispatch_id": {"a": 1}}),
            json!({"dispatch_id": "a\u{0}"}),
            json!([1]),
            json!("AD_1"),
        ] {
            assert_eq!(
                Report::read(body.clone()).map_err(|problem| problem.status),
                Err(400),
                "{body}"
            );
        }
    }

    #[test]
    fn the_order_of_names_makes_no_other_report() {
        let one: Value = serde_json::from_str(r#"{"room": "r", "a": {"b": 1, "c": 2}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a": {"c": 2, "b": 1}, "room": "r"}"#).unwrap();
        assert_eq!(hash(&report(one).bytes()), hash(&report(other).bytes()));
        assert_ne!(
            hash(&report(json!({"room": "r"})).bytes()),
            hash(&report(json!({"room": "s"})).bytes())
        );
    }

    #[test]
    fn n8n_gets_the_report_as_it_came_and_all_names_of_the_call() {
        let came = report(json!({"room": "r", "event": "ended", "usage": {"llm": 3}}));
        let known = CallNames {
            dispatch_id: Some("AD_1".into()),
            room: Some("r".into()),
            job_id: None,
        };
        let sent: Value = serde_json::from_slice(&came.for_n8n(Some(&known))).unwrap();
        assert_eq!(
            sent,
            json!({"event": "call_summary", "dispatch_id": "AD_1", "room": "r", "job_id": null, "usage": {"llm": 3}})
        );
        let unmatched: Value = serde_json::from_slice(&came.for_n8n(None)).unwrap();
        assert_eq!(
            (&unmatched["room"], &unmatched["dispatch_id"]),
            (&json!("r"), &Value::Null)
        );
    }
}
