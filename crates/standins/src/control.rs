//! What a stand-in can be told to do next, and the queue of such orders.
//!
//! One contract for every stand-in (`POST /_control`, `DELETE /_control`). An order names what it applies to (a path,
//! values in the request's body) and what happens then; the first one in the queue that applies is taken. A body that
//! cannot be read as an order is refused with the field's name: a test that misspells a field must not pass by luck.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

/// Most orders that wait at a time.
const MAX_ORDERS: usize = 10_000;
/// Longest delay that can be ordered.
const MAX_DELAY_MS: u64 = 24 * 3600 * 1000;

/// Where a connection is closed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Before the request is read: the other side never gets it.
    Before,
    /// After the request was read, without an answer.
    After,
    /// In the middle of the answer.
    Middle,
}

impl Break {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Middle => "middle",
        }
    }
}

/// What the workflow behind a webhook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers at once, works, and reports by its own requests.
    Callback,
    /// Works first and answers the waiting request at the end.
    Respond,
    /// Answers at once and does nothing more.
    Silent,
    /// Answers only once it is released (`DELETE /_control`).
    Hold,
}

/// One order.
#[derive(Clone, Debug)]
pub struct Control {
    /// The path it applies to; none means every path.
    pub path: Option<String>,
    /// Top-level values that the request's JSON body must have.
    pub matching: Map<String, Value>,
    /// How many requests it applies to; 0 until it is cleared.
    pub times: u32,
    /// The status to answer with.
    pub status: Option<u16>,
    /// Headers added to the answer.
    pub headers: Vec<(String, String)>,
    /// The body to answer with: a string is sent as it is, anything else as JSON.
    pub body: Option<Value>,
    /// The answer's content type.
    pub content_type: Option<String>,
    /// How long to wait before anything is done; it is done then whether the caller still waits or not.
    pub act_after: Duration,
    /// How long to wait before the answer, after what is done.
    pub delay: Duration,
    /// Whether it is also done where the order says what is answered; for systems that tell the two apart.
    pub acts: bool,
    /// Where to close the connection instead of answering.
    pub drop: Option<Break>,
    /// What the workflow does, in place of what its path does by itself.
    pub mode: Option<Mode>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            path: None,
            matching: Map::new(),
            times: 1,
            status: None,
            headers: Vec::new(),
            body: None,
            content_type: None,
            act_after: Duration::ZERO,
            delay: Duration::ZERO,
            acts: false,
            drop: None,
            mode: None,
        }
    }
}

/// Why a body is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The field that is wrong; `body` when the whole is.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn refused(field: &str, why: &'static str) -> Refused {
    Refused {
        field: field.to_owned(),
        why,
    }
}

impl Control {
    /// Reads an order as it comes over HTTP.
    ///
    /// # Errors
    /// The first field that is unknown or has no usable value.
    pub fn from_json(value: &Value) -> Result<Self, Refused> {
        let Value::Object(fields) = value else {
            return Err(refused("body", "must be a JSON object"));
        };
        let mut control = Self::default();
        for (name, value) in fields {
            control.set(name, value)?;
        }
        Ok(control)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refused> {
        match name {
            "path" if value.is_null() => self.path = None,
            "path" => {
                let path = value.as_str().filter(|path| path.starts_with('/'));
                self.path = Some(
                    path.ok_or_else(|| refused(name, "must be a path that begins with /"))?
                        .to_owned(),
                );
            }
            "match" => {
                self.matching = value
                    .as_object()
                    .ok_or_else(|| refused(name, "must be an object"))?
                    .clone();
            }
            "times" => {
                let times = value.as_u64().and_then(|times| u32::try_from(times).ok());
                self.times = times.ok_or_else(|| refused(name, "must be a whole number from 0"))?;
            }
            "status" => {
                let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
                let status = status.filter(|status| (200..=599).contains(status));
                self.status = Some(status.ok_or_else(|| refused(name, "must be a number from 200 to 599"))?);
            }
            "headers" => {
                self.headers = headers(value).ok_or_else(|| refused(name, "must map names to texts"))?
            }
            "body" => self.body = Some(value.clone()),
            "contentType" => {
                let content_type = value.as_str().filter(|text| is_header_value(text));
                self.content_type = Some(
                    content_type
                        .ok_or_else(|| refused(name, "must be a text"))?
                        .to_owned(),
                );
            }
            "delayMs" => self.delay = delay(name, value)?,
            "actAfterMs" => self.act_after = delay(name, value)?,
            "acts" => {
                self.acts = value
                    .as_bool()
                    .ok_or_else(|| refused(name, "must be true or false"))?
            }
            "drop" => {
                self.drop = drop_of(value).ok_or_else(|| refused(name, "must be before, after or middle"))?
            }
            "mode" => {
                self.mode = mode_of(value)
                    .ok_or_else(|| refused(name, "must be callback, respond, silent or hold"))?;
            }
            _ => return Err(refused(name, "is not a field of a control")),
        }
        Ok(())
    }

    fn applies_to_path(&self, path: &str) -> bool {
        self.path.as_deref().is_none_or(|wanted| wanted == path)
    }

    fn applies_to_body(&self, body: Option<&Value>) -> bool {
        has_values(body, &self.matching)
    }
}

/// Whether a JSON body has these top-level values; true of any body when there are none.
pub(crate) fn has_values(body: Option<&Value>, wanted: &Map<String, Value>) -> bool {
    wanted
        .iter()
        .all(|(name, value)| body.and_then(|body| body.get(name)) == Some(value))
}

fn headers(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|text| is_header_value(text))?;
        hyper::header::HeaderName::try_from(name).ok()?;
        Some((name.clone(), value.to_owned()))
    };
    value.as_object()?.iter().map(pair).collect()
}

fn delay(name: &str, value: &Value) -> Result<Duration, Refused> {
    let delay = value.as_u64().filter(|delay| *delay <= MAX_DELAY_MS);
    let delay = delay.ok_or_else(|| refused(name, "must be 0 to 86400000"))?;
    Ok(Duration::from_millis(delay))
}

fn is_header_value(text: &str) -> bool {
    hyper::header::HeaderValue::from_str(text).is_ok()
}

fn drop_of(value: &Value) -> Option<Option<Break>> {
    if value.is_null() {
        return Some(None);
    }
    let word = value.as_str()?;
    [Break::Before, Break::After, Break::Middle]
        .into_iter()
        .find(|drop| drop.word() == word)
        .map(Some)
}

fn mode_of(value: &Value) -> Option<Option<Mode>> {
    match value.as_str() {
        Some("callback") => Some(Some(Mode::Callback)),
        Some("respond") => Some(Some(Mode::Respond)),
        Some("silent") => Some(Some(Mode::Silent)),
        Some("hold") => Some(Some(Mode::Hold)),
        Some(_) => None,
        None => value.is_null().then_some(None),
    }
}

/// The orders that wait for a request.
#[derive(Default)]
pub(crate) struct Orders {
    queue: Mutex<VecDeque<Control>>,
}

impl Orders {
    /// Adds an order at the end; false when the queue is full.
    pub(crate) fn push(&self, control: Control) -> bool {
        let mut queue = self.locked();
        if queue.len() >= MAX_ORDERS {
            return false;
        }
        queue.push_back(control);
        true
    }

    /// Takes the order for a request whose body has been read.
    pub(crate) fn take(&self, path: &str, body: Option<&Value>) -> Option<Control> {
        let mut queue = self.locked();
        let at = queue
            .iter()
            .position(|order| order.applies_to_path(path) && order.applies_to_body(body))?;
        take_at(&mut queue, at)
    }

    /// Whether nothing is to be steered.
    pub(crate) fn is_empty(&self) -> bool {
        self.locked().is_empty()
    }

    /// Takes the next order when it is to hang up before the body is read. An order that looks at the body cannot.
    pub(crate) fn take_before_body(&self, path: &str) -> Option<Control> {
        let mut queue = self.locked();
        let at = queue.iter().position(|order| order.applies_to_path(path))?;
        let order = queue.get(at)?;
        if order.drop != Some(Break::Before) || !order.matching.is_empty() {
            return None;
        }
        take_at(&mut queue, at)
    }

    /// Removes every order that the filter names: its path (when one is given) and these match values.
    pub(crate) fn clear(&self, path: Option<&str>, values: &Map<String, Value>) {
        self.locked().retain(|order| {
            let path_named = path.is_none_or(|path| order.path.as_deref() == Some(path));
            let values_named = values
                .iter()
                .all(|(name, value)| order.matching.get(name) == Some(value));
            !(path_named && values_named)
        });
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Control>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_at(queue: &mut VecDeque<Control>, at: usize) -> Option<Control> {
    let order = queue.get_mut(at)?;
    match order.times {
        0 => Some(order.clone()),
        1 => queue.remove(at),
        _ => {
            order.times -= 1;
            Some(order.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_read() {
        let control = Control::from_json(&json!({
            "path": "/webhook/x", "match": {"userId": "u1"}, "times": 3, "status": 503,
            "headers": {"Retry-After": "2"}, "body": {"a": 1}, "contentType": "text/plain", "delayMs": 20,
            "actAfterMs": 10, "acts": true, "drop": "middle", "mode": "hold",
        }))
        .unwrap();
        assert_eq!(control.path.as_deref(), Some("/webhook/x"));
        assert_eq!(control.matching["userId"], "u1");
        assert_eq!((control.times, control.status), (3, Some(503)));
        assert_eq!(control.headers, [("Retry-After".to_owned(), "2".to_owned())]);
        assert_eq!(control.body, Some(json!({"a": 1})));
        assert_eq!(control.content_type.as_deref(), Some("text/plain"));
        assert_eq!(
            (control.delay, control.act_after, control.acts),
            (Duration::from_millis(20), Duration::from_millis(10), true)
        );
        assert_eq!(
            (control.drop, control.mode),
            (Some(Break::Middle), Some(Mode::Hold))
        );
    }

    #[test]
    fn what_is_no_order_is_refused_by_the_name_of_the_field() {
        let cases = [
            (json!([]), "body"),
            (json!({"path": "webhook"}), "path"),
            (json!({"match": "u1"}), "match"),
            (json!({"times": -1}), "times"),
            (json!({"status": 99}), "status"),
            (json!({"status": "200"}), "status"),
            (json!({"headers": {"bad name": "x"}}), "headers"),
            (json!({"headers": {"x": "a\nb"}}), "headers"),
            (json!({"contentType": 7}), "contentType"),
            (json!({"delayMs": "soon"}), "delayMs"),
            (json!({"actAfterMs": -1}), "actAfterMs"),
            (json!({"acts": "yes"}), "acts"),
            (json!({"drop": "later"}), "drop"),
            (json!({"mode": "fast"}), "mode"),
            (json!({"mode": 1}), "mode"),
            (json!({"stauts": 500}), "stauts"),
        ];
        for (body, field) in cases {
            assert_eq!(Control::from_json(&body).unwrap_err().field, field, "{body}");
        }
    }

    #[test]
    fn orders_are_used_up_in_their_order() {
        let orders = Orders::default();
        for (status, times) in [(500, 2), (404, 1), (200, 0)] {
            orders.push(Control {
                status: Some(status),
                times,
                ..Control::default()
            });
        }
        let taken: Vec<u16> = (0..5)
            .filter_map(|_| orders.take("/webhook/a", None)?.status)
            .collect();
        assert_eq!(taken, [500, 500, 404, 200, 200]);
        orders.clear(None, &Map::new());
        assert!(orders.take("/webhook/a", None).is_none());
    }

    #[test]
    fn an_order_with_a_match_waits_for_its_request() {
        let orders = Orders::default();
        let matching = Map::from_iter([("userId".to_owned(), json!("u2"))]);
        orders.push(Control {
            matching: matching.clone(),
            ..Control::default()
        });
        assert!(orders.take("/webhook/a", None).is_none());
        assert!(
            orders
                .take("/webhook/a", Some(&json!({"userId": "u1"})))
                .is_none()
        );
        orders.clear(None, &Map::from_iter([("userId".to_owned(), json!("u1"))]));
        assert!(
            orders
                .take("/webhook/a", Some(&json!({"userId": "u2", "more": 1})))
                .is_some()
        );
        assert!(
            orders
                .take("/webhook/a", Some(&json!({"userId": "u2"})))
                .is_none()
        );
    }

    #[test]
    fn only_the_next_order_of_the_path_can_hang_up_early() {
        let orders = Orders::default();
        let early = Control {
            drop: Some(Break::Before),
            ..Control::default()
        };
        orders.push(Control {
            path: Some("/webhook/b".into()),
            ..Control::default()
        });
        orders.push(early.clone());
        assert!(orders.take_before_body("/webhook/b").is_none());
        assert!(orders.take_before_body("/webhook/a").is_some());
        assert!(orders.take_before_body("/webhook/a").is_none());
    }
}
