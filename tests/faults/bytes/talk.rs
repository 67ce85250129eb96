//! Odd frames of visitors, and odd answers of n8n.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::people::{client, token_with};
use e2e::visitors::Came;
use e2e::waiting::eventually;
use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use switchhook_standins::Control;
use switchhook_standins::n8n::{AGENT_RESPOND_PATH, CHAT_PATH, CHAT_STREAM_PATH};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::changes::{body, mangled};
use super::{ANSWERED_WITHIN, a_chat, part, seed, sockets};
use crate::houses::{House, street};
use crate::{ALONE, say};

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_of_a_visitor_breaks_anything() {
    let _alone = ALONE.lock().await;
    let stack = street().services(&[House::Chat.name()]).start().await.unwrap();
    let (mut witness, _) = a_chat(&stack).await;
    let seed = seed();
    let frames = [
        json!({"type": "message", "text": "hello", "clientId": "c-1"}),
        json!({"type": "typing", "on": true}),
        json!({"type": "ping"}),
        json!({"type": "resume", "resumeToken": "abc", "after": "0197a9f2-0000-7000-8000-00000000abcd"}),
    ];
    let (mut sent, mut closed, mut wrong) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    let until = Instant::now() + part();
    let mut random = StdRng::seed_from_u64(seed);
    while Instant::now() < until {
        let url = format!("ws://{}/ws", sockets(&stack));
        let tcp = TcpStream::connect(sockets(&stack)).await.unwrap();
        let connecting = tokio_tungstenite::client_async(url, tcp);
        let (mut socket, _) = connecting.await.expect("it lets in whoever comes next");
        for _ in 0..random.random_range(1..12) {
            let frame = &frames[random.random_range(0..frames.len())];
            let bytes = body(&mut random, frame);
            let message = match random.random_range(0..4) {
                0 => Message::binary(bytes),
                1 => Message::Ping(bytes[..bytes.len().min(120)].to_vec().into()),
                _ => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
            };
            sent += 1;
            if socket.send(message).await.is_err() {
                break;
            }
        }
        // Its last word, and what the service says to it.
        let _ = socket.send(Message::Close(None)).await;
        let ending = async {
            while let Some(came) = socket.next().await {
                match came {
                    Ok(Message::Close(frame)) => {
                        return frame
                            .map_or_else(|| "closed".to_owned(), |frame| u16::from(frame.code).to_string());
                    }
                    Ok(_) => {}
                    Err(error) => return error.to_string(),
                }
            }
            "ended".to_owned()
        };
        match tokio::time::timeout(ANSWERED_WITHIN, ending).await {
            Ok(how) => *closed.entry(how).or_default() += 1,
            Err(_) => wrong.push("a connection that said goodbye was not let go".to_owned()),
        }
    }
    say(&format!(
        "frames: {sent} over {} connections, which ended {closed:?} (seed {seed})",
        closed.values().sum::<usize>()
    ));
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(sent > 100);
    witness.say("still here?").await;
    while !witness.is_all_acked() {
        assert_eq!(witness.read().await, Came::Frame, "others notice nothing");
    }
    stack.stop().await.unwrap();
}

/// What n8n might answer, whole.
fn answers() -> Vec<String> {
    vec![
        json!({"response": "well"}).to_string(),
        json!([{"output": "a"}, {"text": "b"}]).to_string(),
        "{\"type\":\"begin\",\"metadata\":{\"nodeId\":\"n\"}}\n{\"type\":\"item\",\"content\":\"Hel\",\"metadata\":{}}\n\
         {\"type\":\"item\",\"content\":\"lo\",\"metadata\":{}}\n{\"type\":\"end\",\"metadata\":{}}\n"
            .to_owned(),
        json!({"status": "finished", "callsMade": 3, "message": "done"}).to_string(),
        "plain words".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_n8n_leaves_anything_undecided() {
    const TASKS: usize = 60;
    let _alone = ALONE.lock().await;
    let stack = street()
        .services(&[House::Tasks.name(), House::Chat.name()])
        .start()
        .await
        .unwrap();
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let answers = answers();
    let mut odd = |path: &str| {
        let answer = &answers[random.random_range(0..answers.len())];
        let bytes = mangled(&mut random, answer.as_bytes());
        Control {
            path: Some(path.to_owned()),
            body: Some(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
            content_type: Some(
                ["application/json", "text/plain", "text/html"][random.random_range(0..3)].to_owned(),
            ),
            ..Control::default()
        }
    };
    for _ in 0..TASKS {
        for path in [AGENT_RESPOND_PATH, CHAT_PATH, CHAT_STREAM_PATH] {
            stack.n8n().push(odd(path));
        }
    }
    let client = client();
    let base = stack.url(House::Tasks.name(), 0);
    let user = token_with(stack.keys(), "fuzz", &json!({}));
    let mut visitor = a_chat(&stack).await.0;
    for nth in 0..TASKS {
        let request = client
            .post(format!("{base}/api/tasks/assign-user-task"))
            .bearer_auth(&user);
        let request = request.json(&json!({"agentId": "echo", "message": format!("{nth}")}));
        assert_eq!(request.send().await.unwrap().status(), 201);
        visitor.say(&format!("{nth}")).await;
        while !visitor.is_all_acked() {
            visitor.read().await;
        }
    }
    let shown = eventually(
        "every message was delivered",
        Duration::from_secs(120),
        || async {
            let url = format!("{base}/api/tasks?limit=200");
            let page: Value = client
                .get(url)
                .bearer_auth(&user)
                .send()
                .await
                .ok()?
                .json()
                .await
                .ok()?;
            let items = page["items"].as_array()?.clone();
            let decided =
                |task: &Value| task["delivery"]["state"] == "delivered" || task["state"] == "failed";
            (items.len() == TASKS && items.iter().all(decided)).then_some(items)
        },
    )
    .await;
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for task in shown {
        *states
            .entry(task["state"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let bot = stack
        .n8n()
        .wait_for(CHAT_PATH, TASKS, Duration::from_secs(120))
        .await;
    say(&format!(
        "answers of n8n: {TASKS} tasks became {states:?}; the bot was asked {} times (seed {seed})",
        bot.len()
    ));
    assert_eq!(
        bot.len(),
        TASKS,
        "each message was sent once, whatever the one before got"
    );
    stack.stop().await.unwrap();
}
