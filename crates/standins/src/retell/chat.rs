//! The events of one chat.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::{object, role, transcript};
use super::play::Play;
use super::scripts::{self, Script};
use super::values;
use super::webhooks::Played;

/// Cents a message of the agent.
const PRICE: f64 = 0.4;

struct Chat<'a> {
    script: &'a Script,
    agent: &'a str,
    id: String,
    start_ms: i64,
    duration_ms: i64,
    sentiment: &'a str,
}

/// The webhooks of a whole chat.
pub(super) fn events(play: &Play, agent: &str) -> Played {
    let script = scripts::next_chat();
    let usual = values::about(script.seconds * 1000);
    let duration = play
        .duration
        .map_or(u128::from(usual), |duration| duration.as_millis());
    let chat = Chat {
        script,
        agent,
        id: values::id("chat"),
        start_ms: play.start_timestamp.unwrap_or_else(values::now_ms),
        duration_ms: i64::try_from(duration).unwrap_or(i64::MAX),
        sentiment: play.sentiment.as_deref().unwrap_or(script.sentiment),
    };
    Played {
        bodies: chat.bodies(),
        id: chat.id,
    }
}

impl Chat<'_> {
    fn bodies(&self) -> Vec<Bytes> {
        let all = self.script.lines.len();
        let mut bodies = vec![body("chat_started", self.at("ongoing", 0))];
        for turns in (2..all).step_by(2) {
            bodies.push(body("transcript_updated", self.at("ongoing", turns)));
        }
        bodies.push(body("chat_ended", self.ended()));
        bodies.push(body("chat_analyzed", self.analyzed()));
        bodies
    }

    fn at(&self, status: &str, turns: usize) -> Map<String, Value> {
        let lines = self.script.lines.get(..turns).unwrap_or_default();
        let messages: Vec<Value> = lines
            .iter()
            .enumerate()
            .map(|(at, (speaker, text))| {
                let after = i64::try_from(at + 1).unwrap_or_default() * self.duration_ms
                    / i64::try_from(self.script.lines.len() + 1).unwrap_or(1);
                json!({"message_id": format!("{}-{at}", self.id), "role": role(*speaker), "content": text,
                    "created_timestamp": self.start_ms + after})
            })
            .collect();
        object(json!({
            "chat_id": self.id,
            "chat_type": "api_chat",
            "chat_status": status,
            "agent_id": self.agent,
            "version": 3,
            "start_timestamp": self.start_ms,
            "transcript": transcript(lines),
            "message_with_tool_calls": messages,
            "metadata": {"page": "/contact"},
            "retell_llm_dynamic_variables": {"customer_name": self.script.customer},
        }))
    }

    fn ended(&self) -> Map<String, Value> {
        let answers = self
            .script
            .lines
            .iter()
            .filter(|(speaker, _)| *speaker == scripts::Speaker::Agent);
        let answers = answers.map(|_| 1_u32).sum::<u32>();
        let cost = PRICE * f64::from(answers);
        let mut chat = self.at("ended", self.script.lines.len());
        chat.extend(object(json!({
            "end_timestamp": self.start_ms + self.duration_ms,
            "chat_cost": {"combined_cost": cost, "product_costs": [{"product": "gpt_4_1", "unit_price": PRICE, "cost": cost}]},
        })));
        chat
    }

    fn analyzed(&self) -> Map<String, Value> {
        let mut chat = self.ended();
        chat.insert(
            "chat_analysis".to_owned(),
            json!({
                "chat_summary": self.script.summary,
                "user_sentiment": self.sentiment,
                "chat_successful": self.script.successful,
                "custom_analysis_data": {"next_step": self.script.next_step},
            }),
        );
        chat
    }
}

fn body(event: &str, chat: Map<String, Value>) -> Bytes {
    json!({"event": event, "chat": chat}).to_string().into()
}
