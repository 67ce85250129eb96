//! The bots in n8n: what is owed to a channel's bot when a visitor writes, and what its answer, or the lack of one, means.
//!
//! The outbox sends it; this is its owner. It does not open connections itself.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use switchhook_chassis::kit::Kit;
use switchhook_chassis::outbox::{
    After, AtOnce, Delivery, Draft, Ending, Guarantee, Listener, NewDelivery, Outcome, Owner, Reason, Topic,
};
use switchhook_core::n8n::said::{self, Said};
use switchhook_core::trace::TraceContext;
use url::Url;
use uuid::Uuid;

use super::request;
pub(crate) use super::request::Asked;
use super::streamed::{Answering, Shown, Streams};
use crate::app::AppState;
use crate::config::{Channels, ChatSettings};
use crate::domain::channel::ChannelName;
use crate::domain::entry::{Audience, Entry, EntryKind, Message, Sender};
use crate::domain::ids::{MessageId, SessionId};
use crate::hub::Hub;
use crate::log::Replies;
use crate::registry::Registry;
use crate::store::entries::{self, Reply};
use crate::store::replies::{self, Flag, NewReply};

/// A visitor's message to the bot. n8n does not deduplicate, and after a time-out its run is probably still going.
pub(crate) const MESSAGE: Topic = Topic {
    name: "chat.message",
    guarantee: Guarantee::AtLeastOnce { always: false },
    give_up_after: Duration::from_secs(30 * 60),
    // `BOT_TIMEOUT` says it.
    answer_limit: None,
    opening: 200,
    in_flight: 2_000,
};
/// Messages of one answer that are kept.
const MAX_PARTS: usize = 20;

/// All topics of the service.
pub(crate) static TOPICS: [Topic; 1] = [MESSAGE];

/// What the bot is owed for a visitor's message; its row has the message's id.
pub(crate) fn draft(state: &AppState, asked: &Asked<'_>) -> Result<Draft, sqlx::Error> {
    let body = request::body(state.settings.n8n_chat_format, asked);
    let new = NewDelivery {
        key: asked.session.to_string(),
        target: asked.channel.to_string(),
        body: body.map_err(|error| sqlx::Error::Encode(error.into()))?,
        trace: TraceContext::from_seed(asked.message.0),
    };
    Ok(state.outbox.draft(asked.message.0, &MESSAGE, new))
}

/// The owner of the messages in the outbox.
pub(crate) struct Bots {
    kit: Kit,
    channels: Arc<Channels>,
    answer_limit: Duration,
    answer_bytes: usize,
    hub: Hub,
    registry: Registry,
    replies: Replies,
    streams: Streams,
}

impl Bots {
    pub(crate) fn new(
        kit: &Kit,
        settings: &ChatSettings,
        channels: &Arc<Channels>,
        hub: &Hub,
        registry: &Registry,
        replies: Replies,
    ) -> Self {
        Self {
            kit: kit.clone(),
            channels: Arc::clone(channels),
            answer_limit: settings.bot_timeout.0,
            answer_bytes: settings.bot_answer_bytes.get() as usize,
            hub: hub.clone(),
            registry: registry.clone(),
            replies,
            streams: Streams::default(),
        }
    }

    /// What becomes of the chat, as entries at the end of its log.
    fn entries(&self, asked: &replies::Asked, outcome: &Outcome, shown: Option<&Shown>) -> Vec<Entry> {
        let now = self.kit.clock.now();
        let texts = match meaning(asked, outcome) {
            Said::Nothing => return Vec::new(),
            Said::Texts(texts) => texts,
            // Nobody waits for the bot where an operator took the chat over, even where he gave it back since.
            Said::Broken(_) if asked.taken_over => return Vec::new(),
            Said::Broken(_) => {
                return vec![Entry {
                    seq: asked.last_seq + 1,
                    id: MessageId::new(now),
                    at: now,
                    audience: Audience::All,
                    kind: EntryKind::Trouble {
                        client_id: asked.client_id.clone(),
                    },
                }];
            }
        };
        let parts = self.parts(texts, shown, now);
        said_in_log(parts, asked.taken_over, asked.last_seq, now)
    }

    /// As much of an answer as is kept. The id of its first part is the one under which pieces of it were shown.
    fn parts(
        &self,
        texts: Vec<String>,
        shown: Option<&Shown>,
        now: DateTime<Utc>,
    ) -> Vec<(MessageId, String)> {
        let first = shown.map(|shown| shown.message).into_iter();
        let ids = first.chain(std::iter::repeat_with(|| MessageId::new(now)));
        let kept = texts.into_iter().take(MAX_PARTS);
        ids.zip(kept.map(|text| cut(text, self.answer_bytes))).collect()
    }

    /// The answer is in the log, from a try that nobody has heard of since: whoever holds the chat looks.
    fn remind(&self, delivery: Uuid, session: &SessionId, seq: i64) {
        self.streams.reset(delivery, &self.hub);
        self.hub.heard_of(session, seq);
        self.registry.announce(session, seq, true);
    }

    /// Tells everybody, once it is committed.
    fn telling(&self, delivery: Uuid, session: SessionId, stored: Vec<Entry>) -> After {
        let (hub, registry, streams) = (self.hub.clone(), self.registry.clone(), self.streams.clone());
        Some(Box::new(move || {
            let whole = |shown: &Shown| {
                stored
                    .iter()
                    .any(|entry| entry.id == shown.message && entry.audience == Audience::All)
            };
            if let Some(shown) = streams.end(delivery).filter(|shown| !whole(shown)) {
                shown.reset(&hub);
            }
            for entry in &stored {
                hub.publish(&session, entry);
            }
            if let Some(last) = stored.last() {
                registry.announce(&session, last.seq, true);
            }
        }))
    }
}

/// The parts of an answer as entries behind a position.
fn said_in_log(
    parts: Vec<(MessageId, String)>,
    taken_over: bool,
    after: i64,
    now: DateTime<Utc>,
) -> Vec<Entry> {
    let audience = if taken_over {
        Audience::Operators
    } else {
        Audience::All
    };
    let entry = |((id, text), seq)| Entry {
        seq,
        id,
        at: now,
        audience,
        kind: EntryKind::Message(Message {
            sender: Sender::Bot,
            name: None,
            text,
            client_id: None,
        }),
    };
    parts.into_iter().zip(after + 1..).map(entry).collect()
}

#[async_trait]
impl Owner for Bots {
    fn url(&self, target: &str) -> Result<Url, Reason> {
        let channel = ChannelName::parse(target);
        let url = channel.and_then(|name| self.channels.get(&name).map(|channel| channel.n8n_url.clone()));
        url.ok_or_else(|| Reason::new("unknown_channel", "There is no channel of this name any more"))
    }

    async fn settle(
        &self,
        conn: &mut PgConnection,
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<After, sqlx::Error> {
        let Some(session) = SessionId::parse(&delivery.key) else {
            return Ok(None);
        };
        // An erased chat has no consequences any more.
        let Some(asked) = replies::lock(conn, &session, delivery.id).await? else {
            return Ok(self.telling(delivery.id, session, Vec::new()));
        };
        if asked.answered {
            self.remind(delivery.id, &session, asked.last_seq);
            return Ok(None);
        }
        let shown = self.streams.shown(delivery.id);
        let new = self.entries(&asked, outcome, shown.as_ref());
        for (entry, part) in new.iter().zip(0..) {
            let reply = Reply {
                to: delivery.id,
                part,
            };
            entries::insert(conn, &session, entry, Some(reply)).await?;
        }
        if let Some(last) = new.last() {
            let broken = matches!(last.kind, EntryKind::Trouble { .. });
            let flag = if broken { Flag::Raise } else { Flag::Lower };
            replies::raise(conn, &session, last.seq, flag, self.kit.clock.now()).await?;
            if broken {
                tracing::warn!(session = %session, channel = delivery.target, "the bot did not answer; the chat is flagged");
            }
        }
        Ok(self.telling(delivery.id, session, new))
    }

    /// An answer that says something, whatever became of the chat meanwhile.
    async fn settle_at_once(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        ending: Ending,
    ) -> Result<AtOnce, sqlx::Error> {
        let (Some(session), Some(texts)) = (SessionId::parse(&delivery.key), plain_texts(outcome)) else {
            return Ok(AtOnce::No);
        };
        let at = self.kit.clock.now();
        let shown = self.streams.shown(delivery.id);
        let parts = self.parts(texts, shown.as_ref(), at);
        let new = NewReply {
            session: session.clone(),
            parts: parts.clone(),
            at,
            ending,
        };
        let Some(placed) = self.replies.store(new).await? else {
            return Ok(AtOnce::No);
        };
        let entries = said_in_log(parts, placed.taken_over, placed.after, at);
        Ok(AtOnce::Recorded(self.telling(delivery.id, session, entries)))
    }

    async fn still_wanted(&self, conn: &mut PgConnection, delivery: &Delivery) -> Result<bool, sqlx::Error> {
        self.streams.reset(delivery.id, &self.hub);
        let Some(session) = SessionId::parse(&delivery.key) else {
            return Ok(false);
        };
        let asked = replies::lock(conn, &session, delivery.id).await?;
        Ok(asked.is_some_and(|asked| !asked.taken_over))
    }

    fn listener(&self, delivery: &Delivery) -> Option<Box<dyn Listener>> {
        let session = SessionId::parse(&delivery.key)?;
        let answering = Answering::begin(
            &self.kit,
            &self.hub,
            &self.registry,
            &self.streams,
            delivery.id,
            session,
        );
        Some(Box::new(answering))
    }

    fn answer_limit(&self, _: &Topic) -> Option<Duration> {
        Some(self.answer_limit)
    }

    /// Nobody waits for how a delivery fares: what becomes of it is in the log.
    async fn touched(&self, _: &mut PgConnection, _: &[String]) -> Result<Vec<String>, sqlx::Error> {
        Ok(Vec::new())
    }
}

/// What the bot says; broken where it does not answer.
fn meaning(asked: &replies::Asked, outcome: &Outcome) -> Said {
    match outcome {
        Outcome::Answered(body) => {
            // A workflow that ends with what it was sent says nothing.
            let own = |object: &Map<String, Value>| {
                let text = object.get("text").and_then(Value::as_str);
                let sent_back = object.contains_key("sessionId") && text == asked.text.as_deref();
                sent_back.then_some("text")
            };
            said::read(body, own)
        }
        Outcome::Refused(reason)
        | Outcome::Failed(reason)
        | Outcome::GivenUp(reason)
        | Outcome::Unknown(reason) => Said::Broken(reason.message.clone()),
    }
}

/// The texts of an answer that are told without a look at what was asked; none where that is needed, or there are none.
fn plain_texts(outcome: &Outcome) -> Option<Vec<String>> {
    let Outcome::Answered(body) = outcome else {
        return None;
    };
    let repeats_request = Cell::new(false);
    let said = said::read(body, |object| {
        repeats_request.set(repeats_request.get() || object.contains_key("sessionId"));
        None
    });
    match said {
        Said::Texts(texts) if !repeats_request.get() => Some(texts),
        _ => None,
    }
}

/// At most so many bytes, and a sign that there was more.
fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes.saturating_sub('…'.len_utf8()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_by(body: &str, text: &str) -> Said {
        let asked = replies::Asked {
            taken_over: false,
            last_seq: 1,
            text: Some(text.into()),
            client_id: None,
            answered: false,
        };
        meaning(&asked, &Outcome::Answered(body.as_bytes().to_vec()))
    }

    #[test]
    fn what_was_sent_and_comes_back_is_no_answer() {
        let back = r#"{"text":"hello","sessionId":"cw-1-a","meta":{},"messageId":"msg-1"}"#;
        assert_eq!(said_by(back, "hello"), Said::Nothing);
        assert_eq!(said_by(back, "other"), Said::Texts(vec!["hello".into()]));
        assert_eq!(
            said_by(r#"{"text":"hello"}"#, "hello"),
            Said::Texts(vec!["hello".into()])
        );
        let answered = r#"{"text":"hello","sessionId":"cw-1-a","output":"hi"}"#;
        assert_eq!(said_by(answered, "hello"), Said::Texts(vec!["hi".into()]));
    }

    #[test]
    fn an_answer_is_cut_between_characters() {
        assert_eq!(cut("abc".into(), 3), "abc");
        assert_eq!(cut("abcdef".into(), 5), "ab…");
        let cut = cut("é".repeat(100), 50);
        assert!(cut.len() <= 50 && cut.ends_with("é…"), "{cut}");
    }
}
