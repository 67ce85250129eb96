//! Visitors' messages go to the bot, and its answers come back.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use switchhook_chassis::testing::json_of;
use switchhook_standins::Control;

use crate::world::{Ask, SAM, SEND, World, held, says, stored, texts, to};
use crate::ws_client::{Door, SOON, Visitor};

const CHAT: &str = "/webhook/chat";

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn the_bot_is_told_what_is_documented_and_its_answer_is_shown(pool: PgPool) {
    let world = World::with(&pool, &[("CORS_ALLOWED_ORIGINS", "https://example.com")]).await;
    let door = Door::new()
        .query("?page=https%3A%2F%2Fexample.com%2Fpage")
        .header("origin", "https://example.com");
    let mut visitor = door.header("user-agent", "Mozilla/5.0").enter(&world.app).await;
    visitor
        .send(&json!({"type": "message", "text": " Hello <b>you</b>\n", "clientId": "c1"}))
        .await;
    // The bot begins to write before the ack or after it.
    let mut frames = vec![visitor.frame().await];
    while frames.last().is_some_and(|frame| frame["type"] != "message") {
        frames.push(visitor.frame().await);
    }
    let answer = frames.pop().unwrap();
    let typing = json!({"type": "typing", "from": "bot", "active": true});
    assert!(frames.contains(&typing), "{frames:?}");
    let ack = frames.iter().find(|frame| frame["type"] == "ack").unwrap();
    assert_eq!(ack["clientId"], "c1");
    let id = &ack["messageId"];
    assert_eq!(
        (&answer["from"], &answer["text"], answer.get("name")),
        (&json!("bot"), &json!("You said:  Hello <b>you</b>\n"), None)
    );
    let sent = world.n8n.wait_for(CHAT, 1, SOON).await;
    let expected = json!({"text": " Hello <b>you</b>\n", "sessionId": visitor.session, "messageId": id,
        "meta": {"origin": "https://example.com", "ua": "Mozilla/5.0", "referer": "https://example.com/page"}});
    assert_eq!(sent[0].body(), Some(expected));
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn whatever_shape_the_answer_has_its_texts_are_shown(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    let session = visitor.session.clone();
    let shapes: [(Value, &[&str]); 12] = [
        (json!({"output": "from the agent"}), &["from the agent"]),
        (
            json!([{"text": "one"}, {"x": 1}, {"reply": "two"}]),
            &["one", "two"],
        ),
        (json!("plain words"), &["plain words"]),
        (json!(""), &[]),
        (json!({"message": "Workflow was started"}), &[]),
        (
            json!({"message": "Workflow executed successfully but the last node did not return any data"}),
            &[],
        ),
        (json!({"accepted": true}), &[]),
        (
            json!({"success": true, "sessionId": session, "message": "Message sent to user successfully"}),
            &[],
        ),
        (json!({"success": false, "error": "Session not found"}), &[]),
        (
            json!({"text": "q", "sessionId": session, "messageId": "m", "meta": {}}),
            &[],
        ),
        (json!({"answer": "", "message": "said"}), &["said"]),
        (json!({"text": "q"}), &["q"]),
    ];
    let mut expected = Vec::new();
    for (at, (body, texts)) in shapes.iter().enumerate() {
        world.n8n.push(says(200, body.clone()));
        visitor.say("q", &at.to_string()).await;
        world.n8n.wait_for(CHAT, at + 1, SOON).await;
        for text in *texts {
            assert_eq!(visitor.frame_of("message").await["text"], *text, "{body}");
            expected.push((*text).to_owned());
        }
    }
    visitor.say("last", "last").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: last");
    expected.push("You said: last".to_owned());
    let said = world.app.transcript(&session).await;
    let by_bot: Vec<Value> = said
        .into_iter()
        .filter(|message| message["from"] == "bot")
        .collect();
    assert_eq!(texts(&by_bot), expected);
    assert_eq!(world.app.chat(&session).await["flagged"], false);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_bot_that_breaks_is_told_to_the_visitor_and_flagged(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    for (at, broken) in [
        says(500, json!({"message": "Error in workflow"})),
        says(502, json!("Bad Gateway")),
        says(504, json!("")),
        says(524, json!("")),
        says(403, json!("Authorization data is wrong!")),
    ]
    .into_iter()
    .enumerate()
    {
        world.n8n.push(broken);
        let client_id = at.to_string();
        visitor.say("hello", &client_id).await;
        let error = visitor.frame_of("error").await;
        assert_eq!(
            (&error["code"], &error["clientId"]),
            (&json!("bot_unavailable"), &json!(client_id))
        );
    }
    world
        .app
        .until(&visitor.session, |chat| chat["flagged"] == true)
        .await;
    let flagged = world.app.read("/api/sessions?state=flagged").await;
    assert_eq!(
        (&flagged["count"], &flagged["sessions"][0]["sessionId"]),
        (&json!(1), &json!(visitor.session))
    );
    // Whoever writes to the visitor has seen to it.
    json_of(
        world.app.as_n8n(SEND, to(&visitor.session, "we are here")).await,
        200,
    )
    .await;
    assert_eq!(world.app.chat(&visitor.session).await["flagged"], false);
    visitor.say("and now?", "ok").await;
    while visitor.frame_of("message").await["text"] != "You said: and now?" {}
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_bot_that_is_too_slow_is_not_waited_for(pool: PgPool) {
    let world = World::with(&pool, &[("BOT_TIMEOUT", "1s")]).await;
    world.n8n.push(held(json!({"text": "too late"})));
    let mut visitor = Visitor::new(&world.app).await;
    visitor.say("hello", "c1").await;
    assert_eq!(visitor.frame_of("error").await["code"], "bot_unavailable");
    visitor.say("again", "c2").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: again");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_is_written_while_n8n_is_away_is_answered_when_it_is_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.down().await.unwrap();
    for text in ["one", "two", "three"] {
        visitor.say(text, text).await;
    }
    world.n8n.up().await.unwrap();
    for text in ["one", "two", "three"] {
        assert_eq!(
            visitor.frame_of("message").await["text"],
            format!("You said: {text}")
        );
    }
    let sent = world.n8n.log_of(CHAT);
    let order: Vec<Value> = sent
        .iter()
        .map(|entry| entry.body().unwrap()["text"].clone())
        .collect();
    assert_eq!(order, ["one", "two", "three"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn messages_of_a_chat_go_one_at_a_time_and_no_chat_waits_for_another(pool: PgPool) {
    let world = World::new(&pool).await;
    let (mut slow, mut fast) = (Visitor::new(&world.app).await, Visitor::new(&world.app).await);
    let own = json!({"sessionId": slow.session});
    world.n8n.push(Control {
        matching: own.as_object().unwrap().clone(),
        ..held(json!({"text": "first"}))
    });
    slow.say("one", "c1").await;
    world.n8n.wait_for(CHAT, 1, SOON).await;
    slow.say("two", "c2").await;
    fast.say("hello", "c1").await;
    assert_eq!(fast.frame_of("message").await["text"], "You said: hello");
    assert_eq!(
        world.n8n.log_of(CHAT).len(),
        2,
        "the second message waits for the first"
    );
    world.n8n.clear();
    assert_eq!(slow.frame_of("message").await["text"], "first");
    assert_eq!(slow.frame_of("message").await["text"], "You said: two");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_chat_trigger_is_spoken_to_in_its_own_words(pool: PgPool) {
    let world = World::with(&pool, &[("N8N_CHAT_FORMAT", "chat_trigger")]).await;
    let mut visitor = Visitor::new(&world.app).await;
    visitor.say("hello", "c1").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: hello");
    let sent = world.n8n.log_of(CHAT);
    let body = sent[0].body().unwrap();
    assert_eq!(
        (&body["action"], &body["chatInput"], &body["sessionId"]),
        (&json!("sendMessage"), &json!("hello"), &json!(visitor.session))
    );
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_streamed_answer_is_shown_while_it_comes_and_stored_once_under_the_same_id(pool: PgPool) {
    let n8n = switchhook_standins::N8n::start(switchhook_standins::Options {
        thinking: std::time::Duration::from_millis(1500),
        ..switchhook_standins::Options::default()
    })
    .unwrap();
    let webhook = n8n.webhook_url("chat-stream");
    let app = crate::ws_client::replica(&pool, &n8n, &[("N8N_WEBHOOK_URL", &webhook)]).await;
    let mut visitor = Visitor::new(&app).await;
    visitor.say("a b c d", "c1").await;
    let (mut shown, mut deltas) = (String::new(), 0);
    let whole = loop {
        let frame = visitor.frame().await;
        match frame["type"].as_str().unwrap() {
            "delta" => {
                assert_eq!(frame["index"], deltas, "{frame}");
                shown.push_str(frame["text"].as_str().unwrap());
                deltas += 1;
                assert!(frame["messageId"].as_str().unwrap().starts_with("msg-"));
            }
            "message" => break frame,
            "typing" => {}
            other => panic!("{other}"),
        }
    };
    assert_eq!(whole["text"], "You said: a b c d");
    assert!(
        deltas > 1 && "You said: a b c d".starts_with(&shown),
        "{deltas} {shown}"
    );
    let said = app.transcript(&visitor.session).await;
    assert_eq!((said.len(), &said[1]["messageId"]), (2, &whole["messageId"]));
}

/// Lines of n8n's stream.
fn stream(lines: &[(&str, Option<&str>)]) -> Value {
    let line = |(kind, content): &(&str, Option<&str>)| {
        let mut line = json!({"type": kind, "metadata": {"nodeId": "n"}});
        if let Some(content) = content {
            line["content"] = json!(content);
        }
        format!("{line}\n")
    };
    Value::String(lines.iter().map(line).collect())
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_stream_that_breaks_is_taken_back(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.push(says(
        200,
        stream(&[("begin", None), ("item", Some("Hel")), ("error", Some("forced"))]),
    ));
    visitor.say("hello", "c1").await;
    // Whoever is slow may hear only that it is void.
    let mut delta = visitor.frame_of("delta").await;
    if let Some(text) = delta["text"].as_str() {
        assert_eq!(text, "Hel");
        let id = delta["messageId"].clone();
        delta = visitor.frame_of("delta").await;
        assert_eq!(delta["messageId"], id);
    }
    assert_eq!(delta["reset"], true, "{delta}");
    assert_eq!(visitor.frame_of("error").await["code"], "bot_unavailable");
    assert_eq!(texts(&world.app.transcript(&visitor.session).await), ["hello"]);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn each_channel_has_a_bot_of_its_own(pool: PgPool) {
    let n8n = crate::world::n8n();
    let channels = json!({
        "default": {"n8nUrl": n8n.webhook_url("chat")},
        "acme": {"n8nUrl": n8n.webhook_url("chat-stream")}
    });
    let app = crate::ws_client::replica(&pool, &n8n, &[("CHAT_CHANNELS", &channels.to_string())]).await;
    let mut visitor = Door::new().query("?channel=acme").enter(&app).await;
    visitor.say("hello", "c1").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: hello");
    let sent = n8n.wait_for("/webhook/chat-stream", 1, SOON).await;
    assert_eq!(sent[0].body().unwrap()["channel"], "acme");
    let mut other = Visitor::new(&app).await;
    other.say("hello", "c1").await;
    other.frame_of("message").await;
    assert_eq!(n8n.log_of(CHAT)[0].body().unwrap().get("channel"), None);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_answer_that_is_under_way_at_the_takeover_is_for_operators(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.push(held(json!({"text": "the bot's view"})));
    visitor.say("hello", "c1").await;
    world.n8n.wait_for(CHAT, 1, SOON).await;
    let sam = world.app.operator(SAM);
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    assert_eq!(visitor.frame_of("status").await["mode"], "operator");
    world.n8n.clear();
    let said = world.app.until_said(&visitor.session, 2).await;
    assert_eq!(
        (&said[1]["text"], &said[1]["audience"]),
        (&json!("the bot's view"), &json!("operators"))
    );
    stored(
        world
            .app
            .as_operator(SAM, Method::POST, SEND, Some(to(&visitor.session, "my view")))
            .await,
    )
    .await;
    assert_eq!(visitor.frame_of("message").await["text"], "my view");
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn what_was_not_sent_at_the_takeover_never_is(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.down().await.unwrap();
    visitor.say("unsent", "c1").await;
    let sam = world.app.operator(SAM);
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "takeover", json!({}))
            .await,
        200,
    )
    .await;
    visitor.say("to the operator", "c2").await;
    json_of(
        world
            .app
            .hand_over(&sam, &visitor.session, "release", json!({}))
            .await,
        200,
    )
    .await;
    world.n8n.up().await.unwrap();
    visitor.say("to the bot", "c3").await;
    while visitor.frame_of("message").await["text"] != "You said: to the bot" {}
    let sent = world.n8n.log_of(CHAT);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(texts(&world.app.transcript(&visitor.session).await).len(), 4);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn an_answer_that_broke_off_is_asked_for_again_and_shown_once(pool: PgPool) {
    let world = World::new(&pool).await;
    let mut visitor = Visitor::new(&world.app).await;
    world.n8n.push(Control {
        drop: Some(switchhook_standins::control::Break::Middle),
        ..Control::default()
    });
    visitor.say("hello", "c1").await;
    assert_eq!(visitor.frame_of("message").await["text"], "You said: hello");
    assert_eq!(world.n8n.log_of(CHAT).len(), 2);
    assert_eq!(world.app.transcript(&visitor.session).await.len(), 2);
}

#[sqlx::test(migrator = "chat_ws_svc::MIGRATOR")]
async fn a_very_long_answer_is_cut(pool: PgPool) {
    let world = World::with(&pool, &[("BOT_ANSWER_BYTES", "1024")]).await;
    world.n8n.push(says(200, json!({"text": "é".repeat(2000)})));
    let mut visitor = Visitor::new(&world.app).await;
    visitor.say("hello", "c1").await;
    let shown = visitor.frame_of("message").await;
    let text = shown["text"].as_str().unwrap();
    assert!(text.len() <= 1024 && text.ends_with("é…"), "{}", text.len());
}
