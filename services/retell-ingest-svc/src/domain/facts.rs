//! What is known of a call, and from which of its events.
//!
//! Every fact has the value of the highest ranking event that knows it. Ranks are a total order over the events of a call,
//! so whatever the order of arrival, the same events end in the same facts; an event that does not know a fact (null,
//! missing, of the wrong type) never takes it away.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a call has come when an event is sent, and so how much the event knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// An event that is not known here.
    Unknown = 0,
    /// `call_started`, `chat_started`: the basic facts.
    Started = 1,
    /// `transcript_updated`: in the middle of it, or once more at its end.
    Updated = 2,
    /// `transfer_…`.
    Transfer = 3,
    /// `call_ended`, `chat_ended`: everything but the analysis.
    Ended = 4,
    /// `call_analyzed`, `chat_analyzed`: everything.
    Analyzed = 5,
}

impl Stage {
    /// The stage of an event by its name.
    pub fn of(event: &str) -> Self {
        match event {
            "call_started" | "chat_started" => Self::Started,
            "transcript_updated" => Self::Updated,
            "transfer_started" | "transfer_bridged" | "transfer_cancelled" | "transfer_ended" => {
                Self::Transfer
            }
            "call_ended" | "chat_ended" => Self::Ended,
            "call_analyzed" | "chat_analyzed" => Self::Analyzed,
            _ => Self::Unknown,
        }
    }

    /// The stage as it is stored.
    pub fn number(self) -> i16 {
        self as i16
    }

    /// The stage that a number stands for.
    pub fn from_number(number: i16) -> Self {
        match number {
            1 => Self::Started,
            2 => Self::Updated,
            3 => Self::Transfer,
            4 => Self::Ended,
            5 => Self::Analyzed,
            _ => Self::Unknown,
        }
    }
}

/// Where an event stands among the events of its call: by stage, by how much had been said, by when it first arrived, and
/// by the first 8 bytes of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank(pub i16, pub u32, pub i64, pub u64);

impl Rank {
    /// The rank of an event.
    pub fn new(stage: Stage, utterances: u32, received_at: DateTime<Utc>, hash: &[u8; 32]) -> Self {
        let mut head = [0; 8];
        head.copy_from_slice(&hash[..8]);
        Self(
            stage.number(),
            utterances,
            received_at.timestamp_micros(),
            u64::from_be_bytes(head),
        )
    }
}

macro_rules! facts {
    ($($(#[doc = $doc:literal])+ $fact:ident : $type:ty,)+) => {
        /// Facts of a call. What is not known is `None`.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Facts {
            $($(#[doc = $doc])+ pub $fact: Option<$type>,)+
        }

        impl Facts {
            /// Keeps those facts that rank higher than what is known, and notes that they come from this event.
            #[must_use]
            pub fn winning(mut self, rank: Rank, sources: &mut Sources) -> Self {
                $(
                    if self.$fact.is_some() && !sources.raise(stringify!($fact), rank) {
                        self.$fact = None;
                    }
                )+
                self
            }

            /// Takes over the facts that `newer` has.
            pub fn overlay(&mut self, newer: Self) {
                $( if newer.$fact.is_some() { self.$fact = newer.$fact; } )+
            }
        }

        const NAMES: &[&str] = &[$(stringify!($fact)),+];
    };
}

facts! {
    /// The agent.
    agent_id: String,
    /// `voice` or `chat`.
    channel: String,
    /// Retell's `call_status` or `chat_status`.
    status: String,
    /// `inbound` or `outbound`.
    direction: String,
    /// Who called.
    from_number: String,
    /// Who was called.
    to_number: String,
    /// When it started.
    started_at: DateTime<Utc>,
    /// When it ended.
    ended_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    duration_ms: i64,
    /// The conversation as one text.
    transcript: String,
    /// The conversation by speaker: `[{"speaker","text"}]`.
    turns: Value,
    /// What it was about.
    summary: String,
    /// The mood of the person.
    sentiment: String,
    /// Whether it reached its goal.
    successful: bool,
    /// Why it ended.
    disconnection_reason: String,
    /// What it cost, in cents.
    cost_cents: f64,
    /// Where the recording is.
    recording_url: String,
    /// Retell's analysis as it came.
    analysis: Value,
}

/// From which event each fact comes. Stored as a list of `{"rank": […], "facts": [names]}`, because most facts of a call
/// come from one event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Source>", into = "Vec<Source>")]
pub struct Sources(BTreeMap<Name, Rank>);

/// The name of a fact: one of [`NAMES`], or what a newer release has written.
type Name = Cow<'static, str>;

#[derive(Debug, Serialize, Deserialize)]
struct Source {
    rank: Rank,
    facts: Vec<Name>,
}

impl Sources {
    /// Notes the rank of a fact where it is higher than the present one.
    fn raise(&mut self, fact: &'static str, rank: Rank) -> bool {
        match self.0.get_mut(fact) {
            Some(known) if *known >= rank => false,
            Some(known) => {
                *known = rank;
                true
            }
            None => {
                self.0.insert(Name::Borrowed(fact), rank);
                true
            }
        }
    }
}

impl From<Vec<Source>> for Sources {
    fn from(groups: Vec<Source>) -> Self {
        let each = groups.into_iter().flat_map(|group| {
            let rank = group.rank;
            group.facts.into_iter().map(move |fact| (known(fact), rank))
        });
        Self(each.collect())
    }
}

/// A name that was read, without a memory of its own where it is one of ours.
fn known(name: Name) -> Name {
    let ours = NAMES.iter().find(|ours| **ours == name);
    ours.map_or(name, |ours| Name::Borrowed(ours))
}

impl From<Sources> for Vec<Source> {
    fn from(sources: Sources) -> Self {
        let mut groups: BTreeMap<Rank, Vec<Name>> = BTreeMap::new();
        for (fact, rank) in sources.0 {
            groups.entry(rank).or_default().push(fact);
        }
        groups
            .into_iter()
            .map(|(rank, facts)| Source { rank, facts })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(text: &str) -> Facts {
        Facts {
            summary: Some(text.to_owned()),
            ..Facts::default()
        }
    }

    #[test]
    fn what_ranks_lower_or_is_not_known_changes_nothing() {
        let mut sources = Sources::default();
        let mut known = summary("late").winning(Rank(5, 3, 10, 0), &mut sources);
        let early = summary("early").winning(Rank(4, 9, 99, 9), &mut sources);
        assert_eq!(early, Facts::default());
        known.overlay(early);
        known.overlay(Facts::default().winning(Rank(5, 9, 99, 9), &mut sources));
        assert_eq!(known, summary("late"));
    }

    #[test]
    fn the_same_event_again_wins_nothing() {
        let mut sources = Sources::default();
        let rank = Rank(5, 3, 10, 7);
        assert_eq!(summary("a").winning(rank, &mut sources), summary("a"));
        assert_eq!(summary("a").winning(rank, &mut sources), Facts::default());
    }

    #[test]
    fn sources_survive_the_way_through_the_database() {
        let mut sources = Sources::default();
        for (nth, name) in NAMES.iter().enumerate() {
            sources.raise(name, Rank((nth % 3) as i16, 1, i64::MAX, u64::MAX));
        }
        let stored = serde_json::to_value(&sources).unwrap();
        assert_eq!(stored.as_array().map(Vec::len), Some(3));
        assert_eq!(serde_json::from_value::<Sources>(stored).unwrap(), sources);
    }

    #[test]
    fn stages_survive_the_way_through_the_database() {
        for number in 0..=5 {
            assert_eq!(Stage::from_number(number).number(), number);
        }
        assert_eq!(Stage::from_number(99), Stage::Unknown);
    }
}
