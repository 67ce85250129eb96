//! What a bot is sent.

use serde::Serialize;

use crate::config::ChatFormat;
use crate::domain::channel::ChannelName;
use crate::domain::ids::{MessageId, SessionId};
use crate::domain::shown::Meta;

/// A visitor's message on its way to the bot.
pub(crate) struct Asked<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) channel: &'a ChannelName,
    pub(crate) message: MessageId,
    /// As it was typed.
    pub(crate) text: &'a str,
    pub(crate) meta: &'a Meta,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plain<'a> {
    text: &'a str,
    session_id: &'a SessionId,
    meta: &'a Meta,
    message_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a ChannelName>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatTrigger<'a> {
    action: &'static str,
    session_id: &'a SessionId,
    chat_input: &'a str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(flatten)]
    meta: &'a Meta,
    message_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a ChannelName>,
}

/// The body of the request.
pub(super) fn body(format: ChatFormat, asked: &Asked<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let channel = (!asked.channel.is_default()).then_some(asked.channel);
    match format {
        ChatFormat::Plain => serde_json::to_vec(&Plain {
            text: asked.text,
            session_id: asked.session,
            meta: asked.meta,
            message_id: asked.message,
            channel,
        }),
        ChatFormat::ChatTrigger => serde_json::to_vec(&ChatTrigger {
            action: "sendMessage",
            session_id: asked.session,
            chat_input: asked.text,
            metadata: Metadata {
                meta: asked.meta,
                message_id: asked.message,
                channel,
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn sent(format: ChatFormat, channel: &str, meta: &Meta) -> Value {
        let asked = Asked {
            session: &SessionId::parse("cw-1-a").unwrap(),
            channel: &ChannelName::parse(channel).unwrap(),
            message: MessageId(Uuid::from_u128(7)),
            text: " héllo\n",
            meta,
        };
        serde_json::from_slice(&body(format, &asked).unwrap()).unwrap()
    }

    #[test]
    fn a_plain_webhook_gets_the_text_as_it_was_typed() {
        let meta = Meta {
            origin: Some("https://example.com".into()),
            ua: Some("Mozilla/5.0".into()),
            referer: None,
        };
        let expected = json!({"text": " héllo\n", "sessionId": "cw-1-a", "messageId": "msg-00000000000000000000000000000007",
            "meta": {"origin": "https://example.com", "ua": "Mozilla/5.0", "referer": null}});
        assert_eq!(sent(ChatFormat::Plain, "default", &meta), expected);
        assert_eq!(sent(ChatFormat::Plain, "acme", &meta)["channel"], "acme");
    }

    #[test]
    fn the_chat_trigger_gets_its_own_words() {
        let expected = json!({"action": "sendMessage", "sessionId": "cw-1-a", "chatInput": " héllo\n",
            "metadata": {"origin": null, "ua": null, "referer": null, "channel": "acme",
                "messageId": "msg-00000000000000000000000000000007"}});
        assert_eq!(sent(ChatFormat::ChatTrigger, "acme", &Meta::default()), expected);
    }
}
