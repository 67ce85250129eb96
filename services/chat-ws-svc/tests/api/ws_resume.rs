//! Coming back: what was missed is shown once, in order, from any replica.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use rand::Rng;
use serde_json::Value;
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use tokio::sync::Notify;

use crate::ws_client::{App, Door, SOON, Visitor, replica, silent_bot};
use crate::ws_visitor::send_message;

async fn sent(app: &App, session: &str, text: &str) -> String {
    let sent = json_of(send_message(app, session, text).await, 200).await;
    sent["messageId"].as_str().unwrap().to_owned()
}

/// The ids of so many messages that come next.
async fn messages(visitor: &mut Visitor, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let message = visitor.frame_of("message").await;
        ids.push(message["messageId"].as_str().unwrap().to_owned());
    }
    ids
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn who_comes_back_gets_what_he_missed_and_nothing_twice(pool: PgPool) {
    let n8n = silent_bot();
    let settings = [("VISITOR_RATE", "6000"), ("SEND_MESSAGE_RATE", "6000")];
    let (here, there) = (
        replica(&pool, &n8n, &settings).await,
        replica(&pool, &n8n, &settings).await,
    );
    let mut visitor = Visitor::new(&here).await;
    let mut all = Vec::new();
    for nth in 0..130 {
        all.push(visitor.say(&format!("message {nth}"), &format!("c{nth}")).await);
    }
    // The last hundred, where nobody says what he has seen, or says what nobody knows.
    let unknown = format!("msg-{}", "0".repeat(32));
    for after in ["", unknown.as_str(), "nonsense"] {
        let mut tab = visitor.again(&there, after).await;
        assert_eq!(messages(&mut tab, 100).await, all[30..]);
        let next = sent(&here, &visitor.session, "the next").await;
        assert_eq!(messages(&mut tab, 1).await, [next.as_str()]);
        visitor.frame_of("message").await;
        all.push(next);
        all.remove(0);
    }
    // Everything after what was seen, however much that is.
    let mut tab = visitor.again(&there, &all[2]).await;
    assert_eq!(messages(&mut tab, all.len() - 3).await, all[3..]);
    let mut tab = visitor.again(&here, all.last().unwrap()).await;
    let next = sent(&there, &visitor.session, "the next").await;
    assert_eq!(messages(&mut tab, 1).await, [next]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn large_messages_are_replayed_as_they_are(pool: PgPool) {
    let n8n = silent_bot();
    let app = replica(&pool, &n8n, &[]).await;
    let mut visitor = Visitor::new(&app).await;
    let texts: Vec<String> = (0..8).map(|nth| format!("{nth}{}", "😀".repeat(4_999))).collect();
    for (nth, text) in texts.iter().enumerate() {
        visitor.say(text, &format!("c{nth}")).await;
    }
    let mut tab = visitor.again(&app, "").await;
    for text in &texts {
        assert_eq!(tab.frame_of("message").await["text"], *text);
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_token_of_another_channel_or_a_wrong_one_begins_a_new_chat(pool: PgPool) {
    let n8n = silent_bot();
    let channels =
        r#"{"default":{"n8nUrl":"http://127.0.0.1:9/a"},"acme":{"n8nUrl":"http://127.0.0.1:9/b"}}"#;
    let app = replica(&pool, &n8n, &[("CHAT_CHANNELS", channels)]).await;
    let mut visitor = Visitor::new(&app).await;
    visitor.say("hello", "c1").await;
    let token = visitor.token.clone();
    let elsewhere = Door::new()
        .query("?channel=acme")
        .resume(&token)
        .enter(&app)
        .await;
    let wrong = Door::new().resume(&"0".repeat(64)).enter(&app).await;
    for other in [&elsewhere, &wrong] {
        assert!(other.session != visitor.session && other.token != token);
        assert_eq!(other.greeting["resumed"], false);
    }
    let base64 = {
        use base64::Engine;
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&token[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    assert_eq!(
        Door::new().resume(&base64).enter(&app).await.session,
        visitor.session
    );
}

/// What one tab knows of the chat: the ids in the order in which it was shown them.
struct Tab {
    seen: Vec<String>,
    acked: BTreeMap<String, String>,
}

impl Tab {
    fn note(&mut self, frame: &Value) {
        let id = || frame["messageId"].as_str().unwrap().to_owned();
        match frame["type"].as_str().unwrap() {
            "message" => self.seen.push(id()),
            "ack" => {
                let name = frame["clientId"].as_str().unwrap().to_owned();
                // The answer to a repeat may come long after the message itself.
                if !self.seen.contains(&id()) {
                    self.seen.push(id());
                }
                self.acked.insert(name, id());
            }
            "session" | "typing" | "status" => {}
            other => panic!("an unexpected {other}: {frame}"),
        }
    }

    /// Lives on both replicas in turn, writes, breaks off in the middle, comes back and resends what has no ack, until it
    /// has seen the message that is the last.
    async fn live(
        mut self,
        apps: [Arc<App>; 2],
        token: String,
        name: usize,
        quiet: Arc<Notify>,
        last: Arc<Notify>,
    ) -> Self {
        const MESSAGES: usize = 12;
        let mut written = 0;
        let mut told = false;
        loop {
            let app = &apps[rand::rng().random_range(0..2)];
            let query = self
                .seen
                .last()
                .map(|id| format!("?after={id}"))
                .unwrap_or_default();
            let mut visitor = Door::new().query(&query).resume(&token).enter(app).await;
            let lifetime = rand::rng().random_range(0..6);
            for nth in 0..written {
                let own = format!("{name}-{nth}");
                if !self.acked.contains_key(&own) {
                    visitor
                        .send(&serde_json::json!({"text": own, "clientId": own}))
                        .await;
                }
            }
            for _ in 0..lifetime {
                if written < MESSAGES {
                    let own = format!("{name}-{written}");
                    visitor
                        .send(&serde_json::json!({"text": own, "clientId": own}))
                        .await;
                    written += 1;
                }
                let frame = visitor.frame().await;
                self.note(&frame);
                if frame["text"] == "the last" {
                    return self;
                }
            }
            if written == MESSAGES && self.acked.len() == MESSAGES {
                if !told {
                    quiet.notify_one();
                    told = true;
                }
                // Waits for the last one where it is now.
                let ended = tokio::select! {
                    ended = async { loop {
                        let frame = visitor.frame().await;
                        self.note(&frame);
                        if frame["text"] == "the last" { break true; }
                    } } => ended,
                    () = last.notified() => false,
                };
                if ended {
                    return self;
                }
            }
            // Every other time without a word of goodbye.
            if rand::rng().random() {
                drop(visitor);
            } else {
                visitor.leave().await;
            }
        }
    }
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn many_tabs_on_two_replicas_that_come_and_go_all_see_the_same_transcript(pool: PgPool) {
    const TABS: usize = 6;
    const SENT: usize = 40;
    let n8n = silent_bot();
    let settings = [("VISITOR_RATE", "6000"), ("SEND_MESSAGE_RATE", "6000")];
    let apps = [
        Arc::new(replica(&pool, &n8n, &settings).await),
        Arc::new(replica(&pool, &n8n, &settings).await),
    ];
    let anchor = Visitor::new(&apps[0]).await;
    let (quiet, last) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tabs: Vec<_> = (0..TABS)
        .map(|name| {
            let tab = Tab {
                seen: Vec::new(),
                acked: BTreeMap::new(),
            };
            tokio::spawn(tab.live(
                apps.clone(),
                anchor.token.clone(),
                name,
                Arc::clone(&quiet),
                Arc::clone(&last),
            ))
        })
        .collect();
    let machine = async {
        for nth in 0..SENT {
            let answer = send_message(&apps[nth % 2], &anchor.session, &format!("sent {nth}")).await;
            assert!(answer.status().is_success(), "{answer:?}");
        }
    };
    let all_quiet = async {
        for _ in 0..TABS {
            tokio::time::timeout(SOON, quiet.notified())
                .await
                .expect("all have written");
        }
    };
    tokio::join!(machine, all_quiet);
    sent(&apps[1], &anchor.session, "the last").await;
    let tabs = tokio::time::timeout(SOON, join_all(tabs))
        .await
        .expect("all have seen the last");
    let log: Vec<String> = sqlx::query_scalar(
        "SELECT 'msg-' || replace(id::text, '-', '') FROM chat.entries WHERE session_id = $1 AND kind = 'message' ORDER BY seq",
    )
    .bind(&anchor.session)
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(log.len(), TABS * 12 + SENT + 1);
    for tab in tabs {
        let tab = tab.unwrap();
        assert_eq!(tab.seen, log);
        assert_eq!(tab.acked.len(), 12);
    }
}
