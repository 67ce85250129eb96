//! How webhooks arrive: on time, late, twice, out of order or never.

use std::time::Duration;

use serde_json::Value;

use super::plan::refused;
use crate::control::Refused;

/// Longest delay that can be ordered.
const MAX_DELAY_MS: u64 = 3600 * 1000;
/// Most copies of one webhook.
const MAX_COPIES: u64 = 100;

/// In which order webhooks go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InWhichOrder {
    /// As LiveKit sends them: those of a room, or of a recording, one after the other.
    #[default]
    InTurn,
    /// Each by itself, at some moment within half a second.
    Shuffled,
    /// Those of a room are kept until it is closed, and the last one goes first.
    Reversed,
}

/// How webhooks arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whether they are sent at all.
    pub sends: bool,
    /// How late they are.
    pub delay: Duration,
    /// How often each is sent, whatever the answers are.
    pub copies: u32,
    /// In which order.
    pub order: InWhichOrder,
    /// The names of the only events that are sent.
    pub events: Option<Vec<String>>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            sends: true,
            delay: Duration::ZERO,
            copies: 1,
            order: InWhichOrder::InTurn,
            events: None,
        }
    }
}

impl Delivery {
    /// Reads it as it comes over HTTP; what is left out is as usual.
    ///
    /// # Errors
    /// The first field that is unknown or has no usable value.
    pub fn from_json(value: &Value) -> Result<Self, Refused> {
        let Value::Object(fields) = value else {
            return Err(refused("body", "must be a JSON object"));
        };
        let mut delivery = Self::default();
        for (name, value) in fields {
            delivery.set(name, value)?;
        }
        Ok(delivery)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refused> {
        match name {
            "sends" => {
                self.sends = value
                    .as_bool()
                    .ok_or_else(|| refused(name, "must be true or false"))?;
            }
            "delayMs" => {
                let delay = value.as_u64().filter(|delay| *delay <= MAX_DELAY_MS);
                let delay = delay.ok_or_else(|| refused(name, "must be 0 to 3600000"))?;
                self.delay = Duration::from_millis(delay);
            }
            "copies" => {
                let copies = value.as_u64().filter(|copies| (1..=MAX_COPIES).contains(copies));
                let copies = copies.and_then(|copies| u32::try_from(copies).ok());
                self.copies = copies.ok_or_else(|| refused(name, "must be 1 to 100"))?;
            }
            "order" => {
                self.order = match value.as_str() {
                    Some("in_turn") => InWhichOrder::InTurn,
                    Some("shuffled") => InWhichOrder::Shuffled,
                    Some("reversed") => InWhichOrder::Reversed,
                    _ => return Err(refused(name, "must be in_turn, shuffled or reversed")),
                }
            }
            "events" => {
                let names = value.as_array().map(|names| {
                    let name = |name: &Value| name.as_str().map(str::to_owned);
                    names.iter().map(name).collect::<Option<Vec<_>>>()
                });
                self.events = Some(
                    names
                        .flatten()
                        .ok_or_else(|| refused(name, "must be a list of names"))?,
                );
            }
            _ => return Err(refused(name, "is not a field of a delivery")),
        }
        Ok(())
    }

    /// Whether an event of this name is sent.
    pub(super) fn admits(&self, event: &str) -> bool {
        let is_named = |names: &Vec<String>| names.iter().any(|name| name == event);
        self.sends && self.events.as_ref().is_none_or(is_named)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_delivery_is_refused_by_the_name_of_the_field() {
        for (body, field) in [
            (json!(1), "body"),
            (json!({"copies": 0}), "copies"),
            (json!({"order": "random"}), "order"),
            (json!({"events": "room_started"}), "events"),
            (json!({"delay": 1}), "delay"),
        ] {
            assert_eq!(Delivery::from_json(&body).unwrap_err().field, field, "{body}");
        }
        let told = Delivery::from_json(&json!({"events": ["room_finished"], "copies": 2})).unwrap();
        assert!(told.admits("room_finished") && !told.admits("room_started"));
    }
}
