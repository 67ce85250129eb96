//! What a call is to be like: the body of `POST /_call`.

use std::time::Duration;

use serde_json::Value;

use crate::control::Refused;

/// A call that was talked through, in the words of an order.
const COMPLETED: &str = "completed";
const VOICEMAIL: &str = "voicemail";
/// Why a call may end (`disconnection_reason`); as an outcome each stands for itself.
const REASONS: [&str; 34] = [
    "user_hangup",
    "agent_hangup",
    "call_transfer",
    "voicemail_reached",
    "ivr_reached",
    "inactivity",
    "max_duration_reached",
    "concurrency_limit_reached",
    "no_concurrency_fallback",
    "no_valid_payment",
    "scam_detected",
    "dial_busy",
    "dial_failed",
    "dial_no_answer",
    "invalid_destination",
    "telephony_provider_permission_denied",
    "telephony_provider_unavailable",
    "sip_routing_error",
    "marked_as_spam",
    "user_declined",
    "error_llm_websocket_open",
    "error_llm_websocket_lost_connection",
    "error_llm_websocket_runtime",
    "error_llm_websocket_corrupt_payload",
    "error_no_audio_received",
    "error_asr",
    "error_retell",
    "error_unknown",
    "error_user_not_joined",
    "registered_call_timeout",
    "transfer_bridged",
    "transfer_cancelled",
    "manual_stopped",
    "call_take_over",
];
const SENTIMENTS: [&str; 4] = ["Negative", "Positive", "Neutral", "Unknown"];
/// Longest call: Retell's own limit of two hours.
const MAX_DURATION_MS: u64 = 2 * 3600 * 1000;
const MAX_PAUSE_MS: u64 = 3600 * 1000;

/// One call or chat to be played. Whatever is left out is chosen among a few real-looking ones.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// The agent; the first one that a key sees when none is named.
    pub agent_id: Option<String>,
    /// `completed` (also when left out), `voicemail`, or any `disconnection_reason`.
    pub outcome: Option<String>,
    /// How long the call was, whatever time the playing takes.
    pub duration: Option<Duration>,
    /// A chat in place of a call.
    pub chat: bool,
    /// `Positive`, `Negative`, `Neutral` or `Unknown`.
    pub sentiment: Option<String>,
    /// Between two events.
    pub pause: Option<Duration>,
    /// Who called.
    pub from_number: Option<String>,
    /// Who was called.
    pub to_number: Option<String>,
    /// When it began, in milliseconds since 1970; now when left out, so that it belongs to who has the agent now.
    pub start_timestamp: Option<i64>,
}

impl Play {
    /// Reads it as it comes over HTTP.
    ///
    /// # Errors
    /// The first field that is unknown or has no usable value.
    pub fn from_json(value: &Value) -> Result<Self, Refused> {
        let Value::Object(fields) = value else {
            return Err(refused("body", "must be a JSON object"));
        };
        let mut play = Self::default();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            play.set(name, value)?;
        }
        play.check()?;
        Ok(play)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refused> {
        let text = || {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(|text| Some(text.to_owned()))
                .ok_or_else(|| refused(name, "must be a text"))
        };
        let time = |most: u64| {
            let time = value.as_u64().filter(|time| *time <= most);
            time.map(|time| Some(Duration::from_millis(time)))
                .ok_or_else(|| refused(name, "must be a whole number of milliseconds, and not too many"))
        };
        match name {
            "agent_id" => self.agent_id = text()?,
            "outcome" => self.outcome = text()?,
            "sentiment" => self.sentiment = text()?,
            "from_number" => self.from_number = text()?,
            "to_number" => self.to_number = text()?,
            "duration_ms" => self.duration = time(MAX_DURATION_MS)?,
            "pause_ms" => self.pause = time(MAX_PAUSE_MS)?,
            "chat" => {
                self.chat = value
                    .as_bool()
                    .ok_or_else(|| refused(name, "must be true or false"))?
            }
            "start_timestamp" => {
                let start = value.as_i64().filter(|start| *start >= 0);
                self.start_timestamp =
                    Some(start.ok_or_else(|| refused(name, "must be milliseconds since 1970"))?);
            }
            _ => return Err(refused(name, "is not a field of a call")),
        }
        Ok(())
    }

    /// Whether the words are words that Retell has.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let outcome = self.outcome.as_deref().unwrap_or(COMPLETED);
        if outcome != COMPLETED && outcome != VOICEMAIL && !REASONS.contains(&outcome) {
            return Err(refused(
                "outcome",
                "must be completed, voicemail or a disconnection_reason",
            ));
        }
        match self.sentiment.as_deref() {
            Some(sentiment) if !SENTIMENTS.contains(&sentiment) => Err(refused(
                "sentiment",
                "must be Positive, Negative, Neutral or Unknown",
            )),
            _ => Ok(()),
        }
    }

    /// Why the call ends; none for one that its script ends.
    pub(super) fn reason(&self) -> Option<&str> {
        match self.outcome.as_deref() {
            None | Some(COMPLETED) => None,
            Some(VOICEMAIL) => Some("voicemail_reached"),
            reason => reason,
        }
    }
}

fn refused(field: &str, why: &'static str) -> Refused {
    Refused {
        field: field.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_read_and_null_counts_as_left_out() {
        let play = Play::from_json(&json!({
            "agent_id": "agent_a", "outcome": "voicemail", "duration_ms": 61_000, "chat": false,
            "sentiment": "Neutral", "pause_ms": 5, "from_number": "+1", "to_number": null, "start_timestamp": 17,
        }))
        .unwrap();
        assert_eq!(
            (play.agent_id.as_deref(), play.reason()),
            (Some("agent_a"), Some("voicemail_reached"))
        );
        assert_eq!(
            (play.duration, play.pause),
            (Some(Duration::from_secs(61)), Some(Duration::from_millis(5)))
        );
        assert_eq!((play.to_number, play.start_timestamp), (None, Some(17)));
    }

    #[test]
    fn what_is_no_call_is_refused_by_the_name_of_the_field() {
        let cases = [
            (json!([]), "body"),
            (json!({"outcome": "dial_no_anwser"}), "outcome"),
            (json!({"outcome": 7}), "outcome"),
            (json!({"agent_id": ""}), "agent_id"),
            (json!({"sentiment": "positive"}), "sentiment"),
            (json!({"duration_ms": "1"}), "duration_ms"),
            (json!({"pause_ms": -1}), "pause_ms"),
            (json!({"chat": "yes"}), "chat"),
            (json!({"start_timestamp": -1}), "start_timestamp"),
            (json!({"agentId": "agent_a"}), "agentId"),
        ];
        for (body, field) in cases {
            assert_eq!(Play::from_json(&body).unwrap_err().field, field, "{body}");
        }
    }
}
