//! A dial as a caller asks for it, read field by field.

use std::time::Duration;

use serde_json::{Map, Value};
use switchhook_core::fields::{Fields, FromFields};
use switchhook_core::lenient;
use switchhook_core::problem::Problem;

use super::number::Number;

/// Longest name of an account, in characters.
pub const ACCOUNT_MAX_CHARS: usize = 128;
/// Largest `metadata`, in bytes of its JSON.
pub const METADATA_MAX_BYTES: usize = 32 * 1024;
/// Longest key, in characters.
pub const KEY_MAX_CHARS: usize = 255;
/// Longest text of another field, in characters.
const TEXT_MAX_CHARS: usize = 255;
/// Most options, those unknown to us included.
const OPTIONS_MAX: usize = 50;
/// Longest wait, in seconds: n8n waits 300.
pub const WAIT_MAX_S: u32 = 280;
const ANSWERED_WAIT: Duration = Duration::from_secs(25);
const ENDED_WAIT: Duration = Duration::from_secs(240);

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// A worker has the job.
    Dispatched,
    /// Somebody has answered, or never will.
    Answered,
    /// The call is over.
    Ended,
}

impl WaitFor {
    const fn word(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Answered => "answered",
            Self::Ended => "ended",
        }
    }
}

/// What an answer waits for, and how long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// What for.
    pub until: WaitFor,
    /// How long; for `dispatched` as long as a worker may take unless the caller says less.
    pub limit: Option<Duration>,
}

/// A dial that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Whom to call.
    pub destination: Number,
    /// For which account.
    pub account_code: String,
    /// The answer's `metadata`: the given fields, merged into the caller's own.
    pub metadata: Map<String, Value>,
    /// Normalised.
    pub session_options: Map<String, Value>,
    /// Whether the call is to be recorded.
    pub record_call: bool,
    /// What the answer waits for.
    pub wait: Wait,
    /// The key in the body; the header wins.
    pub key: Option<String>,
    /// Whether a number that was just dialled may be dialled again.
    pub allow_duplicate: bool,
}

impl Order {
    /// What the agent is told: the dispatch's `metadata`.
    pub fn told_to_agent(&self) -> String {
        told_to_agent(&self.metadata, &self.session_options, self.record_call)
    }

    /// All that distinguishes one request from another under the same key.
    pub fn parts(&self) -> [String; 3] {
        let wait = format!("{}:{:?}", self.wait.until.word(), self.wait.limit);
        [self.told_to_agent(), wait, self.allow_duplicate.to_string()]
    }
}

/// The dispatch's `metadata`, a JSON string.
pub fn told_to_agent(
    metadata: &Map<String, Value>,
    session_options: &Map<String, Value>,
    record_call: bool,
) -> String {
    let mut told = metadata.clone();
    told.insert("session_options".into(), Value::Object(session_options.clone()));
    told.insert("record_call".into(), Value::Bool(record_call));
    Value::Object(told).to_string()
}

impl FromFields for Order {
    fn from_fields(mut fields: Fields) -> Result<Self, Problem> {
        let destination = fields.required("destination", Number::read);
        let account = fields.required("account_code", |value| {
            trimmed(lenient::id_text(value, 1, ACCOUNT_MAX_CHARS)?)
        });
        let transfer = optional(&mut fields, "transfer_target", Number::read);
        let caller_number = optional(&mut fields, "caller_number", Number::read);
        let caller_id = optional(&mut fields, "caller_id", |value| {
            trimmed(lenient::id_text(value, 1, TEXT_MAX_CHARS)?)
        });
        let caller_name = optional(&mut fields, "caller_name", short_text);
        let nested = fields.optional("session_options", object).unwrap_or_default();
        let mut own = fields.optional("metadata", metadata).unwrap_or_default();
        let record_call = recorded(&mut fields, &nested, &own);
        let session_options = options(&mut fields, nested);
        let wait = wait(&mut fields);
        let key = optional(&mut fields, "idempotency_key", |value| {
            lenient::id_text(value, 1, KEY_MAX_CHARS)
        });
        let allow_duplicate = optional(&mut fields, "allow_duplicate", booleanish).unwrap_or(false);
        fields.finish()?;
        // `finish` has told what is missing.
        let (destination, account_code) = destination.zip(account).ok_or_else(Problem::internal)?;
        own.remove("record_call");
        let given = [
            ("destination", Some(destination.given().to_owned())),
            ("account_code", Some(account_code.clone())),
            (
                "transfer_target",
                transfer.map(|number| number.given().to_owned()),
            ),
            ("caller_id", caller_id),
            (
                "caller_number",
                caller_number.map(|number| number.given().to_owned()),
            ),
            ("caller_name", caller_name),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                own.insert(name.to_owned(), Value::from(value));
            }
        }
        Ok(Self {
            destination,
            account_code,
            metadata: own,
            session_options,
            record_call,
            wait,
            key,
            allow_duplicate,
        })
    }
}

/// A field that may be absent; an expression of n8n that found nothing sends empty text.
fn optional<T>(fields: &mut Fields, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
    let empty = matches!(fields.peek(name), Some(Value::String(text)) if text.trim().is_empty());
    if empty { None } else { fields.optional(name, read) }
}

fn trimmed(text: String) -> Result<String, String> {
    match text.trim() {
        "" => Err("must not be empty".into()),
        text => Ok(text.to_owned()),
    }
}

fn short_text(value: &Value) -> Result<String, String> {
    trimmed(lenient::text(value, 1, TEXT_MAX_CHARS)?)
}

/// A boolean; takes `"yes"`, `1`, `"on"` and their opposites too.
pub fn booleanish(value: &Value) -> Result<bool, String> {
    let wrong = || "must be true or false".to_owned();
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Ok(true),
            Some(0.0) => Ok(false),
            _ => Err(wrong()),
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "on" => Ok(true),
            "false" | "no" | "n" | "0" | "off" => Ok(false),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn object(value: &Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) if has_nul(value) => {
            let _ = object;
            Err("must not contain U+0000".into())
        }
        Value::Object(object) => Ok(object.clone()),
        _ => Err("must be an object".into()),
    }
}

fn metadata(value: &Value) -> Result<Map<String, Value>, String> {
    let object = object(value)?;
    if value.to_string().len() > METADATA_MAX_BYTES {
        return Err(format!("must have at most {METADATA_MAX_BYTES} bytes"));
    }
    Ok(object)
}

/// PostgreSQL stores no U+0000.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether to record: the top level says it before `session_options`, and that before `metadata`.
fn recorded(fields: &mut Fields, nested: &Map<String, Value>, metadata: &Map<String, Value>) -> bool {
    const NAME: &str = "record_call";
    let top = optional(fields, NAME, booleanish);
    let mut inner = |place: &str, object: &Map<String, Value>| {
        let value = object.get(NAME).filter(|value| is_given(value))?;
        let read = booleanish(value);
        if let Err(why) = &read {
            fields.fault(&format!("{place}.{NAME}"), why.as_str());
        }
        read.ok()
    };
    let (options, own) = (inner("session_options", nested), inner("metadata", metadata));
    top.or(options).or(own).unwrap_or(false)
}

fn is_given(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Options that may also stand at the top level, and how each is read.
type ReadOption = fn(&Value) -> Result<Value, String>;
const OPTIONS: [(&str, ReadOption); 6] = [
    ("preemptive_generation", |value| {
        booleanish(value).map(Value::Bool)
    }),
    ("llm", |value| short_text(value).map(Value::String)),
    ("stt", |value| short_text(value).map(Value::String)),
    ("tts", voice),
    ("cartesia_voice", |value| short_text(value).map(Value::String)),
    ("cartesia_model", |value| short_text(value).map(Value::String)),
];

/// The options, normalised: the nested ones win; those unknown to us are passed on as they are.
fn options(fields: &mut Fields, mut nested: Map<String, Value>) -> Map<String, Value> {
    nested.remove("record_call");
    nested.retain(|_, value| is_given(value));
    for (name, read) in OPTIONS {
        let within = nested.remove(name);
        let path = if within.is_some() {
            format!("session_options.{name}")
        } else {
            name.to_owned()
        };
        let given = within.or_else(|| fields.peek(name).cloned());
        match given.filter(is_given).as_ref().map(read) {
            Some(Ok(value)) => drop(nested.insert(name.to_owned(), value)),
            Some(Err(why)) => fields.fault(&path, why),
            None => {}
        }
    }
    if nested.len() > OPTIONS_MAX || Value::from(nested.clone()).to_string().len() > METADATA_MAX_BYTES {
        fields.fault(
            "session_options",
            format!("must have at most {OPTIONS_MAX} keys and {METADATA_MAX_BYTES} bytes"),
        );
    }
    nested
}

/// A voice: its name, or its parts.
fn voice(value: &Value) -> Result<Value, String> {
    let Value::Object(parts) = value else {
        let wrong = || "must be text, or an object with provider, model and voice".to_owned();
        return short_text(value).map(Value::String).map_err(|_| wrong());
    };
    let mut voice = Map::new();
    for name in ["provider", "model", "voice"] {
        if let Some(part) = parts.get(name).filter(|part| is_given(part)) {
            let text = short_text(part).map_err(|why| format!("has a {name} that {why}"))?;
            voice.insert(name.to_owned(), Value::String(text));
        }
    }
    if voice.is_empty() {
        return Err("must have a provider, a model or a voice".into());
    }
    Ok(Value::Object(voice))
}

fn wait(fields: &mut Fields) -> Wait {
    let until = optional(fields, "wait", |value| match value.as_str().map(str::trim) {
        Some("dispatched") => Ok(WaitFor::Dispatched),
        Some("answered") => Ok(WaitFor::Answered),
        Some("ended") => Ok(WaitFor::Ended),
        _ => Err("must be dispatched, answered or ended".to_owned()),
    });
    let seconds = optional(fields, "wait_seconds", |value| {
        lenient::integer(value, 0, i64::from(WAIT_MAX_S))
    });
    let until = until.unwrap_or(WaitFor::Dispatched);
    let given = seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
    let limit = match until {
        WaitFor::Dispatched => given,
        WaitFor::Answered => Some(given.unwrap_or(ANSWERED_WAIT)),
        WaitFor::Ended => Some(given.unwrap_or(ENDED_WAIT)),
    };
    Wait { until, limit }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
