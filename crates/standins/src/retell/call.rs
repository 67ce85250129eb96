//! The events of one voice call: what Retell knows at each of them, and no more.
//!
//! A call that never connected has no `call_started` and nothing was said; a transferred one has its transfer's events.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::agents;
use super::play::Play;
use super::scripts::{self, Script, Speaker};
use super::values;
use super::webhooks::Played;

/// Reasons for which a call never connects.
const NEVER_CONNECTED: [&str; 14] = [
    "concurrency_limit_reached",
    "no_concurrency_fallback",
    "dial_busy",
    "dial_failed",
    "dial_no_answer",
    "invalid_destination",
    "telephony_provider_permission_denied",
    "telephony_provider_unavailable",
    "sip_routing_error",
    "marked_as_spam",
    "user_declined",
    "error_user_not_joined",
    "registered_call_timeout",
    "no_valid_payment",
];
/// How long a call rings that nobody answers.
const RINGING_MS: u64 = 30_000;
/// Cents a second for what a call is charged with.
const PRICES: [(&str, f64); 3] = [
    ("retell_voice_engine", 0.1166),
    ("gpt_4_1", 0.075),
    ("us_telephony", 0.025),
];

/// One call.
struct Call<'a> {
    script: &'a Script,
    agent: &'a str,
    id: String,
    from: String,
    to: String,
    start_ms: i64,
    duration_ms: u64,
    connected: bool,
    telephony_id: String,
    answer_ms: u64,
    reason: &'a str,
    sentiment: &'a str,
    own_url: &'a str,
}

/// The webhooks of a whole call.
pub(super) fn events(play: &Play, agent: &str, own_url: &str) -> Played {
    let reason = play.reason();
    let script = match reason {
        Some("voicemail_reached") => &scripts::VOICEMAIL,
        _ => scripts::next_call(),
    };
    let connected = !reason.is_some_and(|reason| NEVER_CONNECTED.contains(&reason));
    let usual = if connected {
        values::about(script.seconds * 1000)
    } else {
        0
    };
    let call = Call {
        script,
        agent,
        id: values::id("call"),
        from: play.from_number.clone().unwrap_or_else(values::phone),
        to: play.to_number.clone().unwrap_or_else(values::phone),
        start_ms: play.start_timestamp.unwrap_or_else(values::now_ms),
        duration_ms: play.duration.map_or(usual, |duration| {
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
        }),
        connected,
        telephony_id: format!("CA{}", values::hex(32)),
        answer_ms: values::about(1150),
        reason: reason.unwrap_or(script.reason),
        sentiment: play.sentiment.as_deref().unwrap_or(match connected {
            true => script.sentiment,
            false => "Unknown",
        }),
        own_url,
    };
    Played {
        bodies: call.bodies(),
        id: call.id,
    }
}

impl Call<'_> {
    fn bodies(&self) -> Vec<Bytes> {
        let mut bodies = Vec::new();
        let mut add = |event: &str, call: Map<String, Value>, more: Value| {
            let mut body = Map::from_iter([
                ("event".to_owned(), json!(event)),
                ("call".to_owned(), call.into()),
            ]);
            body.extend(more.as_object().cloned().unwrap_or_default());
            bodies.push(Value::Object(body).to_string().into());
        };
        let all = self.script.lines.len();
        if self.connected {
            add("call_started", self.basics("ongoing"), Value::Null);
            for turns in (2..all).step_by(2) {
                add("transcript_updated", self.talked("ongoing", turns), Value::Null);
            }
            for event in self.transfer() {
                let to = json!({"transfer_destination": {"type": "predefined", "number": "+14155550199"},
                    "transfer_option": {"type": "warm_transfer"}});
                add(event, self.talked("ongoing", all), to);
            }
            add("transcript_updated", self.talked("ended", all), Value::Null);
        }
        add("call_ended", self.ended(), Value::Null);
        add("call_analyzed", self.analyzed(), Value::Null);
        bodies
    }

    fn transfer(&self) -> &'static [&'static str] {
        match self.reason {
            "call_transfer" | "transfer_bridged" => {
                &["transfer_started", "transfer_bridged", "transfer_ended"]
            }
            "transfer_cancelled" => &["transfer_started", "transfer_cancelled"],
            _ => &[],
        }
    }

    fn basics(&self, status: &str) -> Map<String, Value> {
        object(json!({
            "call_id": self.id,
            "call_type": "phone_call",
            "call_status": status,
            "agent_id": self.agent,
            "agent_name": agents::name(self.agent),
            "agent_version": 3,
            "direction": self.script.direction,
            "from_number": self.from,
            "to_number": self.to,
            "start_timestamp": self.start_ms,
            "telephony_identifier": {"twilio_call_sid": self.telephony_id},
            "metadata": {"campaign": "demo"},
            "retell_llm_dynamic_variables": {"customer_name": self.script.customer},
            "data_storage_setting": "everything",
            "opt_in_signed_url": false,
        }))
    }

    fn talked(&self, status: &str, turns: usize) -> Map<String, Value> {
        let lines = self.script.lines.get(..turns).unwrap_or_default();
        let spoken = spoken(self.script.lines, self.duration_ms);
        let spoken = spoken.get(..turns).unwrap_or_default();
        let mut call = self.basics(status);
        call.extend(object(json!({
            "transcript": transcript(lines),
            "transcript_object": spoken,
            "transcript_with_tool_calls": spoken,
        })));
        call
    }

    fn ended(&self) -> Map<String, Value> {
        let rang_ms = if self.connected { 0 } else { RINGING_MS };
        let took_ms = i64::try_from(self.duration_ms + rang_ms).unwrap_or_default();
        let status = match self.reason {
            reason if reason.starts_with("error_") => "error",
            _ if self.connected => "ended",
            _ => "not_connected",
        };
        let mut call = if self.connected {
            self.talked(status, self.script.lines.len())
        } else {
            self.basics(status)
        };
        call.extend(object(json!({
            "end_timestamp": self.start_ms + took_ms,
            "duration_ms": self.duration_ms,
            "disconnection_reason": self.reason,
            "call_cost": self.cost(),
            "public_log_url": format!("{}/recordings/{}.wav?log", self.own_url, self.id),
        })));
        if self.connected {
            call.extend(object(json!({
                "recording_url": format!("{}/recordings/{}.wav", self.own_url, self.id),
                "latency": {
                    "e2e": latency(self.answer_ms),
                    "llm": latency(self.answer_ms / 2),
                    "tts": latency(self.answer_ms / 4),
                },
                "llm_token_usage": {"values": [2875, 3075], "average": 2975, "num_requests": 2},
            })));
        }
        call
    }

    fn analyzed(&self) -> Map<String, Value> {
        let analysis = if self.connected {
            json!({
                "call_summary": self.script.summary,
                "user_sentiment": self.sentiment,
                "call_successful": self.script.successful,
                "in_voicemail": self.reason == "voicemail_reached",
                "custom_analysis_data": {"next_step": self.script.next_step},
            })
        } else {
            json!({
                "call_summary": "The call was not connected.",
                "user_sentiment": self.sentiment,
                "call_successful": false,
                "in_voicemail": false,
                "custom_analysis_data": {},
            })
        };
        let mut call = self.ended();
        call.insert("call_analysis".to_owned(), analysis);
        call
    }

    /// In cents, as Retell counts.
    fn cost(&self) -> Value {
        let seconds = self.duration_ms.div_ceil(1000);
        let charged = f64::from(u32::try_from(seconds).unwrap_or(u32::MAX));
        let costs: Vec<Value> = PRICES
            .iter()
            .map(|(product, price)| json!({"product": product, "unit_price": price, "cost": thousandths(price * charged)}))
            .collect();
        let price: f64 = PRICES.iter().map(|(_, price)| price).sum();
        json!({
            "product_costs": costs,
            "total_duration_seconds": seconds,
            "total_duration_unit_price": thousandths(price),
            "combined_cost": thousandths(price * charged),
        })
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn latency(p50: u64) -> Value {
    json!({"p50": p50, "p90": p50 * 5 / 4, "p95": p50 * 4 / 3, "p99": p50 * 3 / 2, "min": p50 * 3 / 4, "max": p50 * 3 / 2,
        "num": 2, "values": [p50 * 3 / 4, p50 * 3 / 2]})
}

/// One line a turn: `Agent: …`, `User: …`.
pub(super) fn transcript(lines: &[(Speaker, &str)]) -> String {
    lines
        .iter()
        .map(|(speaker, text)| match speaker {
            Speaker::Agent => format!("Agent: {text}\n"),
            Speaker::User => format!("User: {text}\n"),
        })
        .collect()
}

pub(super) fn role(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Agent => "agent",
        Speaker::User => "user",
    }
}

/// The lines with their words spread evenly over the call, in seconds of audio.
fn spoken(lines: &[(Speaker, &str)], duration_ms: u64) -> Vec<Value> {
    let words: u64 = lines.iter().map(|(_, text)| text.split(' ').count() as u64).sum();
    let second = |at: u64| {
        let ms = u32::try_from(duration_ms.saturating_mul(at) / words.max(1)).unwrap_or(u32::MAX);
        f64::from(ms) / 1000.0
    };
    let mut at = 0;
    let mut turn = |(speaker, text): &(Speaker, &str)| {
        let words: Vec<Value> = text
            .split(' ')
            .map(|word| {
                at += 1;
                json!({"word": word, "start": second(at - 1), "end": second(at)})
            })
            .collect();
        json!({"role": role(*speaker), "content": text, "words": words})
    };
    lines.iter().map(&mut turn).collect()
}

/// The fields of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
