//! A call as its client sees it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use switchhook_core::models::time::WireTime;
use utoipa::ToSchema;

/// One call, as lists and streams show it. What is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownCall {
    /// Retell's `call_id`, or the `chat_id` of a chat.
    pub call_id: String,
    /// The agent.
    pub agent_id: String,
    /// `voice` or `chat`.
    pub channel: String,
    /// `registered`, `not_connected`, `ongoing`, `ended`, `error`, or a newer word of Retell's.
    pub status: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// Who called.
    pub from_number: Option<String>,
    /// Who was called.
    pub to_number: Option<String>,
    /// When it started.
    pub started_at: Option<WireTime>,
    /// When it ended.
    pub ended_at: Option<WireTime>,
    /// Minutes, two decimals.
    pub duration_minutes: Option<f64>,
    /// What the call was about, in Retell's words.
    pub summary: Option<String>,
    /// `Positive`, `Negative`, `Neutral` or `Unknown`.
    pub sentiment: Option<String>,
    /// Whether the call reached its goal, as Retell judges.
    pub successful: Option<bool>,
    /// Why it ended.
    pub disconnection_reason: Option<String>,
    /// What it cost, in cents.
    pub cost_cents: Option<f64>,
    /// Where the recording is; such addresses may expire.
    pub recording_url: Option<String>,
    /// When its first event arrived.
    pub created_at: WireTime,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Turn {
    /// Retell's role: `agent`, `user`, `transfer_target`, …
    pub speaker: String,
    /// What was said.
    pub text: String,
}

/// One call with all that was said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallDetail {
    /// As in lists.
    #[serde(flatten)]
    pub call: ShownCall,
    /// The conversation as one text.
    pub transcript: Option<String>,
    /// The conversation by speaker.
    pub turns: Vec<Turn>,
    /// Retell's analysis as it came.
    pub analysis: Option<Value>,
}

/// The turns of a conversation: as Retell listed them, else read from the text.
pub fn turns(listed: Option<&Value>, transcript: Option<&str>) -> Vec<Turn> {
    match listed.and_then(Value::as_array) {
        Some(listed) => listed.iter().filter_map(turn).collect(),
        None => transcript.map_or_else(Vec::new, turns_of_text),
    }
}

fn turn(listed: &Value) -> Option<Turn> {
    Some(Turn {
        speaker: listed.get("speaker")?.as_str()?.to_owned(),
        text: listed.get("text")?.as_str()?.to_owned(),
    })
}

/// Lines `Agent: …` and `User: …`; a line without either goes on with the turn before it.
fn turns_of_text(transcript: &str) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for line in transcript
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        let spoken = line
            .split_once(':')
            .filter(|(speaker, _)| matches!(*speaker, "Agent" | "User"));
        match (spoken, turns.last_mut()) {
            (Some((speaker, text)), _) => turns.push(Turn {
                speaker: speaker.to_lowercase(),
                text: text.trim_start().to_owned(),
            }),
            (None, Some(turn)) => {
                turn.text.push('\n');
                turn.text.push_str(line);
            }
            // Text of nobody: it is in the transcript.
            (None, None) => {}
        }
    }
    turns
}

/// How the person felt, as Retell judges. What Retell does not say, or says in a newer word, is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sentiment {
    /// Content.
    Positive,
    /// Neither.
    Neutral,
    /// Not content.
    Negative,
    /// Not known.
    Unknown,
}

impl Sentiment {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Positive, Self::Neutral, Self::Negative, Self::Unknown];

    /// Retell's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Positive => "Positive",
            Self::Neutral => "Neutral",
            Self::Negative => "Negative",
            Self::Unknown => "Unknown",
        }
    }

    /// What is said of a call.
    pub fn of(said: Option<&str>) -> Self {
        said.and_then(Self::named).unwrap_or(Self::Unknown)
    }

    /// The sentiment of a name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.word().eq_ignore_ascii_case(name))
    }
}

/// Where a page of a list ended: lists go by time, and by id among calls of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The start of the call, else the arrival of its first event.
    pub sort_at: DateTime<Utc>,
    /// The call's own number.
    pub id: i64,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

impl fmt::Display for Cursor {
    /// `<microseconds>.<id>`: PostgreSQL keeps microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sort_at.timestamp_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (micros, id) = text.split_once('.').ok_or(BadCursor)?;
        let micros: i64 = micros.parse().map_err(|_| BadCursor)?;
        // Years 0 to 9999: outside of it PostgreSQL cannot follow.
        let bounded = (-62_167_219_200_000_000..=253_402_300_799_999_999).contains(&micros);
        let sort_at = DateTime::from_timestamp_micros(micros)
            .filter(|_| bounded)
            .ok_or(BadCursor)?;
        Ok(Self {
            sort_at,
            id: id.parse().map_err(|_| BadCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn said(turns: &[Turn]) -> Vec<(&str, &str)> {
        turns
            .iter()
            .map(|turn| (turn.speaker.as_str(), turn.text.as_str()))
            .collect()
    }

    #[test]
    fn turns_come_from_the_list_else_from_the_text() {
        let listed =
            json!([{"speaker": "agent", "text": "Hi"}, {"speaker": "transfer_target", "text": "Yes?"}]);
        let text = "(music)\nAgent: Hi: there\nand welcome\n\nUser:Bye\r\nNote: hm\n";
        assert_eq!(
            said(&turns(Some(&listed), Some(text))),
            [("agent", "Hi"), ("transfer_target", "Yes?")]
        );
        let parsed = turns(None, Some(text));
        assert_eq!(
            said(&parsed),
            [("agent", "Hi: there\nand welcome"), ("user", "Bye\nNote: hm")]
        );
        assert_eq!(turns(None, None), []);
        assert_eq!(turns(None, Some("no speaker at all")), []);
    }

    #[test]
    fn sentiments_are_known_in_any_case_and_else_unknown() {
        for sentiment in Sentiment::ALL {
            assert_eq!(
                Sentiment::named(&sentiment.word().to_uppercase()),
                Some(sentiment)
            );
        }
        assert_eq!(Sentiment::named("angry"), None);
        assert_eq!(Sentiment::of(Some("angry")), Sentiment::Unknown);
        assert_eq!(Sentiment::of(None), Sentiment::Unknown);
    }

    proptest! {
        #[test]
        fn a_cursor_survives_the_way_through_a_url(micros in 0_i64..253_402_300_799_999_999, id: i64) {
            let cursor = Cursor { sort_at: DateTime::from_timestamp_micros(micros).unwrap(), id };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_is_refused(text in ".{0,60}") {
            let _ = text.parse::<Cursor>();
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            ".",
            "1",
            "x.1",
            "1.x",
            "1.2.3",
            "99999999999999999999.1",
            "9223372036854775807.1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
