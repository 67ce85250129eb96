//! A call, folded from its events: commutative, associative, idempotent. Ownership is not decided here.

use chrono::{DateTime, Utc};

use super::event::Event;
use super::facts::{Facts, Rank, Sources, Stage};

/// Words of Retell's for a call that is over.
const OVER: [&str; 3] = ["ended", "error", "not_connected"];

/// What is known of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The furthest stage of its events.
    pub stage: Stage,
    /// What is known.
    pub facts: Facts,
    /// From which events.
    pub sources: Sources,
    /// When its first event came.
    pub created_at: DateTime<Utc>,
    /// When its last event came.
    pub heard_at: DateTime<Utc>,
}

impl Call {
    /// A call of which nothing is known but when it was heard of.
    pub fn empty(created_at: DateTime<Utc>) -> Self {
        Self {
            stage: Stage::Unknown,
            facts: Facts::default(),
            sources: Sources::default(),
            created_at,
            heard_at: created_at,
        }
    }

    /// A call of which one event is known.
    pub fn of(event: &Event) -> Self {
        let mut call = Self::empty(event.received_at);
        call.take(event);
        call
    }

    /// Takes one more event in. An event that was taken before must not be handed in as new: `received_at` of the first
    /// arrival is part of its rank.
    pub fn take(&mut self, event: &Event) {
        let rank = Rank::new(event.stage, event.utterances, event.received_at, &event.hash);
        let newer = event.facts.clone().winning(rank, &mut self.sources);
        self.facts.overlay(newer);
        self.stage = self.stage.max(event.stage);
        self.created_at = self.created_at.min(event.received_at);
        self.heard_at = self.heard_at.max(event.received_at);
    }

    /// Retell's word, unless a later event says without words that the call is over.
    pub fn status(&self) -> Option<&str> {
        let said = self.facts.status.as_deref();
        if said.is_some_and(|word| OVER.contains(&word)) {
            return said;
        }
        match self.stage {
            Stage::Ended | Stage::Analyzed => Some("ended"),
            Stage::Started | Stage::Updated | Stage::Transfer => said.or(Some("ongoing")),
            Stage::Unknown => said,
        }
    }

    /// Minutes with two decimals: Retell's own duration, else the difference of the times.
    pub fn duration_minutes(&self) -> Option<f64> {
        let between = || {
            let (from, to) = self.facts.started_at.zip(self.facts.ended_at)?;
            Some((to - from).num_milliseconds()).filter(|ms| *ms >= 0)
        };
        let ms = self.facts.duration_ms.or_else(between)?;
        Some((ms as f64 / 600.0).round() / 100.0)
    }

    /// What lists go by.
    pub fn sort_at(&self) -> DateTime<Utc> {
        self.facts.started_at.unwrap_or(self.created_at)
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
