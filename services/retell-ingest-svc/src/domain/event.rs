//! What a webhook of Retell's says.
//!
//! Compulsory is only what an event cannot be kept without: its name, its call, its agent. Everything else is read where
//! it has the type it should have, and is left out of the call where it has not: a refused event is a lost one.
//! Sources of the names: the types `PhoneCallResponse`, `WebCallResponse` and `ChatResponse` of Retell's SDK.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};
use switchhook_core::fields::Fields;
use switchhook_core::lenient;
use switchhook_core::problem::Problem;

use super::facts::{Facts, Stage};

/// Most characters of an event's name, an agent's id or a call's id.
const ID_MAX_CHARS: usize = 255;
/// Retell's words for how a person felt.
const SENTIMENTS: [&str; 4] = ["Positive", "Negative", "Neutral", "Unknown"];
/// Longest duration that is believed, in milliseconds: ten years.
const LONGEST_MS: i64 = 10 * 366 * 24 * 3600 * 1000;

/// Whether people spoke or wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A phone or web call.
    Voice,
    /// A chat.
    Chat,
}

impl Channel {
    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Chat => "chat",
        }
    }
}

/// One event of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Retell's name of it, such as `call_analyzed`.
    pub name: String,
    /// `call_id` or `chat_id`.
    pub call_id: String,
    /// Whose event it is, to Retell.
    pub agent_id: String,
    /// Whether people spoke or wrote.
    pub channel: Channel,
    /// How far the call has come.
    pub stage: Stage,
    /// How much had been said.
    pub utterances: u32,
    /// What the event knows.
    pub facts: Facts,
    /// When it first arrived.
    pub received_at: DateTime<Utc>,
    /// SHA-256 of its canonical JSON: what tells it from other events of its call.
    pub hash: [u8; 32],
}

/// The value of a body as a vendor may write it: also behind a byte order mark, and with halves of characters, which
/// JavaScript leaves where it cuts a text.
///
/// # Errors
/// It is no JSON even so; the message says where.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(error) => {
            let mended = mend(body).and_then(|text| serde_json::from_str(&text).ok());
            mended.ok_or_else(|| Problem::invalid_json(format!("The body is not valid JSON: {error}")))
        }
    }
}

/// The text with U+FFFD in the place of every half of a surrogate pair.
fn mend(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match (
            half(escape, 'd', "89ab"),
            half(escape.get(6..).unwrap_or(""), 'd', "cdef"),
        ) {
            (true, true) => 12,
            (true, false) => 0,
            (false, _) if half(escape, 'd', "cdef") => 0,
            // The backslash and what it escapes, which may be another backslash.
            _ => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        mended.push_str(if length == 0 {
            "\\ufffd"
        } else {
            escape.get(..length)?
        });
        rest = escape.get(if length == 0 { 6 } else { length }..)?;
    }
    mended.push_str(rest);
    Some(mended)
}

/// Whether a text begins with `\u` and a code unit whose first digits are these.
fn half(text: &str, first: char, second: &str) -> bool {
    let mut chars = text.chars();
    let lower = |c: Option<char>| c.map(|c| c.to_ascii_lowercase());
    let begins =
        chars.next() == Some('\\') && chars.next() == Some('u') && lower(chars.next()) == Some(first);
    begins && lower(chars.next()).is_some_and(|c| second.contains(c)) && text.get(4..6).is_some_and(is_hex)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Event {
    /// Reads the object that Retell sent, however it came here.
    ///
    /// # Errors
    /// `event`, `call_id` or `agent_id` is missing.
    pub fn read(body: &Value, received_at: DateTime<Utc>) -> Result<Self, Problem> {
        let call = Body::of(body);
        let mut said = Fields::of(head(body, &call))?;
        let name = said.required("event", |value| lenient::text(value, 1, ID_MAX_CHARS));
        let call_id = said.required("call_id", |value| lenient::id_text(value, 1, ID_MAX_CHARS));
        let agent_id = said.required("agent_id", |value| lenient::id_text(value, 1, ID_MAX_CHARS));
        said.finish()?;
        let (Some(name), Some(call_id), Some(agent_id)) = (name, call_id, agent_id) else {
            return Err(Problem::internal());
        };
        let channel = call.channel(&name);
        let facts = Facts {
            agent_id: Some(agent_id.clone()),
            channel: Some(channel.word().to_owned()),
            ..call.facts()
        };
        Ok(Self {
            stage: Stage::of(&name),
            channel,
            utterances: call.utterances(),
            facts,
            name,
            call_id,
            agent_id,
            received_at,
            hash: hash(body),
        })
    }

    /// When the call happened: its start, else its end less its duration.
    pub fn happened_at(&self) -> Option<DateTime<Utc>> {
        let counted_back = || {
            let duration = TimeDelta::try_milliseconds(self.facts.duration_ms?)?;
            self.facts.ended_at?.checked_sub_signed(duration)
        };
        self.facts.started_at.or_else(counted_back)
    }
}

/// The agent that a body names, before anything else of it is believed: the one that its event would have.
pub fn agent_named_in(body: &Value) -> Option<String> {
    let agent = either(body.as_object()?, &Body::of(body), &["agent_id"])?;
    lenient::id_text(&agent, 1, ID_MAX_CHARS).ok()
}

/// The compulsory values under their names, wherever they stand. Anything but an object is left for the reader to refuse.
fn head(body: &Value, call: &Body<'_>) -> Value {
    let Value::Object(top) = body else {
        return body.clone();
    };
    json!({
        "event": given(top, &["event"]).or_else(|| given(top, &["event_type"])),
        "call_id": either(top, call, &["call_id", "chat_id"]),
        "agent_id": either(top, call, &["agent_id"]),
    })
}

/// What stands under one of these names: about the call, else at the top.
fn either(top: &Map<String, Value>, call: &Body<'_>, names: &[&str]) -> Option<Value> {
    let about = call.object.and_then(|object| given(object, names));
    about.or_else(|| given(top, names))
}

fn given(object: &Map<String, Value>, names: &[&str]) -> Option<Value> {
    let value = names.iter().find_map(|name| object.get(*name));
    value.filter(|value| !value.is_null()).map(without_nul)
}

/// The object about the call inside an event.
struct Body<'a> {
    object: Option<&'a Map<String, Value>>,
    is_chat: bool,
}

impl<'a> Body<'a> {
    fn of(event: &'a Value) -> Self {
        let under = |name: &str| event.get(name).and_then(Value::as_object);
        let chat = under("chat");
        let told = |object: &&Map<String, Value>| !object.is_empty();
        let object = under("call").filter(told).or(chat).or_else(|| under("data"));
        let names_chat = |object: &Map<String, Value>| object.contains_key("chat_id");
        Self {
            object,
            is_chat: object.is_some_and(names_chat) || event.as_object().is_some_and(names_chat),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name)
    }

    fn channel(&self, event: &str) -> Channel {
        if self.is_chat || event.starts_with("chat_") {
            Channel::Chat
        } else {
            Channel::Voice
        }
    }

    /// Spoken turns, where they are listed; else lines of the transcript.
    fn utterances(&self) -> u32 {
        let listed = self.spoken().map(Vec::len);
        let lines = || self.text("transcript").map(|text| text.lines().count());
        let count = listed.or_else(lines).unwrap_or(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The list of turns that this event has.
    fn spoken(&self) -> Option<&'a Vec<Value>> {
        let names = [
            "transcript_object",
            "transcript_with_tool_calls",
            "message_with_tool_calls",
        ];
        let lists = names.iter().filter_map(|name| self.get(name)?.as_array());
        lists.into_iter().find(|list| !list.is_empty())
    }

    fn facts(&self) -> Facts {
        let analysis = self.get("call_analysis").or_else(|| self.get("chat_analysis"));
        let analysis = analysis.filter(|analysis| analysis.is_object());
        let analysed = |name: &str| analysis.and_then(|analysis| analysis.get(name));
        let summary = analysed("call_summary").or_else(|| analysed("chat_summary"));
        let successful = analysed("call_successful").or_else(|| analysed("chat_successful"));
        let cost = self.get("call_cost").or_else(|| self.get("chat_cost"));
        Facts {
            agent_id: None,
            channel: None,
            status: self.text("call_status").or_else(|| self.text("chat_status")),
            direction: self.text("direction"),
            from_number: self.number_text("from_number"),
            to_number: self.number_text("to_number"),
            started_at: self.get("start_timestamp").and_then(moment),
            ended_at: self.get("end_timestamp").and_then(moment),
            duration_ms: self.get("duration_ms").and_then(milliseconds),
            transcript: self.text("transcript"),
            turns: self.turns(),
            summary: summary.and_then(clean_text),
            sentiment: analysed("user_sentiment").and_then(clean_text).map(sentiment),
            successful: successful.and_then(|value| lenient::boolean(value).ok()),
            disconnection_reason: self.text("disconnection_reason"),
            cost_cents: cost.and_then(|cost| cost.get("combined_cost")).and_then(cents),
            recording_url: self.text("recording_url"),
            analysis: analysis.map(without_nul),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(clean_text)
    }

    fn number_text(&self, name: &str) -> Option<String> {
        let value = without_nul(self.get(name)?);
        lenient::id_text(&value, 1, ID_MAX_CHARS).ok()
    }

    /// `[{"speaker","text"}]` of what was said; tools and transitions are left to the raw event.
    fn turns(&self) -> Option<Value> {
        let turns: Vec<Value> = self.spoken()?.iter().filter_map(turn).collect();
        (!turns.is_empty()).then_some(Value::Array(turns))
    }
}

/// Retell's word, in Retell's own spelling.
fn sentiment(word: String) -> String {
    let known = SENTIMENTS.iter().find(|known| known.eq_ignore_ascii_case(&word));
    known.map_or(word, |known| (*known).to_owned())
}

fn turn(said: &Value) -> Option<Value> {
    let speaker = said.get("role").and_then(clean_text)?;
    let text = said.get("content").and_then(clean_text)?;
    let spoken = !matches!(
        speaker.as_str(),
        "tool_call_invocation" | "tool_call_result" | "node_transition"
    );
    spoken.then(|| json!({"speaker": speaker, "text": text}))
}

/// Text without U+0000, which PostgreSQL refuses; empty text tells nothing.
fn clean_text(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let text = if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text.to_owned()
    };
    (!text.is_empty()).then_some(text)
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(values) => Value::Array(values.iter().map(without_nul).collect()),
        Value::Object(fields) => {
            let clean = fields
                .iter()
                .map(|(name, value)| (name.replace('\0', ""), without_nul(value)));
            Value::Object(clean.collect())
        }
        other => other.clone(),
    }
}

/// A moment; the unit is told by the magnitude.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    lenient::timestamp(value).ok()
}

fn milliseconds(value: &Value) -> Option<i64> {
    let number = number(value)?;
    let bounded = (0.0..=LONGEST_MS as f64).contains(&number);
    bounded.then_some(number.round() as i64)
}

/// An amount of money that a float holds exactly enough.
fn cents(value: &Value) -> Option<f64> {
    number(value).filter(|cents| (0.0..1e9).contains(cents))
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// SHA-256 of the value with the keys of every object in order and no space between: the same for the same event, whoever
/// forwarded it and however he wrote it.
fn hash(value: &Value) -> [u8; 32] {
    let mut sha = Sha256::new();
    digest(value, &mut sha);
    sha.finalize().into()
}

fn digest(value: &Value, sha: &mut Sha256) {
    match value {
        Value::Array(values) => {
            sha.update(b"[");
            for value in values {
                digest(value, sha);
                sha.update(b",");
            }
            sha.update(b"]");
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            sha.update(b"{");
            for (name, value) in fields {
                digest_text(name, sha);
                sha.update(b":");
                digest(value, sha);
                sha.update(b",");
            }
            sha.update(b"}");
        }
        Value::String(text) => digest_text(text, sha),
        Value::Number(number) => sha.update(canonical(number)),
        scalar => sha.update(scalar.to_string()),
    }
}

/// A number by its value: JavaScript, which may have forwarded it, writes `300000.0` as `300000`.
fn canonical(number: &Number) -> String {
    // Above 2^53 a float no longer names one whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

/// Text by its length, so that no text can look like something else.
fn digest_text(text: &str, sha: &mut Sha256) {
    sha.update(b"\"");
    sha.update((text.len() as u64).to_be_bytes());
    sha.update(text);
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
