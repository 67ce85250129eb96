//! How a call goes, and how a recording goes.

use std::time::Duration;

use serde_json::Value;

use super::values::digits;
use crate::control::Refused;

/// Longest time of a step.
const MAX_STEP_MS: u64 = 24 * 3600 * 1000;

/// How a call ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It is talked, and the callee hangs up.
    #[default]
    Completed,
    /// It is talked, and the agent deletes the room.
    AgentHangsUp,
    /// The callee's line is busy.
    Busy,
    /// It rings, and the callee declines.
    Declined,
    /// It rings until nobody answered.
    NoAnswer,
    /// The carrier refuses it.
    Refused,
    /// The carrier fails.
    TrunkFailure,
    /// It is answered, and the sound is lost.
    MediaFailure,
    /// The agent breaks before it dials.
    AgentError,
    /// The agent is there and does not dial.
    NeverDials,
    /// Only when it is told, or the room is deleted.
    Never,
}

/// Words on the wire, endings, the carrier's (or the agent's) words, and the end of numbers that end so.
const ENDINGS: [(&str, Ending, &str, Option<&str>); 11] = [
    ("completed", Ending::Completed, "", None),
    ("agent_hangs_up", Ending::AgentHangsUp, "", None),
    ("busy", Ending::Busy, "486 Busy Here", Some("0486")),
    ("declined", Ending::Declined, "603 Decline", Some("0603")),
    (
        "no_answer",
        Ending::NoAnswer,
        "480 Temporarily Unavailable",
        Some("0480"),
    ),
    ("refused", Ending::Refused, "403 Forbidden auth ID", Some("0403")),
    (
        "trunk_failure",
        Ending::TrunkFailure,
        "503 Service Unavailable",
        Some("0503"),
    ),
    ("media_failure", Ending::MediaFailure, "media timeout", None),
    (
        "agent_error",
        Ending::AgentError,
        "RuntimeError: the agent crashed",
        Some("0500"),
    ),
    ("never_dials", Ending::NeverDials, "", None),
    ("never", Ending::Never, "", None),
];

impl Ending {
    fn named(word: &str) -> Option<Self> {
        let found = ENDINGS.iter().find(|(known, ..)| *known == word);
        found.map(|(_, ending, ..)| *ending)
    }

    /// What a number says about itself by its last four digits.
    fn of_number(number: &str) -> Option<Self> {
        let found = ENDINGS
            .iter()
            .find(|(.., end)| end.is_some_and(|end| number.ends_with(end)));
        found.map(|(_, ending, ..)| *ending)
    }

    fn words(self) -> &'static str {
        let found = ENDINGS.iter().find(|(_, ending, ..)| *ending == self);
        found.map_or("", |(_, _, words, _)| words)
    }
}

/// How a call goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For calls to this number, compared by its digits; for every call when left out.
    pub destination: Option<String>,
    /// For so many calls; 0 until it is cleared.
    pub times: u32,
    /// How it ends.
    pub ending: Ending,
    /// Until a worker takes the job.
    pub job_after: Duration,
    /// Whether the job is listed until then, as pending.
    pub pends: bool,
    /// From there until the agent dials.
    pub dial_after: Duration,
    /// From there until it rings.
    pub dials: Duration,
    /// How long it rings.
    pub rings: Duration,
    /// How long they talk.
    pub talks: Duration,
    /// What the carrier says, or why the job failed.
    pub words: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            destination: None,
            times: 0,
            ending: Ending::default(),
            job_after: Duration::from_millis(20),
            pends: false,
            dial_after: Duration::from_millis(50),
            dials: Duration::from_millis(100),
            rings: Duration::from_secs(1),
            talks: Duration::from_secs(5),
            words: None,
        }
    }
}

impl Plan {
    /// Reads it as it comes over HTTP; what is left out is as in `usual`.
    ///
    /// # Errors
    /// The first field that is unknown or has no usable value.
    pub fn from_json(value: &Value, usual: &Self) -> Result<Self, Refused> {
        let Value::Object(fields) = value else {
            return Err(refused("body", "must be a JSON object"));
        };
        let mut plan = Self {
            destination: None,
            times: 0,
            ..usual.clone()
        };
        for (name, value) in fields {
            plan.set(name, value)?;
        }
        Ok(plan)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refused> {
        let text = || {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
                .ok_or_else(|| refused(name, "must be a text"))
        };
        let time = || {
            let time = value.as_u64().filter(|time| *time <= MAX_STEP_MS);
            time.map(Duration::from_millis)
                .ok_or_else(|| refused(name, "must be 0 to 86400000"))
        };
        match name {
            "destination" => self.destination = Some(text()?),
            "words" => self.words = Some(text()?),
            "times" => {
                let times = value.as_u64().and_then(|times| u32::try_from(times).ok());
                self.times = times.ok_or_else(|| refused(name, "must be a whole number from 0"))?;
            }
            "ending" => {
                let ending = value.as_str().and_then(Ending::named);
                self.ending = ending.ok_or_else(|| refused(name, "is not one of the endings"))?;
            }
            "pends" => {
                let pends = value.as_bool();
                self.pends = pends.ok_or_else(|| refused(name, "must be true or false"))?;
            }
            "jobAfterMs" => self.job_after = time()?,
            "dialAfterMs" => self.dial_after = time()?,
            "dialMs" => self.dials = time()?,
            "ringMs" => self.rings = time()?,
            "talkMs" => self.talks = time()?,
            _ => return Err(refused(name, "is not a field of a plan")),
        }
        Ok(())
    }

    /// What is told where the call fails.
    pub(super) fn words(&self) -> String {
        let own = self.words.clone();
        own.unwrap_or_else(|| self.ending.words().to_owned())
    }

    fn fits(&self, destination: &str) -> bool {
        self.destination
            .as_deref()
            .is_none_or(|wanted| digits(wanted) == digits(destination))
    }
}

/// The plans for coming calls.
pub(super) struct Plans {
    usual: Plan,
    told: Vec<Plan>,
}

impl Plans {
    /// Most plans that are kept.
    const MOST: usize = 10_000;

    pub(super) fn new(usual: Plan) -> Self {
        Self {
            usual,
            told: Vec::new(),
        }
    }

    pub(super) fn usual(&self) -> &Plan {
        &self.usual
    }

    pub(super) fn add(&mut self, plan: Plan) {
        if self.told.len() < Self::MOST {
            self.told.push(plan);
        }
    }

    pub(super) fn clear(&mut self) {
        self.told.clear();
    }

    /// The plan for a call: one that was told, else what the number says about itself, else the usual one.
    pub(super) fn take(&mut self, destination: &str) -> Plan {
        if let Some(at) = self.told.iter().position(|plan| plan.fits(destination)) {
            let told = &mut self.told[at];
            let plan = told.clone();
            match told.times {
                0 => {}
                1 => {
                    self.told.remove(at);
                }
                _ => told.times -= 1,
            }
            return plan;
        }
        let own = Ending::of_number(&digits(destination));
        Plan {
            ending: own.unwrap_or(self.usual.ending),
            ..self.usual.clone()
        }
    }
}

/// How a recording goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingEnding {
    /// It starts, and is there when it was stopped.
    #[default]
    Completes,
    /// It breaks after it started, with these words.
    Fails(String),
    /// Nobody takes it.
    Refused,
    /// It stays about to start.
    NeverStarts,
    /// It ends by itself because it is too long.
    LimitReached,
}

impl RecordingEnding {
    /// Reads it as it comes over HTTP.
    ///
    /// # Errors
    /// It names no ending.
    pub fn from_json(value: &Value) -> Result<Self, Refused> {
        match value.get("ending").and_then(Value::as_str) {
            Some("completes") => Ok(Self::Completes),
            Some("fails") => {
                let words = value.get("words").and_then(Value::as_str);
                Ok(Self::Fails(words.unwrap_or("Upload failed").to_owned()))
            }
            Some("refused") => Ok(Self::Refused),
            Some("never_starts") => Ok(Self::NeverStarts),
            Some("limit_reached") => Ok(Self::LimitReached),
            _ => Err(refused("ending", "is not one of the endings")),
        }
    }
}

pub(super) fn refused(field: &str, why: &'static str) -> Refused {
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
    fn the_first_plan_that_fits_is_used_up_then_the_number_then_the_usual() {
        let mut plans = Plans::new(Plan::default());
        let told =
            json!({"destination": "+61 402 012 298", "times": 1, "ending": "busy", "words": "600 Busy"});
        plans.add(Plan::from_json(&told, plans.usual()).unwrap());
        let plan = plans.take("61402012298");
        assert_eq!((plan.ending, plan.words().as_str()), (Ending::Busy, "600 Busy"));
        assert_eq!(plans.take("61402012298").ending, Ending::Completed);
        let plan = plans.take("+61731070403");
        assert_eq!(
            (plan.ending, plan.words().as_str()),
            (Ending::Refused, "403 Forbidden auth ID")
        );
        plans.add(Plan::from_json(&json!({"ending": "never"}), plans.usual()).unwrap());
        assert_eq!(plans.take("+61731070403").ending, Ending::Never);
        plans.clear();
        assert_eq!(plans.take("1").ending, Ending::Completed);
    }

    #[test]
    fn what_is_no_plan_is_refused_by_the_name_of_the_field() {
        for (body, field) in [
            (json!([]), "body"),
            (json!({"ending": "soon"}), "ending"),
            (json!({"ringMs": -1}), "ringMs"),
            (json!({"ring_ms": 1}), "ring_ms"),
            (json!({"destination": ""}), "destination"),
            (json!({"times": "1"}), "times"),
            (json!({"pends": 1}), "pends"),
        ] {
            assert_eq!(
                Plan::from_json(&body, &Plan::default()).unwrap_err().field,
                field,
                "{body}"
            );
        }
        assert_eq!(
            RecordingEnding::from_json(&json!({})).unwrap_err().field,
            "ending"
        );
    }

    #[test]
    fn every_ending_has_one_word() {
        for (word, ending, ..) in ENDINGS {
            assert_eq!(Ending::named(word), Some(ending));
        }
    }
}
